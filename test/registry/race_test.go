//go:build race

package registry_test

// The race detector takes several times as long, and times mean nothing then.
const rounds, callsOfRound, manyPlugins, roundsMeasured = 1, 100, 20, 3
