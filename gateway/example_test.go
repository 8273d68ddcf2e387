package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/stagedoor/stagedoor/gateway"
)

// A plugin can live in the same program: its API is an http.Handler, and its
// OpenAPI document says which operations agents may use.
func Example() {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"greeting": "Hello, `+r.URL.Query().Get("name")+`!"}`)
	})
	document := `
openapi: 3.1.0
info: {title: Greeter, version: "1"}
paths:
  /greeting:
    get:
      operationId: greet
      description: Greets somebody by name.
      x-action: true
      parameters:
        - {name: name, in: query, required: true, schema: {type: string}}
      responses:
        "200": {description: The greeting, content: {application/json: {schema: {type: object}}}}
`

	plugin := gateway.DefaultPlugin()
	plugin.Document, plugin.Handler = []byte(document), api
	server := gateway.DefaultServer()
	server.Actions.Include = []gateway.Rule{{ID: "greeter:*"}}

	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite::memory:")
	cfg.Plugins = map[string]gateway.Plugin{"greeter": plugin}
	cfg.Servers = map[string]gateway.Server{"greetings": server}

	g, err := gateway.New(context.Background(), cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()

	// g.Handler() serves the MCP server at /mcp/greetings. The same action
	// called from Go:
	result, err := g.Call(context.Background(), "greeter:greet", json.RawMessage(`{"name":"Ada"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(result.JSON))
	// Output: {"greeting":"Hello, Ada!"}
}
