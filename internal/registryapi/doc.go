// Package registryapi is the HTTP face of the registry for plugins that register
// themselves: /registry/v1/plugins and /registry/v1/plugins/{plugin}. It knows
// the protocol, tokens, bounds and conditions; what becomes of a document is its
// [Registrar]'s business. docs/registering.md tells plugins' authors how to use it.
package registryapi
