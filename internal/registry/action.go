package registry

import "github.com/stagedoor/stagedoor/openapi"

// Action is an action of a plugin as the registry knows it.
type Action struct {
	openapi.Action
	ID     string // "plugin:name"
	Plugin string
}

// Principal is who calls: a user, a service, or a plugin acting for a user.
type Principal struct {
	// Subject is unique among all principals, for example "user:default/ada".
	// Empty is the anonymous principal of a gateway without authentication.
	Subject string
}

// Tool is an action under the name that one server shows it by.
type Tool struct {
	Name   string // matches ^[a-zA-Z0-9_.-]{1,64}$
	Action *Action
}

// Server is a named MCP server with its allowlist resolved: exactly these
// tools, in this order.
type Server struct {
	Name         string
	Title        string
	Version      string
	Instructions string
	Tools        []Tool
}
