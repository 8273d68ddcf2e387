//go:build race

package lint

// slower is how much longer things may take: the race detector costs five to
// ten times.
const slower = 8
