package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// The straight path of tools/list and tools/call answers what mcp-go would
// answer. Error messages are our own, their codes and places are not. Left
// out are arguments that are not an object: mcp-go knows only -32603 for what
// a handler refuses.
func TestStraightPathIsMCPGos(t *testing.T) {
	h := newTestHandler(t, Options{Invoker: &fakeInvoker{gate: closed()}})
	catalog := (*h.servers.Load())["catalog"]
	requests := []string{
		`{"jsonrpc":"2.0","id":"one","method":"tools/list","params":{"x":1%s}}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"cursor":"?"%s}}`,
		`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"no_such_tool"%s}}`,
		`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"arguments":{}%s}}`,
		`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"fake_echo"%s}}`,
		`{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"fake_echo","arguments":null%s}}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"fake_echo","arguments":{"a":[1,"\u2028<>&é"],"b":{}}%s}}`,
	}
	for _, tool := range catalog.order {
		requests = append(requests, `{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"`+tool.name+`","arguments":{}%s}}`)
	}
	for e, meta := range []string{legacy: "", modern: "," + modernMeta} {
		for _, format := range requests {
			raw := fmt.Sprintf(format, meta)
			m, fault := parseEnvelope([]byte(raw))
			if fault != nil {
				t.Fatal(raw, fault.message)
			}
			x := &exchange{r: newRequest("POST", "/mcp/catalog", nil, ""), server: catalog, ref: "abcdefghjk"}
			straight := straightAnswer(h, x, era(e), &m)
			stock := stockAnswer(t, h, x, era(e), &m)
			if diff := cmp.Diff(unworded(t, stock), unworded(t, straight)); diff != "" {
				t.Errorf("era %d, %s: mcp-go - straight +\n%s", e, raw, diff)
			}
		}
	}
}

// All pages together are mcp-go's one list, for whoever sees what of it.
func TestPagesAreMCPGos(t *testing.T) {
	for _, door := range []*registry.Door{testDoor, hides("echo"), hides("o"), hides("")} {
		h := newTestHandlerBehind(t, door, Options{})
		offers := (*h.servers.Load())["offers"]
		for e, meta := range []string{legacy: "", modern: modernMeta} {
			var tools []json.RawMessage
			var straight, stock map[string]json.RawMessage
			x := &exchange{r: newRequest("POST", "/mcp/offers", nil, ""), server: offers, principal: principal.Principal{Kind: principal.User, Subject: "mallory"}}
			for cursor := ""; ; {
				m, _ := parseEnvelope([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + strings.Trim(meta+","+cursor, ",") + `}}`))
				straight = nil
				decodeResult(t, straightAnswer(h, x, era(e), &m), &straight)
				var page []json.RawMessage
				if err := json.Unmarshal(straight["tools"], &page); err != nil {
					t.Fatal(err)
				}
				tools = append(tools, page...)
				if straight["nextCursor"] == nil {
					break
				}
				cursor = `"cursor":` + string(straight["nextCursor"])
			}
			m, _ := parseEnvelope([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + meta + `}}`))
			decodeResult(t, stockAnswer(t, h, x, era(e), &m), &stock)
			straight["tools"], _ = json.Marshal(tools)
			if tools == nil {
				straight["tools"] = json.RawMessage("[]")
			}
			delete(straight, "_meta") // mcp-go repeats icons there
			delete(stock, "_meta")
			one, _ := json.Marshal(stock)
			other, _ := json.Marshal(straight)
			if diff := cmp.Diff(normal(t, one), normal(t, other)); diff != "" {
				t.Errorf("era %d: mcp-go - straight +\n%s", e, diff)
			}
		}
	}
}

func decodeResult(t *testing.T, raw []byte, into *map[string]json.RawMessage) {
	t.Helper()
	var a answer
	err := json.Unmarshal(raw, &a)
	if err == nil {
		err = json.Unmarshal(a.Result, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
}

func straightAnswer(h *Handler, x *exchange, e era, m *envelope) []byte {
	if m.method == string(mcp.MethodToolsList) {
		return x.appendList(nil, e, m)
	}
	answer, fault := h.appendCall(context.Background(), x, nil, e, m)
	if fault != nil {
		return fault.append(nil, m.id)
	}
	return answer
}

func stockAnswer(t *testing.T, h *Handler, x *exchange, e era, m *envelope) []byte {
	version := mcp.ProtocolVersion20251125
	if e == modern {
		version = mcp.ProtocolVersion20260728
	}
	ctx := context.WithValue(t.Context(), askedKey{}, asked{x, m, new(*rpcError)})
	engine := withTools(h, x.server)
	raw, err := json.Marshal(engine.HandleMessage(engine.WithContext(ctx, newClientSession("s", version)), m.message()))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// unworded is the answer in normal form without an error's words.
func unworded(t *testing.T, raw []byte) string {
	var a map[string]any
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	if e, ok := a["error"].(map[string]any); ok {
		e["message"] = "words"
		raw, _ = json.Marshal(a)
	}
	return normal(t, raw)
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
