package bridge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// modern is a request of 2026-07-28 with more params.
func modern(id int, method, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s%s}}`, id, method, modernMeta, more)
}

// TestModernHeaders repeat what the body says, and have no session.
func TestModernHeaders(t *testing.T) {
	var header http.Header
	o := &office{call: func(w http.ResponseWriter, r received) { reply(w, r.id, `{}`) }}
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if !r.modern() {
			o.serve(w, r)
			return
		}
		header = r.Header
		reply(w, r.id, `{}`)
	})
	r := start(t, s.URL, nil)
	r.open() // in a session as well: each message says what it is
	for _, tt := range []struct{ method, params, name string }{
		{"tools/list", ``, ""},
		{"server/discover", `"name":"x"`, ""},
		{"tools/call", `"name":"get-weather","arguments":{}`, "get-weather"},
		{"tools/call", `"name":"wörld"`, "=?base64?d8O2cmxk?="},
		{"tools/call", `"name":"=?base64?x?="`, "=?base64?PT9iYXNlNjQ/eD89?="},
		{"tools/call", `"name":5`, ""},
		{"prompts/get", `"name":" x"`, "=?base64?IHg=?="},
		{"resources/read", `"uri":"file:///a\nb"`, "=?base64?ZmlsZTovLy9hCmI=?="},
		{"tasks/get", `"taskId":"t1"`, "t1"},
	} {
		r.send(modern(1, tt.method, tt.params))
		r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
		if header.Get("MCP-Protocol-Version") != "2026-07-28" || header.Get("Mcp-Method") != tt.method || header.Get("Mcp-Name") != tt.name ||
			header.Get("Mcp-Session-Id") != "" || header.Get("Accept") != "application/json, text/event-stream" || header.Get("Content-Type") != "application/json" || header.Get("X-Test") != t.Name() {
			t.Errorf("%s %s: %v", tt.method, tt.params, header)
		}
	}
}

// weather is a server whose tool wants its region in a header.
func weather(t *testing.T, lists, calls *atomic.Int32) string {
	return scripted(t, func(w http.ResponseWriter, r received) {
		switch {
		case r.method == methodToolsList && r.params.Name == "" && !strings.Contains(string(r.given), `"cursor":"2"`):
			lists.Add(1)
			reply(w, r.id, `{"tools":[{"name":"other","inputSchema":{"type":"object"}}],"nextCursor":"2"}`)
		case r.method == methodToolsList:
			lists.Add(1)
			reply(w, r.id, `{"tools":[{"name":"weather","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]}`)
		case r.Header.Get("Mcp-Param-Region") != "eu <1>":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32020,"message":"header mismatch"}}`, r.id)
		default:
			calls.Add(1)
			reply(w, r.id, `{}`)
		}
	}).URL
}

// TestMirror: arguments are repeated in headers as the tools that the client has
// listed say; a client that knows them from another time needs not list them.
func TestMirror(t *testing.T) {
	call := modern(7, "tools/call", `"name":"weather","arguments":{"region":"eu <1>"}`)
	var lists, calls atomic.Int32
	r := start(t, weather(t, &lists, &calls), nil)
	r.send(modern(1, "tools/list", ""), modern(2, "tools/list", `"cursor":"2"`))
	r.next()
	r.next()
	r.send(call)
	r.expect(`{"jsonrpc":"2.0","id":7,"result":{}}`)
	if lists.Load() != 2 || calls.Load() != 1 {
		t.Errorf("%d lists, %d calls", lists.Load(), calls.Load())
	}

	r = start(t, weather(t, &lists, &calls), nil)
	r.send(call)
	r.expect(`{"jsonrpc":"2.0","id":7,"result":{}}`)
	if lists.Load() != 4 || calls.Load() != 2 {
		t.Errorf("%d lists, %d calls", lists.Load(), calls.Load())
	}
	r.send(modern(8, "tools/call", `"name":"weather","arguments":{"region":"us"}`))
	if f := r.fault("8"); f.Code != codeHeaderMismatch || f.Message != "header mismatch" {
		t.Error(f)
	}
	if rest := r.end(); len(rest) > 0 {
		t.Error("the client saw what the bridge asked for itself:", rest)
	}
}

// TestBadMirrors: a tool that asks for headers which cannot be is left out of
// the list, and nothing else is touched.
func TestBadMirrors(t *testing.T) {
	tool := func(name, property string) string {
		return `{"name":"` + name + `","inputSchema":{"type":"object","properties":{"a":` + property + `}}}`
	}
	good := tool("good", `{"type":"string","x-mcp-header":"A","description":"<b>&"}`)
	last := tool("last", `{"type":["integer","boolean"],"x-mcp-header":"a"}`)
	bad := []string{
		tool("empty", `{"type":"string","x-mcp-header":""}`),
		tool("line", `{"type":"string","x-mcp-header":"A\r\nHost: x"}`),
		tool("space", `{"type":"string","x-mcp-header":"A B"}`),
		tool("text", `{"type":"string","x-mcp-header":5}`),
		tool("number", `{"type":"number","x-mcp-header":"A"}`),
		tool("object", `{"type":"object","x-mcp-header":"A"}`),
		tool("nothing", `{"x-mcp-header":"A"}`),
		tool("nested", `{"type":"object","properties":{"b":{"type":"array","x-mcp-header":"A"}}}`),
		tool("twice", `{"type":"string","x-mcp-header":"A","properties":{"b":{"type":"string","x-mcp-header":"a"}}}`),
	}
	list := `{"nextCursor":"<c>","tools":[` + good + `,` + strings.Join(bad, ",") + `,` + last + `],"ttlMs":1.50}`
	s := scripted(t, func(w http.ResponseWriter, r received) { reply(w, r.id, list) })
	r := start(t, s.URL, nil)
	r.send(modern(1, "tools/list", ""))
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{"nextCursor":"<c>","tools":[` + good + `,` + last + `],"ttlMs":1.50}}`)
	if !strings.Contains(r.log.String(), `tool "number" is left out`) {
		t.Error(r.log)
	}
	// Clients of other revisions know nothing of headers.
	r.send(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	r.expect(`{"jsonrpc":"2.0","id":2,"result":` + list + `}`)
}

// TestMirrorValues: integers and members of members, and only what is there.
func TestMirrorValues(t *testing.T) {
	schema := `{"properties":{"n":{"type":"integer","x-mcp-header":"N"},"b":{"x-mcp-header":"B"},"gone":{"x-mcp-header":"Gone"},"any":true,
		"null":{"x-mcp-header":"Null"},"o":{"properties":{"in":{"x-mcp-header":"In"}}},"list":{"x-mcp-header":"List"},"bad":{"x-mcp-header":1},"line":{"x-mcp-header":"a\nb"}}}`
	header := http.Header{}
	Mirror([]byte(schema), []byte(`{"n":1e3,"b":true,"any":1,"null":null,"o":{"in":"x"},"list":[1],"bad":2,"line":"x"}`), header)
	got, _ := json.Marshal(header)
	if want := `{"Mcp-Param-B":["true"],"Mcp-Param-In":["x"],"Mcp-Param-N":["1000"]}`; string(got) != want {
		t.Error(string(got))
	}
}

// TestModernCancel closes the connection, and says nothing.
func TestModernCancel(t *testing.T) {
	begun, gone := make(chan struct{}), make(chan struct{})
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if r.method != methodToolsCall {
			t.Errorf("%s came", r.body)
		}
		events(w, ": hi\n\n")
		close(begun)
		<-r.Context().Done()
		close(gone)
	})
	r := start(t, s.URL, nil)
	r.send(modern(1, "tools/call", `"name":"x"`))
	<-begun
	r.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	<-gone
	if rest := r.end(); len(rest) > 0 {
		t.Error(rest)
	}
}

// TestSubscription: a subscription is a stream that stands until the client ends,
// takes nobody's place, and is answered with an error when it breaks.
func TestSubscription(t *testing.T) {
	breaks := make(chan struct{})
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if r.method != methodListen {
			reply(w, r.id, `{}`)
			return
		}
		events(w, "id: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\"}\n\n")
		if string(r.id) == "0" {
			<-breaks
			panic(http.ErrAbortHandler)
		}
		<-r.Context().Done()
	})
	r := start(t, s.URL, nil)
	for i := range maxAtOnce + 1 {
		r.send(modern(i, methodListen, ""))
		r.expect(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged"}`)
	}
	r.send(modern(1000, "tools/call", ""))
	r.expect(`{"jsonrpc":"2.0","id":1000,"result":{}}`)
	close(breaks)
	if f := r.fault("0"); !strings.Contains(f.Message, "before the answer was there") {
		t.Error(f)
	}
	if rest := r.end(); len(rest) != maxAtOnce {
		t.Errorf("%d subscriptions were answered at the end: %v", len(rest), rest)
	}
}

// TestModernNotFound: an unknown method is no session that ended.
func TestModernNotFound(t *testing.T) {
	s := scripted(t, func(w http.ResponseWriter, r received) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, r.id)
	})
	r := start(t, s.URL, nil)
	r.send(modern(1, "x/y", ""))
	r.expect(`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"method not found"}}`)
}

// TestMirrorsAreBounded: a server with ever more of them costs no more memory.
func TestMirrorsAreBounded(t *testing.T) {
	b := &bridge{mirrors: map[string]json.RawMessage{}}
	schema := make(json.RawMessage, maxMessage/4)
	for i := range 11 {
		b.keepMirror(fmt.Sprint(i), schema)
	}
	b.keepMirror("9", schema[:5])
	b.keepMirror("10", nil)
	if len(b.mirrors) != 2 || b.mirrored != len(schema)+5 {
		t.Errorf("%d schemas of %d bytes", len(b.mirrors), b.mirrored)
	}
}
