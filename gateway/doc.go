// Package gateway is Stagedoor as a library: a [Config] becomes one
// http.Handler that serves named MCP servers whose tools are the actions of
// plugins.
//
//	g, err := gateway.New(ctx, cfg)
//	if err != nil { … }
//	defer g.Close()
//	http.Serve(listener, g.Handler())
//
// A plugin is a URL or file with an OpenAPI document, or, in Go, a document
// and an http.Handler that is called in process.
package gateway
