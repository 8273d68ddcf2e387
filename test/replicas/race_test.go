//go:build race

package replicas_test

// buildFlags has the program watched as its test is.
var buildFlags = []string{"-race"}
