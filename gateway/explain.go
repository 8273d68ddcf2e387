package gateway

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stagedoor/stagedoor/internal/actionsapi"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// Who is a principal that [Gateway.Explain] is asked about: what verifiers would
// find out of a token. The zero value is anonymous.
type Who struct {
	Subject string
	Groups  []string
	Scopes  []string
	Client  string
	Issuer  string
	Kind    string // "user" or "service"; "": user, where anything else is said
	// Claims are texts, or lists of them where a claim has many values; a name with
	// dots is a path, too.
	Claims map[string][]string
}

// Access is what somebody may do at a server or at the actions API.
type Access struct {
	Server string `json:"server"`
	// Anonymous says that callers are asked for nothing there, so that it does not
	// matter who they are.
	Anonymous bool         `json:"anonymous"`
	Rules     int          `json:"rules"` // that are about this way in
	Limits    CallLimits   `json:"limits"`
	Tools     []ToolAccess `json:"tools"`
}

// ToolAccess is what somebody may do with one tool.
type ToolAccess struct {
	Tool    string `json:"tool"` // its id at the actions API
	Action  string `json:"action"`
	Visible bool   `json:"visible"` // else it does not exist for them
	// Rule is the path of the rule that decides, "servers.sales.rules[1]"; "": none
	// does.
	Rule    string            `json:"rule,omitempty"`
	Needed  []string          `json:"scopesNeeded"`
	Missing []string          `json:"scopesMissing"`
	Bound   []BoundArgument   `json:"bound"`
	Limited []LimitedArgument `json:"limited"`
}

// BoundArgument is an argument that the server fills in.
type BoundArgument struct {
	Argument string          `json:"argument"`
	From     string          `json:"from"`            // as the config has it
	Value    json.RawMessage `json:"value,omitempty"` // nil: calls are refused
	Refusal  string          `json:"refusal,omitempty"`
}

// LimitedArgument is an argument that the server narrows.
type LimitedArgument struct {
	Argument string          `json:"argument"`
	Schema   json.RawMessage `json:"schema"` // what is left of it
}

// Allowed tells whether a call gets as far as its arguments.
func (t ToolAccess) Allowed() bool {
	return t.Visible && len(t.Missing) == 0 && !slices.ContainsFunc(t.Bound, func(b BoundArgument) bool { return b.Value == nil })
}

// Explain says what somebody may do at a server, or at the actions API under its
// name "actions-api": as lists and calls decide it. The tool is a name or an
// action's id; "": all.
func (g *Gateway) Explain(who Who, server, tool string) (*Access, error) {
	g.changing.Lock()
	offer := g.current.offer()
	g.changing.Unlock()
	way, tools, err := g.behind(offer, server)
	if err != nil {
		return nil, err
	}
	out := &Access{Server: server, Rules: len(way.Rules), Limits: CallLimits(way.Limits), Tools: []ToolAccess{}}
	out.Anonymous = way.Gate == principal.Open
	p := who.principal()
	if out.Anonymous {
		p = principal.Principal{}
	}
	var names []string
	for _, t := range tools {
		if names = append(names, t.Name); tool == "" || tool == t.Name || tool == t.Action.ID {
			out.Tools = append(out.Tools, explained(way, p, t))
		}
	}
	if len(out.Tools) == 0 && tool != "" {
		f := Fault{Message: fmt.Sprintf("%s has no tool %q", server, tool), Hint: suggest.Hint(tool, names)}
		return nil, fmt.Errorf("%s", f)
	}
	return out, nil
}

// behind is what there is behind a way in; offer is that of the actions API, nil:
// there is none.
func (g *Gateway) behind(offer *actionsapi.Offer, server string) (*registry.Door, []registry.Tool, error) {
	snapshot := g.registry.Snapshot()
	var names []string
	for _, s := range snapshot.Servers() {
		if s.Name == server {
			return s.Door, s.Tools, nil
		}
		names = append(names, s.Name)
	}
	if offer == nil {
		return nil, nil, unknownServer(server, names)
	}
	if server != registry.ActionsAPI {
		return nil, nil, unknownServer(server, append(names, registry.ActionsAPI))
	}
	var tools []registry.Tool
	for _, a := range snapshot.Actions() {
		if offer.Allowlist.Admits(a) {
			tools = append(tools, registry.Tool{Name: a.ID, Action: a})
		}
	}
	return offer.Door, tools, nil
}

func explained(door *registry.Door, p principal.Principal, t registry.Tool) ToolAccess {
	made := door.Decide(p, t.Action)
	out := ToolAccess{
		Tool: t.Name, Action: t.Action.ID, Visible: made.Allowed, Rule: made.Rule, Needed: append([]string{}, made.Needed...),
		Missing: append([]string{}, made.Missing...), Bound: []BoundArgument{}, Limited: []LimitedArgument{},
	}
	if p.IsAnonymous() {
		out.Needed = []string{} // nobody is asked for them
	}
	for _, b := range t.Action.Bindings(p) {
		out.Bound = append(out.Bound, BoundArgument{b.Argument, b.Source, b.Value, b.Refusal})
	}
	for _, name := range t.Action.Limited() {
		out.Limited = append(out.Limited, LimitedArgument{name, t.Action.Argument(name)})
	}
	return out
}

func (w Who) principal() principal.Principal {
	p := principal.Principal{
		Kind: principal.Kind(w.Kind), Subject: w.Subject, Issuer: w.Issuer, Client: w.Client, Groups: w.Groups, Scopes: w.Scopes, Claims: map[string]any{},
	}
	for name, values := range w.Claims {
		if len(values) == 1 {
			p.Claims[name] = values[0]
			continue
		}
		list := make([]any, 0, len(values))
		for _, value := range values {
			list = append(list, value)
		}
		p.Claims[name] = list
	}
	if p.Kind == principal.Anonymous && (w.Subject != "" || w.Issuer != "" || w.Client != "" || len(w.Groups)+len(w.Scopes)+len(w.Claims) > 0) {
		p.Kind = principal.User
	}
	return p
}
