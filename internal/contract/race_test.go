//go:build race

package contract

const raced = true // it takes ten times as long
