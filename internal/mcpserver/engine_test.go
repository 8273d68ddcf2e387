package mcpserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"
)

// asked is what mcp-go is asked, and by whom; its handlers find it in the context.
type asked struct {
	x *exchange
	m *envelope
	// fault is a handler's: mcp-go would make an internal error of it.
	fault **rpcError
}

type askedKey struct{}

// withTools gives a server an engine that lists its tools and calls them, which
// ours is measured by.
func withTools(h *Handler, s *server) *mcpgo.MCPServer {
	engine := newEngine(s.source)
	mcpgo.WithToolFilter(s.toolsOf)(engine)
	tools := make([]mcpgo.ServerTool, len(s.order))
	for i, t := range s.order {
		tools[i] = mcpgo.ServerTool{Tool: t.defined[legacy], Handler: h.engineCall(t)}
	}
	engine.SetTools(tools...)
	return engine
}

// toolsOf is mcp-go's tool filter: it puts the tools in the server's order and
// in the request's era, and leaves out what the caller does not see.
func (s *server) toolsOf(ctx context.Context, given []mcp.Tool) []mcp.Tool {
	e := legacy
	if mcpgo.IsModernRequest(ctx) {
		e = modern
	}
	q, ok := ctx.Value(askedKey{}).(asked)
	visible := func(t *tool) bool { return !s.door.Restricts() || ok && s.sees(q.x.principal, t.action) }
	if len(given) == 1 { // also how mcp-go asks whether one tool may be called
		if t, ok := s.tools[given[0].Name]; ok && visible(t) {
			return []mcp.Tool{t.defined[e]}
		}
		return nil
	}
	all := make([]mcp.Tool, 0, len(s.order))
	for _, t := range s.order {
		if visible(t) {
			all = append(all, t.defined[e])
		}
	}
	return all
}

func (h *Handler) engineCall(t *tool) mcpgo.ToolHandlerFunc {
	return func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		q, ok := ctx.Value(askedKey{}).(asked)
		if !ok {
			return nil, fmt.Errorf("tool %q: called from outside an exchange", t.name)
		}
		arguments, fault := argumentsOf(q.m.arguments) // mcp-go's would have lost large integers
		if fault != nil {
			return nil, fmt.Errorf("tool %q: %s", t.name, fault.message)
		}
		e := legacy
		if mcpgo.IsModernRequest(ctx) {
			e = modern
		}
		o, err := h.answerCall(ctx, q.x, e, q.m, t, arguments)
		if err == nil {
			return o.result(t, e), nil
		}
		raw, fault := instead(err)
		if fault != nil {
			*q.fault = fault
			return nil, fault
		}
		result := &mcp.CallToolResult{}
		result.ResultType = mcp.ResultTypeInputRequired
		return result, json.Unmarshal(raw, &result.MultiRoundTripResult)
	}
}

// result is the same for mcp-go.
func (o *outcome) result(t *tool, e era) *mcp.CallToolResult {
	before, content, after := o.structured(t, e)
	joined := before + string(content) + after
	result := &mcp.CallToolResult{IsError: o.isError, Content: o.content(t, joined)}
	if o.cut != nil {
		result.Content = append(result.Content, mcp.NewTextContent(o.cut.Note))
	}
	if o.hasMeta() {
		result.Meta = &mcp.Meta{AdditionalFields: map[string]any{}}
		for m := membersOf(append(o.appendMeta([]byte{'{'}), '}')); ; {
			name, value, ok := m.next()
			if !ok {
				break
			}
			result.Meta.AdditionalFields[name] = json.RawMessage(value)
		}
	}
	if content != nil {
		result.RawStructuredContent = []byte(joined)
	}
	return result
}

func (o *outcome) content(t *tool, structured string) []mcp.Content {
	switch {
	case o.blocks != nil:
		content := make([]mcp.Content, len(o.blocks))
		for i, raw := range o.blocks {
			content[i] = rawContent{raw: block(raw, t, o.version)}
		}
		return content
	case o.binary == nil && o.json != nil:
		return []mcp.Content{mcp.NewTextContent(structured)}
	case o.binary == nil:
		return []mcp.Content{mcp.NewTextContent(o.text)}
	}
	data := base64.StdEncoding.EncodeToString(o.binary.Data)
	switch familyOf(o.binary, o.version) {
	case "image":
		return []mcp.Content{mcp.NewImageContent(data, o.binary.MediaType)}
	case "audio":
		return []mcp.Content{mcp.NewAudioContent(data, o.binary.MediaType)}
	}
	return []mcp.Content{mcp.NewEmbeddedResource(mcp.BlobResourceContents{
		URI: resourceURI(t, o.binary.Data), MIMEType: o.binary.MediaType, Blob: data,
	})}
}

// rawContent is a block of content for mcp-go, as it came.
type rawContent struct {
	mcp.Content
	raw json.RawMessage
}

// MarshalJSON gives the block.
func (c rawContent) MarshalJSON() ([]byte, error) { return c.raw, nil }
