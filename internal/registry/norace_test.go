//go:build !race

package registry

// racing says that the race detector is on, which takes many times as long.
const racing = false
