//go:build race

package auth_test

// racing says that the race detector is on, which takes many times as long.
const racing = true
