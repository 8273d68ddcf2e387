package mcpserver

import (
	"encoding/base64"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

// The revisions that brought a kind of content, beside text, images and
// resources, which there always were.
const (
	audioSince = mcp.ProtocolVersion20250326
	linksSince = mcp.ProtocolVersion20250618
)

// ofMCP is the outcome of a plugin that speaks MCP itself. What a plugin asks is
// answered before; where nobody can be asked, that is an error.
func (o *outcome) ofMCP(m *invoke.MCP) {
	if m.Asks != nil {
		o.label, o.text, o.isError = string(invoke.Unavailable), invoke.CannotAsk, true
		return
	}
	o.json, o.isError, o.pluginMeta = m.Structured, m.IsError, m.Meta
	if m.IsError {
		o.label = string(invoke.Rejected)
	}
	if m.Content == nil {
		return
	}
	o.blocks = elements(m.Content)
	if o.blocks == nil {
		o.blocks = [][]byte{}
	}
	for _, block := range o.blocks { // what stands for structured content, where there has to be some
		if m := blockMembers(block); m["type"] == "text" {
			if o.text != "" {
				o.text += "\n"
			}
			o.text += m["text"]
		}
	}
}

// blockMembers gives those members of a block of content that are strings.
func blockMembers(block []byte) map[string]string {
	out := map[string]string{}
	for m := membersOf(block); ; {
		name, value, ok := m.next()
		if !ok {
			return out
		}
		if isString(value) {
			out[name] = unquote(value)
		}
	}
}

// block gives a block of content as a revision knows it; "" is the newest one.
// Of older ones, sounds are files like any other, and links are text.
func block(raw []byte, t *tool, version string) []byte {
	if version == "" || version >= linksSince {
		return raw
	}
	switch m := blockMembers(raw); {
	case m["type"] == "resource_link":
		text := m["name"] + ": " + m["uri"]
		if m["description"] != "" {
			text += "\n" + m["description"]
		}
		return appendText(nil, text)
	case m["type"] == "audio" && version < audioSince:
		data, err := base64.StdEncoding.DecodeString(m["data"])
		if err != nil {
			return appendText(nil, "a sound that cannot be read")
		}
		return appendBinary(nil, &invoke.Binary{MediaType: m["mimeType"], Data: data}, t, version)
	}
	return raw
}
