//go:build !race

package registry_test

const (
	rounds         = 3   // how often a fault comes and goes
	callsOfRound   = 500 // of others, each time
	manyPlugins    = 200
	roundsMeasured = 6
)
