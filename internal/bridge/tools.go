package bridge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// maxPages bounds the pages of a list of tools that the bridge reads by itself.
const maxPages = 100

// mirror repeats in headers what a message of 2026-07-28 says
// (basic/transports/streamable-http, "Request Metadata").
func (b *bridge) mirror(m *message, header http.Header) {
	header.Set("MCP-Protocol-Version", headerSafe(m.params.version))
	header.Set("Mcp-Method", HeaderValue(m.method))
	name := ""
	switch m.method {
	case methodToolsCall, "prompts/get":
		name = m.params.Name
	case "resources/read":
		name = m.params.URI
	case "tasks/get", "tasks/update", "tasks/cancel":
		name = m.params.TaskID
	}
	if name != "" {
		header.Set("Mcp-Name", HeaderValue(name))
	}
	if m.method == methodToolsCall {
		b.mu.Lock()
		schema := b.mirrors[m.params.Name]
		b.mu.Unlock()
		Mirror(schema, m.params.Arguments, header)
	}
}

// learnTools keeps the input schemas of tools whose arguments are mirrored. A
// tool that asks for headers which cannot be is left out of the list, as clients
// over HTTP have to do ("Schema Extension").
func (b *bridge) learnTools(c *call, answer message) []byte {
	if !bytes.Contains(answer.raw, []byte("x-mcp-header")) && !b.hasMirrors() {
		return answer.raw
	}
	var list struct {
		Tools []json.RawMessage `json:"tools"`
	}
	_ = json.Unmarshal(answer.result, &list) // as far as it goes
	var good []json.RawMessage
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, raw := range list.Tools {
		var tool struct {
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"inputSchema"`
		}
		_ = json.Unmarshal(raw, &tool)
		b.keepMirror(tool.Name, nil)
		err := checkMirrored(tool.Schema, map[string]bool{})
		if err != nil && c.modern() {
			b.log.say(fmt.Sprintf("tool %.100q is left out: %v", tool.Name, err))
			continue
		}
		good = append(good, raw)
		if err == nil && bytes.Contains(tool.Schema, []byte("x-mcp-header")) {
			b.keepMirror(tool.Name, tool.Schema)
		}
	}
	if len(good) == len(list.Tools) {
		return answer.raw
	}
	return replaceTools(answer, good)
}

// keepMirror keeps a tool's schema; nil: it has none. A server with more of them
// than fit has those forgotten that came before, until a call misses them. b.mu
// is held.
func (b *bridge) keepMirror(tool string, schema json.RawMessage) {
	b.mirrored -= len(b.mirrors[tool])
	delete(b.mirrors, tool)
	if schema == nil {
		return
	}
	if b.mirrored+len(schema) > maxMessage {
		clear(b.mirrors)
		b.mirrored = 0
	}
	b.mirrors[tool] = schema
	b.mirrored += len(schema)
}

func (b *bridge) hasMirrors() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mirrors) > 0
}

// replaceTools is a tools/list answer with other tools; the rest stays as it was.
func replaceTools(answer message, tools []json.RawMessage) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(answer.result, &members) != nil {
		return answer.raw
	}
	result := map[string]any{}
	for name, value := range members {
		result[name] = value
	}
	result["tools"] = append([]json.RawMessage{}, tools...) // never null
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(result) != nil {
		return answer.raw
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%s}`, answer.id, text.Bytes())
}

// isMismatch tells whether a server complains about headers.
func isMismatch(err error) bool {
	f, ok := errors.AsType[*fault](err)
	return ok && f.Code == codeHeaderMismatch
}

// relist reads the server's tools, for a call whose headers were not what the
// server wanted: the client may know the tools from another time.
func (b *bridge) relist(ctx context.Context, c *call) error {
	params := map[string]json.RawMessage{"_meta": c.params.Meta}
	for range maxPages {
		answer, _, err := b.ask(ctx, methodToolsList, params, nil)
		if err != nil {
			return err
		}
		var page struct {
			Next json.RawMessage `json:"nextCursor"`
		}
		err = json.Unmarshal(answer.result, &page)
		if err != nil || len(page.Next) == 0 || string(page.Next) == "null" {
			return err
		}
		params["cursor"] = page.Next
	}
	return nil
}

// property is what mirroring has to know of a JSON Schema.
type property struct {
	Type       json.RawMessage            `json:"type"`
	Header     json.RawMessage            `json:"x-mcp-header"`
	Properties map[string]json.RawMessage `json:"properties"`
}

// checkMirrored holds the headers that an input schema asks for to "Schema
// Extension" of basic/transports/streamable-http (2026-07-28), as far as they
// are where they can be. names are those that were seen, in lower case.
func checkMirrored(schema json.RawMessage, names map[string]bool) error {
	var s property
	if !bytes.Contains(schema, []byte("x-mcp-header")) {
		return nil
	}
	_ = json.Unmarshal(schema, &s) // as far as it goes
	for _, raw := range s.Properties {
		var p property
		_ = json.Unmarshal(raw, &p)
		if p.Header != nil {
			name := p.name()
			lower := strings.ToLower(name)
			switch {
			case name == "":
				return fmt.Errorf("x-mcp-header %.100s is no name of a header", p.Header)
			case names[lower]:
				return fmt.Errorf("x-mcp-header %.100q is there twice", name)
			case !p.primitive():
				return fmt.Errorf("x-mcp-header %.100q is for a string, an integer or a boolean only", name)
			}
			names[lower] = true
		}
		if err := checkMirrored(raw, names); err != nil {
			return err
		}
	}
	return nil
}

// name is what x-mcp-header says, if it can be a part of a header's name (RFC
// 9110, section 5.1); "" otherwise.
func (p property) name() string {
	var name string
	if json.Unmarshal(p.Header, &name) != nil {
		return ""
	}
	if strings.Trim(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	return name
}

// primitive tells whether values are strings, integers or booleans, or, in a
// schema that says more than the type, may be.
func (p property) primitive() bool {
	var one string
	var several []string
	if json.Unmarshal(p.Type, &one) == nil {
		several = []string{one}
	} else if json.Unmarshal(p.Type, &several) != nil {
		return false
	}
	for _, t := range several {
		if t != "string" && t != "integer" && t != "boolean" {
			return false
		}
	}
	return len(several) > 0
}

// Mirror repeats in headers the arguments whose schemas name one
// (2026-07-28, basic/transports/streamable-http, "Custom Headers from Tool
// Parameters").
func Mirror(schema, arguments json.RawMessage, header http.Header) {
	var s property
	var values map[string]json.RawMessage
	if json.Unmarshal(schema, &s) != nil || json.Unmarshal(arguments, &values) != nil {
		return
	}
	for name, raw := range s.Properties {
		value, given := values[name]
		var p property
		if !given || json.Unmarshal(raw, &p) != nil {
			continue
		}
		if own := p.name(); own != "" {
			if text, ok := headerText(value); ok {
				header.Set("Mcp-Param-"+own, HeaderValue(text))
			}
		}
		Mirror(raw, value, header)
	}
}

// headerText is a string, boolean or integer as a header has it.
func headerText(value json.RawMessage) (string, bool) {
	var v any
	if json.Unmarshal(value, &v) != nil {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), v == math.Trunc(v)
	}
	return "", false
}

// HeaderValue wraps what a header cannot carry as it is ("Value Encoding").
func HeaderValue(s string) string {
	const prefix, suffix = "=?base64?", "?="
	strange := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
	if !strange && strings.Trim(s, " ") == s && (!strings.HasPrefix(s, prefix) || !strings.HasSuffix(s, suffix)) {
		return s
	}
	return prefix + base64.StdEncoding.EncodeToString([]byte(s)) + suffix
}
