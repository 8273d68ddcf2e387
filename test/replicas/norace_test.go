//go:build !race

package replicas_test

// buildFlags are what the program is built with besides.
var buildFlags []string
