package mcpserver

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/stagedoor/stagedoor/internal/registry"
)

// listTTL is how long a modern client may keep a tool list (2026-07-28,
// server/utilities/caching). The list is private: who asks decides what they
// see, as soon as there is somebody to ask.
const listTTL = time.Minute

// server is one named MCP server, built once and never changed.
type server struct {
	name  string
	tools map[string]*tool
	order []*tool
	// list is the result of tools/list, per era.
	list [eras][]byte
	// meta is the start of each modern result: its type and who answers.
	meta   []byte
	engine *mcpgo.MCPServer
	noSSE  bool // HTTP+SSE is switched off
}

func (h *Handler) newServer(s registry.Server) (*server, error) {
	built, err := buildServer(s)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", s.Name, err)
	}
	built.engine = h.newEngine(s, built)
	return built, nil
}

// buildServer makes everything but the engine, which needs a handler to call.
func buildServer(s registry.Server) (*server, error) {
	built := &server{name: s.Name, tools: make(map[string]*tool, len(s.Tools))}
	for _, t := range s.Tools {
		tool, err := newTool(t)
		if err != nil {
			return nil, fmt.Errorf("tool %q: %w", t.Name, err)
		}
		if _, clash := built.tools[t.Name]; clash {
			return nil, fmt.Errorf("tool %q: name is taken by another action", t.Name)
		}
		built.tools[t.Name] = tool
		built.order = append(built.order, tool)
	}
	identity, err := json.Marshal(mcp.Implementation{Name: s.Name, Version: s.Version, Title: s.Title})
	if err != nil {
		return nil, err
	}
	built.meta = fmt.Appendf(nil, `"resultType":%q,"_meta":{%q:%s}`, mcp.ResultTypeComplete, mcp.MetaKeyServerInfo, identity)
	built.list[legacy] = append(built.appendTools([]byte(`{`), legacy), '}')
	built.list[modern] = append(append([]byte(`{`), built.meta...), ',')
	built.list[modern] = built.appendTools(built.list[modern], modern)
	built.list[modern] = fmt.Appendf(built.list[modern], `,"ttlMs":%d,"cacheScope":%q}`, listTTL.Milliseconds(), mcp.CacheScopePrivate)
	return built, nil
}

func (s *server) appendTools(dst []byte, e era) []byte {
	dst = append(dst, `"tools":[`...)
	for i, tool := range s.order {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, tool.listed[e]...)
	}
	return append(dst, ']')
}

// ProtocolVersions lists the revisions that are spoken, newest first.
func ProtocolVersions() []string { return slices.Clone(mcp.ValidProtocolVersions) }

// ToolsList gives the result of tools/list as a client of the protocol
// version gets it, byte for byte, without a running gateway.
func ToolsList(s registry.Server, protocolVersion string) (json.RawMessage, error) {
	built, err := buildServer(s)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", s.Name, err)
	}
	if mcp.IsModernProtocol(protocolVersion) {
		return built.list[modern], nil
	}
	return built.list[legacy], nil
}
