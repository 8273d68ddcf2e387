//go:build !race

package openapi

// slower is how much longer things may take than the bars say.
const slower = 1
