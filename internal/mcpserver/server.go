package mcpserver

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// listTTL is how long a modern client may keep a tool list (2026-07-28,
// server/utilities/caching). The list is private: who asks decides what they
// see, as soon as there is somebody to ask.
const listTTL = time.Minute

// server is one named MCP server, built once and never changed.
type server struct {
	name      string
	source    *registry.Server // what it was built from
	tools     map[string]*tool
	order     []*tool          // by name
	documents map[string]*tool // by action id
	prompts   map[string]*prompt
	resources []registry.Resource
	lists     struct{ tools, prompts, resources, templates *listing }
	page      int            // entries on a page of a list; 0: all
	cursors   *cursors       // nil: lists have one page
	door      *registry.Door // who may call what
	// meta is the start of each modern result: its type and who answers.
	meta   []byte
	engine *mcpgo.MCPServer
	// versions are hashes of what tools, prompts and resources (with their
	// templates) list, and of the rules that say who sees what.
	versions [3]string
	noSSE    bool // HTTP+SSE is switched off
	confirms bool // users are asked before a destructive action
	// taskAfter is how long a call may take before it is a task; 0: there are none.
	taskAfter time.Duration
}

// newServer builds a server. was is the one of that name before, nil: none.
func (h *Handler) newServer(s *registry.Server, was *server) (*server, error) {
	if was != nil && was.source == s {
		return was, nil
	}
	if s.Door == nil || s.Door.Gate == nil {
		return nil, fmt.Errorf("server %q: has no gate", s.Name)
	}
	built, err := buildServer(s, h.cursors, was)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", s.Name, err)
	}
	built.engine = newEngine(s)
	return built, nil
}

// buildServer makes everything but the engine. Tools that are the same are taken over from the server before, nil: none.
func buildServer(s *registry.Server, c *cursors, was *server) (*server, error) {
	built := &server{
		name: s.Name, source: s, door: s.Door, page: s.ListPage, noSSE: s.NoLegacySSE, confirms: s.ConfirmDestructive, taskAfter: s.TaskAfter, cursors: c, resources: s.Resources,
		tools: make(map[string]*tool, len(s.Tools)), documents: make(map[string]*tool, len(s.Tools)), prompts: map[string]*prompt{},
	}
	// Icons stay out of what every result repeats.
	identity, err := json.Marshal(mcp.Implementation{Name: s.Name, Version: s.Version, Title: s.Title})
	if err != nil {
		return nil, err
	}
	built.meta = fmt.Appendf(nil, `"resultType":%q,"_meta":{%q:%s}`, mcp.ResultTypeComplete, mcp.MetaKeyServerInfo, identity)
	if err := built.addTools(s.Tools, was); err != nil {
		return nil, err
	}
	built.addPrompts(s.Prompts)
	built.addResources()
	rules, err := built.rules()
	if err != nil {
		return nil, err
	}
	built.versions = [3]string{
		version(rules, built.lists.tools), version(nil, built.lists.prompts), version(rules, built.lists.resources, built.lists.templates),
	}
	return built, nil
}

func (s *server) addTools(tools []registry.Tool, was *server) error {
	entries := make([]entry, 0, len(tools))
	s.order = make([]*tool, 0, len(tools))
	for _, t := range tools {
		tool, err := was.tool(t), error(nil)
		if tool == nil || tool.tasks != (s.taskAfter > 0) {
			tool, err = newTool(t, s.taskAfter > 0)
		}
		if err != nil {
			return fmt.Errorf("tool %q: %w", t.Name, err)
		}
		if _, clash := s.tools[t.Name]; clash {
			return fmt.Errorf("tool %q: name is taken by another action", t.Name)
		}
		s.tools[t.Name] = tool
		s.documents[tool.action.ID] = tool
		s.order = append(s.order, tool)
		entries = append(entries, tool.listed)
	}
	slices.SortFunc(s.order, func(a, b *tool) int { return cmp.Compare(a.name, b.name) })
	s.lists.tools = newList(s, mcp.MethodToolsList, "tools", entries)
	return nil
}

// tool is the one of the same name and action, nil where there is none; no
// server has none.
func (s *server) tool(t registry.Tool) *tool {
	if s == nil || s.tools[t.Name] == nil || s.tools[t.Name].action != t.Action {
		return nil
	}
	return s.tools[t.Name]
}

// rules are what lists depend on beside their entries; nil: nothing.
func (s *server) rules() ([]byte, error) {
	if s.door == nil || !s.door.Restricts() {
		return nil, nil
	}
	return json.Marshal(s.door.Rules)
}

// begin starts a result of the era.
func (s *server) begin(e era) []byte {
	if e == legacy {
		return []byte{'{'}
	}
	return append(append([]byte{'{'}, s.meta...), ',')
}

// unguarded is the same server for the operator's own user, whom no rule, scope
// or limit is about. No server has none.
func (s *server) unguarded() *server {
	if s == nil {
		return nil
	}
	own := *s
	own.door = registry.Unguarded
	return &own
}

// sees tells whether a principal may know of an action.
func (s *server) sees(p principal.Principal, a *registry.Action) bool { return s.door.Visible(p, a) }

// ProtocolVersions lists the revisions that are spoken, newest first.
func ProtocolVersions() []string { return slices.Clone(mcp.ValidProtocolVersions) }

// ToolsList gives the result of tools/list as a client of the protocol
// version gets it, byte for byte, save that it is one page.
func ToolsList(s *registry.Server, protocolVersion string) (json.RawMessage, error) {
	built, err := buildServer(s, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", s.Name, err)
	}
	return built.lists.tools.pages[eraOf(protocolVersion)][0], nil
}
