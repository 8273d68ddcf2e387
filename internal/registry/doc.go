// Package registry holds all actions of all plugins as one immutable snapshot,
// resolves the servers' allowlists against it, and is the only way to call an
// action: policy lives in [Registry.Invoke].
package registry
