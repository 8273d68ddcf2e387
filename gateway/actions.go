package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/mcpserver"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/openapi"
)

// Action is an action of a plugin.
type Action struct {
	openapi.Action
	ID     string // "plugin:name"
	Plugin string
}

// ServerInfo is a named MCP server as its clients see it.
type ServerInfo struct {
	Name  string     `json:"name"`
	Title string     `json:"title"`
	Path  string     `json:"path"` // "/mcp/name"
	Tools []ToolInfo `json:"tools"`
	// Auth are the kinds of its verifiers, "none" where nobody is asked who they
	// are; Rules counts the access rules that are about it.
	Auth  []string `json:"auth"`
	Rules int      `json:"rules"`
	// Prompts are the names of the declared prompts, Resources what is declared
	// beside the documents of the tools' actions.
	Prompts   []string       `json:"prompts"`
	Resources []ResourceInfo `json:"resources"`
	// ListBytes is the size of the answer to tools/list, which every client
	// puts before its model; of all pages.
	ListBytes int `json:"listBytes"`
}

// ToolInfo says which action a tool is.
type ToolInfo struct {
	Name   string `json:"name"`
	Action string `json:"action"`
}

// ResourceInfo says which action a resource, or a template of resources, reads.
type ResourceInfo struct {
	URI    string `json:"uri"`
	Action string `json:"action"`
}

// Result is what a call gave: JSON, or text or binary data where the plugin
// answered with such.
type Result struct {
	Status int
	JSON   json.RawMessage
	Text   string
	Binary []byte
	// MediaType is that of Binary, "image/png".
	MediaType string
	// Header has what of the plugin's headers a caller can act on.
	Header http.Header
	// Note says what is missing of an answer that was over the cap, and how to
	// ask for less; empty: nothing is.
	Note string
}

// The kinds of [CallError].
const (
	InvalidArguments = string(invoke.InvalidArguments) // the arguments break the input schema
	Denied           = string(invoke.Denied)           // the caller may not use the action
	Rejected         = string(invoke.Rejected)         // the plugin answered 4xx
	Unavailable      = string(invoke.Unavailable)      // the plugin is down, failed, or answered with something unreadable
	Timeout          = string(invoke.Timeout)          // the plugin was too slow
	TooLarge         = string(invoke.TooLarge)         // the answer is over the cap
	Internal         = string(invoke.Internal)         // a fault of the gateway
)

// CallError says why a call gave no result, in words fit for the caller.
type CallError struct {
	Kind    string
	Message string
	cause   error
}

func (e *CallError) Error() string { return e.Message }

// Unwrap gives the cause, which is not fit for a caller's eyes.
func (e *CallError) Unwrap() error { return e.cause }

// Actions lists all actions, ordered by id.
func (g *Gateway) Actions() []Action {
	var out []Action
	for _, a := range g.registry.Snapshot().Actions() {
		out = append(out, Action{a.Action, a.ID, a.Plugin})
	}
	return out
}

// Action is the action of an id; the error says what was probably meant.
func (g *Gateway) Action(id string) (Action, error) {
	a, err := g.registry.Snapshot().Action(id)
	if err != nil {
		return Action{}, err
	}
	return Action{a.Action, a.ID, a.Plugin}, nil
}

// Servers lists the MCP servers, ordered by name.
func (g *Gateway) Servers() []ServerInfo {
	var out []ServerInfo
	g.changing.Lock()
	cfg := g.current.config
	g.changing.Unlock()
	for _, s := range g.registry.Snapshot().Servers() {
		info := ServerInfo{
			Name: s.Name, Title: s.Title, Path: "/mcp/" + s.Name, Tools: []ToolInfo{}, Prompts: []string{}, Resources: []ResourceInfo{},
			Auth: kindsOf(cfg.verifiers(cfg.Servers[s.Name].Auth)), Rules: len(s.Door.Rules),
		}
		for _, t := range s.Tools {
			info.Tools = append(info.Tools, ToolInfo{t.Name, t.Action.ID})
		}
		for _, p := range s.Prompts {
			info.Prompts = append(info.Prompts, p.Name)
		}
		for _, r := range s.Resources {
			uri := r.URI
			if r.Template != nil {
				uri = r.Template.String()
			}
			info.Resources = append(info.Resources, ResourceInfo{uri, r.Action.ID})
		}
		if list, err := mcpserver.ToolsList(s, ""); err == nil {
			info.ListBytes = len(list)
		}
		out = append(out, info)
	}
	return out
}

// ProtocolVersions lists the MCP revisions that servers speak, newest first.
func ProtocolVersions() []string { return mcpserver.ProtocolVersions() }

// ToolsList is exactly what a server answers to tools/list in the protocol
// revision, "" being the newest with sessions; all pages as one.
func (g *Gateway) ToolsList(server, protocolVersion string) (json.RawMessage, error) {
	var names []string
	for _, s := range g.registry.Snapshot().Servers() {
		if s.Name == server {
			return mcpserver.ToolsList(s, protocolVersion)
		}
		names = append(names, s.Name)
	}
	return nil, unknownServer(server, names)
}

// Call invokes an action as a tool call would, save for a server's allowlist.
// The error is a *CallError, unless the action is unknown.
func (g *Gateway) Call(ctx context.Context, id string, arguments json.RawMessage) (*Result, error) {
	a, err := g.registry.Snapshot().Action(id)
	if err != nil {
		return nil, err
	}
	r, err := g.registry.Invoke(ctx, registry.Call{Door: registry.Unguarded, Action: a, Arguments: arguments})
	if err == nil {
		r, err = r.Plain()
	}
	if err != nil {
		return nil, callError(err)
	}
	out := &Result{Status: r.Status, JSON: r.JSON, Text: r.Text, Header: http.Header{}}
	if r.Binary != nil {
		out.Binary, out.MediaType = r.Binary.Data, r.Binary.MediaType
	}
	if r.Cut != nil {
		out.Note = r.Cut.Note
	}
	for _, h := range r.Headers {
		out.Header.Set(h.Name, h.Value)
	}
	return out, nil
}

// Preview gives the request that Call would send, with credentials masked.
func (g *Gateway) Preview(ctx context.Context, id string, arguments json.RawMessage) (*http.Request, error) {
	a, err := g.registry.Snapshot().Action(id)
	if err != nil {
		return nil, err
	}
	req, err := g.registry.Preview(ctx, registry.Call{Door: registry.Unguarded, Action: a, Arguments: arguments})
	if err != nil {
		return nil, callError(err)
	}
	return req, nil
}

func callError(err error) error {
	var e *invoke.Error
	if errors.As(err, &e) {
		return &CallError{string(e.Kind), e.Message, e}
	}
	return &CallError{string(invoke.Internal), "internal error", err}
}
