//go:build !race

package lint

// slower is how much longer things may take than the bars say.
const slower = 1
