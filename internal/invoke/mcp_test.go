package invoke

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

// speaking is an action whose plugin answers with MCP results and may ask.
func speaking() *openapi.Action {
	a := plain("x")
	a.Response = openapi.ResponsePlan{MCP: true, Answers: true, State: true}
	return a
}

const hello = `[{"type":"text","text":"hello"}]`

// TestMCPResults: what is a result, and why something else is none.
func TestMCPResults(t *testing.T) {
	png := base64.StdEncoding.EncodeToString([]byte("\x89PNG"))
	leak := base64.StdEncoding.EncodeToString([]byte("you sent " + secret))
	for name, tt := range map[string]struct{ body, cause string }{
		"text":                {`{"content":` + hello + `}`, ""},
		"nothing to say":      {`{"content":[]}`, ""},
		"structured alone":    {`{"structuredContent":null}`, ""},
		"complete":            {`{"resultType":"complete","content":[],"structuredContent":[1],"isError":true,"_meta":{}}`, ""},
		"unknown members":     {`{"content":[{"type":"text","text":"","x":1}],"x":1}`, ""},
		"image":               {`{"content":[{"type":"image","data":"` + png + `","mimeType":"image/png"}]}`, ""},
		"audio":               {`{"content":[{"type":"audio","data":"","mimeType":"audio/ogg","_meta":{},"annotations":{"priority":1,"audience":["user"],"lastModified":"x"}}]}`, ""},
		"link":                {`{"content":[{"type":"resource_link","uri":"file:///a","name":"a","title":"A","size":3,"icons":[]}]}`, ""},
		"text resource":       {`{"content":[{"type":"resource","resource":{"uri":"file:///a","text":"x","mimeType":"text/plain"}}]}`, ""},
		"binary resource":     {`{"content":[{"type":"resource","resource":{"uri":"file:///a","blob":"` + png + `"}}]}`, ""},
		"a list":              {`[]`, "result is not an object"},
		"a string":            {`"x"`, "result is not an object"},
		"nothing":             {`{}`, "result has neither content nor structuredContent"},
		"no body":             {``, "result has neither content nor structuredContent"},
		"no content":          {`{"content":null}`, "result.content is not a list"},
		"content is text":     {`{"content":"hello"}`, "result.content is not a list"},
		"block is text":       {`{"content":["hello"]}`, "content[0] is not an object"},
		"block without type":  {`{"content":[{"text":"x"}]}`, "content[0] has no type"},
		"other case":          {`{"content":[{"Type":"text","text":"x"}]}`, "content[0] has no type"},
		"unknown kind":        {`{"content":[{"type":"video"}]}`, `content[0].type is "video", which is no kind of content`},
		"text is a number":    {`{"content":[{"type":"text","text":1}]}`, "content[0].text is not a string"},
		"second has no text":  {`{"content":[{"type":"text","text":"x"},{"type":"text"}]}`, "content[1] has no text"},
		"image without type":  {`{"content":[{"type":"image","data":"` + png + `"}]}`, "content[0] has no mimeType"},
		"image of words":      {`{"content":[{"type":"image","data":"no base64","mimeType":"image/png"}]}`, "content[0].data is not base64"},
		"base64 for URLs":     {`{"content":[{"type":"image","data":"_-8=","mimeType":"image/png"}]}`, "content[0].data is not base64"},
		"secret in an image":  {`{"content":[{"type":"image","data":"` + leak + `","mimeType":"image/png"}]}`, "content[0].data has the gateway's credentials in it"},
		"secret in a file":    {`{"content":[{"type":"resource","resource":{"uri":"a:b","blob":"` + leak + `"}}]}`, "content[0].resource.blob has the gateway's credentials in it"},
		"link to nowhere":     {`{"content":[{"type":"resource_link","name":"a"}]}`, "content[0] has no uri"},
		"link with null":      {`{"content":[{"type":"resource_link","uri":"a:b","name":"a","title":null}]}`, "content[0].title is not a string"},
		"resource missing":    {`{"content":[{"type":"resource"}]}`, "content[0] has no resource"},
		"resource is empty":   {`{"content":[{"type":"resource","resource":{"uri":"a:b"}}]}`, "content[0].resource has no blob"},
		"annotations":         {`{"content":[{"type":"text","text":"","annotations":[]}]}`, "content[0].annotations is not an object"},
		"priority":            {`{"content":[{"type":"text","text":"","annotations":{"priority":"1"}}]}`, "content[0].annotations.priority is not a number"},
		"isError":             {`{"content":[],"isError":"no"}`, "result.isError is not true or false"},
		"meta":                {`{"content":[],"_meta":[]}`, "result._meta is not an object"},
		"resultType":          {`{"content":[],"resultType":"task"}`, `resultType is "task", and not complete or input_required`},
		"resultType's type":   {`{"content":[],"resultType":1}`, "result.resultType is not a string"},
		"asks for nothing":    {`{"resultType":"input_required"}`, "result asks for nothing: it has neither inputRequests nor requestState"},
		"asks for none":       {`{"resultType":"input_required","inputRequests":{},"requestState":""}`, "result asks for nothing: it has neither inputRequests nor requestState"},
		"only state":          {`{"resultType":"input_required","requestState":"s"}`, ""},
		"roots":               {`{"resultType":"input_required","inputRequests":{"r":{"method":"roots/list"}}}`, ""},
		"form":                {`{"resultType":"input_required","inputRequests":{"r":{"method":"elicitation/create","params":{"message":"?","requestedSchema":{}}}}}`, ""},
		"url":                 {`{"resultType":"input_required","inputRequests":{"r":{"method":"elicitation/create","params":{"mode":"url","message":"?","url":"https://x"}}}}`, ""},
		"sampling":            {`{"resultType":"input_required","inputRequests":{"r":{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}}}`, ""},
		"form without schema": {`{"resultType":"input_required","inputRequests":{"r":{"method":"elicitation/create","params":{"message":"?"}}}}`, "inputRequests.r.params has no requestedSchema"},
		"no params":           {`{"resultType":"input_required","inputRequests":{"r":{"method":"elicitation/create"}}}`, "inputRequests.r has no params"},
		"params are a list":   {`{"resultType":"input_required","inputRequests":{"r":{"method":"roots/list","params":[]}}}`, "inputRequests.r.params is not an object"},
		"no tokens":           {`{"resultType":"input_required","inputRequests":{"r":{"method":"sampling/createMessage","params":{"messages":[]}}}}`, "inputRequests.r.params has no maxTokens"},
		"tools/call":          {`{"resultType":"input_required","inputRequests":{"r":{"method":"tools/call","params":{}}}}`, `inputRequests.r.method is "tools/call", which no client is asked`},
		"request is text":     {`{"resultType":"input_required","inputRequests":{"r":"roots/list"}}`, "inputRequests.r is not an object"},
		"requests are a list": {`{"resultType":"input_required","inputRequests":[]}`, "result.inputRequests is not an object"},
		"state is a number":   {`{"resultType":"input_required","requestState":1}`, "result.requestState is not a string"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ask(t, reply(200, "application/json", tt.body), Options{Credentials: credentials}, speaking())
			var e *Error
			switch {
			case tt.cause == "":
				if err != nil || r.MCP == nil || r.JSON != nil {
					t.Errorf("got %+v %v", r, err)
				}
			case !errors.As(err, &e) || e.Kind != Unavailable || e.Err.Error() != tt.cause:
				t.Errorf("got %+v %v, want %s", r, err, tt.cause)
			case strings.Contains(e.Message, tt.cause):
				t.Errorf("the caller reads the cause: %s", e.Message)
			}
		})
	}
}

// TestMCPParts: each part arrives as it was given, without what is not the plugin's
// to say and without secrets.
func TestMCPParts(t *testing.T) {
	body := `{ "content": [ {"type":"text", "text":"token ` + secret + `"} ], "structuredContent": {"n": 9007199254740993, "a": 1.50}, "isError": true,
		"_meta": {"trace": 1, "io.modelcontextprotocol/serverInfo": {"name":"me"}, "tools.mcp.dev/x": 1, "io.github.stagedoor/http": {}, "example.com/y": 2} }`
	r, err := ask(t, reply(200, "application/json", body), Options{Credentials: credentials}, speaking())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct{ name, got, want string }{
		{"content", string(r.MCP.Content), `[{"type":"text","text":"token [redacted]"}]`},
		{"structured", string(r.MCP.Structured), `{"n":9007199254740993,"a":1.50}`},
		{"meta", string(r.MCP.Meta), `{"example.com/y":2,"trace":1}`},
	} {
		if part.got != part.want {
			t.Errorf("%s: got %s, want %s", part.name, part.got, part.want)
		}
	}
	if !r.MCP.IsError || r.MCP.Asks != nil {
		t.Errorf("got %+v", r.MCP)
	}
	body = `{"resultType":"input_required","inputRequests":{"r":{"method":"roots/list"}},"requestState":"s\u00e9","content":5}`
	r, err = ask(t, reply(200, "application/json", body), Options{}, speaking())
	if err != nil || r.MCP.Content != nil || r.MCP.Asks == nil || r.MCP.Asks.State != "sé" || string(r.MCP.Asks.Requests) != `{"r":{"method":"roots/list"}}` {
		t.Errorf("got %+v %v", r, err)
	}
}

// TestMCPFaults: HTTP's faults stay what they are, and what is no JSON, or half
// of it, is no result.
func TestMCPFaults(t *testing.T) {
	long := `{"content":[{"type":"text","text":"` + strings.Repeat("x", 200) + `"}]}`
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		kind    Kind
	}{
		"404":      {reply(404, "application/json", `{"content":`+hello+`}`), Rejected},
		"500":      {reply(500, "application/json", `{"content":`+hello+`}`), Unavailable},
		"text":     {reply(200, "text/plain", `{"content":`+hello+`}`), Unavailable},
		"image":    {reply(200, "image/png", "\x89PNG\x00"), Unavailable},
		"broken":   {reply(200, "application/json", `{"content":[`), Unavailable},
		"too long": {reply(200, "application/json", long), TooLarge},
		"stream":   {reply(200, "application/x-ndjson", long), TooLarge},
	} {
		_, err := ask(t, tt.handler, Options{MaxResponse: 100}, speaking())
		var e *Error
		if !errors.As(err, &e) || e.Kind != tt.kind {
			t.Errorf("%s: got %v, want %s", name, err, tt.kind)
		}
	}
	r, err := ask(t, reply(404, "application/json", `{"content":`+hello+`}`), Options{}, func() *openapi.Action {
		a := speaking()
		a.Response.Success = []int{404}
		return a
	}())
	if err != nil || string(r.MCP.Content) != hello || r.Status != 404 {
		t.Errorf("a status that is a success: %+v %v", r, err)
	}
}

// TestMCPQuestions: a plugin can only ask where its document says how it gets
// the answer.
func TestMCPQuestions(t *testing.T) {
	const requests, state = `{"resultType":"input_required","inputRequests":{"r":{"method":"roots/list"}}}`, `{"resultType":"input_required","requestState":"s"}`
	for _, tt := range []struct {
		body           string
		answers, state bool
		ok             bool
	}{
		{requests, true, false, true},
		{requests, false, true, false},
		{state, false, true, true},
		{state, true, false, false},
		{state, false, false, false},
	} {
		a := speaking()
		a.Response.Answers, a.Response.State = tt.answers, tt.state
		if _, err := ask(t, reply(200, "application/json", tt.body), Options{}, a); (err == nil) != tt.ok {
			t.Errorf("%s with answers %v and state %v: %v", tt.body, tt.answers, tt.state, err)
		}
	}
}

// read gives the one action of a document.
func read(t *testing.T, document string) *openapi.Action {
	t.Helper()
	d := openapi.Read(openapi.Source{Name: "openapi.yaml", Data: []byte(document)}, openapi.Options{})
	if len(d.Actions) != 1 {
		t.Fatal(d.Findings)
	}
	return &d.Actions[0]
}

const asking = `
openapi: 3.1.0
info: {title: Jobs, version: "1"}
paths:
  /jobs:
    post:
      operationId: start
      x-action:
        output: {mode: mcp, inputResponses: body.in.answers, requestState: header.X-State, capabilities: query.client}
      parameters:
        - {name: X-State, in: header, schema: {type: string}}
        - {name: client, in: query, content: {application/json: {schema: {type: object}}}}
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [name]
              properties: {name: {type: string}, in: {type: object, properties: {answers: {type: object}}}}
      responses: {'200': {description: Done.}}
`

// TestInput: what the gateway knows goes where the document says, with all its
// digits, and is not sent where there is none. A caller cannot say it instead.
func TestInput(t *testing.T) {
	a := read(t, asking)
	if strings.Contains(string(a.InputSchema), "answers") || !a.Response.Asks() {
		t.Fatalf("schema %s, asks %v", a.InputSchema, a.Response.Asks())
	}
	c := newClient(t, Options{BaseURL: "http://jobs.internal"})
	for _, tt := range []struct {
		in                Input
		url, header, body string
	}{
		{Input{}, "/jobs", "", `{"name":"x"}`},
		{Input{Capabilities: json.RawMessage(`{}`)}, "/jobs?client=%7B%7D", "", `{"name":"x"}`},
		{Input{Responses: json.RawMessage(`{"q":{"action":"accept","content":{"n":9007199254740993}}}`), State: "step 2"}, "/jobs", "step 2",
			`{"in":{"answers":{"q":{"action":"accept","content":{"n":9007199254740993}}}},"name":"x"}`},
	} {
		req, err := c.Request(WithInput(t.Context(), tt.in), a, map[string]any{"name": "x"})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || req.URL.RequestURI() != tt.url || req.Header.Get("X-State") != tt.header || string(body) != tt.body {
			t.Errorf("%+v\ngot  %s %q %s %v\nwant %s %q %s", tt.in, req.URL.RequestURI(), req.Header.Get("X-State"), body, err, tt.url, tt.header, tt.body)
		}
	}
	var e *Error
	if _, err := c.Request(WithInput(t.Context(), Input{State: "a\r\nX-Evil: 1"}), a, map[string]any{"name": "x"}); !errors.As(err, &e) || e.Kind != InvalidArguments {
		t.Errorf("a state that is two headers: %v", err)
	}
}

// TestRounds: a plugin that asks gets the answers and its state with the second
// request, over a real connection.
func TestRounds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-State") == "" {
			fmt.Fprint(w, `{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","params":{"message":"Sure?","requestedSchema":{"type":"object"}}}},"requestState":"one"}`)
			return
		}
		text, _ := json.Marshal(r.Header.Get("X-State") + " " + string(body))
		fmt.Fprintf(w, `{"content":[{"type":"text","text":%s}]}`, text)
	}))
	defer server.Close()
	c, a, arguments := newClient(t, Options{BaseURL: server.URL}), read(t, asking), map[string]any{"name": "x"}
	r, err := c.Invoke(t.Context(), a, arguments)
	if err != nil || r.MCP.Asks == nil {
		t.Fatal(r, err)
	}
	ctx := WithInput(t.Context(), Input{State: r.MCP.Asks.State, Responses: json.RawMessage(`{"q":{"action":"decline"}}`)})
	r, err = c.Invoke(ctx, a, arguments)
	want := `[{"type":"text","text":"one {\"in\":{\"answers\":{\"q\":{\"action\":\"decline\"}}},\"name\":\"x\"}"}]`
	if err != nil || string(r.MCP.Content) != want {
		t.Errorf("got %+v %v", r, err)
	}
}

// streams are the ways to write JSON texts one after the other.
var streams = map[string]func(item string) string{
	"application/x-ndjson": func(item string) string { return item + "\n" },
	"application/json-seq": func(item string) string { return "\x1e" + item + "\n" },
	"text/event-stream":    func(item string) string { return ": keep-alive\n\nevent: message\ndata: " + item + "\n\n" },
}

// TestNotes: notifications are told as they come, in order, and the result comes
// without them. The plugin goes on only when each was told.
func TestNotes(t *testing.T) {
	items := []string{
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"theirs","progress":0.10,"total":1,"message":"at HOST"}}`,
		`{"method":"notifications/message","params":{"level":"info","logger":"job","data":{"host":"HOST","token":"` + secret + `","n":9007199254740993}}}`,
		`{"method":"notifications/progress","params":{"progress":1}}`,
		`{"method":"notifications/message","params":{"level":"emergency","data":null}}`,
	}
	want := []string{
		`{0.10 1 at [plugin]}`, `info job {"host":"[plugin]","token":"[redacted]","n":9007199254740993}`, `{1  }`, `emergency  null`,
	}
	for mediaType, write := range streams {
		t.Run(mediaType, func(t *testing.T) {
			told := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", mediaType)
				for _, item := range items {
					_, _ = io.WriteString(w, write(strings.ReplaceAll(item, "HOST", r.Host)))
					_ = http.NewResponseController(w).Flush()
					<-told
				}
				_, _ = io.WriteString(w, write(`{"method":"notifications/unknown"}`)+write(`{"content":`+hello+`}`))
			}))
			defer server.Close()
			var got []string
			tell := func(line string) {
				got = append(got, line)
				told <- struct{}{}
			}
			ctx := WithProgress(t.Context(), func(p Progress) { tell(fmt.Sprint(p)) })
			ctx = WithLog(ctx, func(l Log) { tell(fmt.Sprint(l.Level, " ", l.Logger, " ", string(l.Data))) })
			r, err := newClient(t, Options{BaseURL: server.URL, Credentials: credentials}).Invoke(ctx, speaking(), nil)
			if err != nil || r.MCP == nil || string(r.MCP.Content) != hello || !slices.Equal(got, want) {
				t.Errorf("got  %q %+v %v\nwant %q", got, r, err, want)
			}
		})
	}
}

// TestNoteFaults: a stream that says something wrong is no result, whether or not
// anybody listens.
func TestNoteFaults(t *testing.T) {
	const result = `{"content":[]}`
	for name, tt := range map[string]struct{ body, cause string }{
		"no value":        {`{"method":"notifications/progress","params":{"message":"x"}}`, "params has no progress"},
		"value is text":   {`{"method":"notifications/progress","params":{"progress":"1"}}`, "params.progress is not a number"},
		"total is text":   {`{"method":"notifications/progress","params":{"progress":1,"total":"2"}}`, "params.total is not a number"},
		"no params":       {`{"method":"notifications/progress"}`, "params is not an object"},
		"unknown level":   {`{"method":"notifications/message","params":{"level":"loud","data":1}}`, "params.level is none of the eight"},
		"no data":         {`{"method":"notifications/message","params":{"level":"info"}}`, "params has no data"},
		"method's type":   {`{"method":1}`, "message.method is not a string"},
		"a request":       {`{"id":1,"method":"roots/list"}`, "message is a request; what the client is to be asked goes into inputRequests"},
		"a line of text":  {`hello`, "result is not an object"},
		"two results":     {result, "result is not an object"},
		"an RPC response": {`{"jsonrpc":"2.0","id":1,"result":{}}`, "result is not an object"},
	} {
		_, err := ask(t, reply(200, "application/x-ndjson", tt.body+"\n"+result+"\n"), Options{}, speaking())
		var e *Error
		if !errors.As(err, &e) || e.Kind != Unavailable || e.Err == nil || e.Err.Error() != tt.cause {
			t.Errorf("%s: got %v, want %s", name, err, tt.cause)
		}
	}
	if _, err := ask(t, reply(200, "application/x-ndjson", `{"method":"notifications/x"}`), Options{}, speaking()); err == nil {
		t.Error("a stream without a result")
	}
}

// TestLongStreams: the cap is for the result, and not for what was told on the
// way; a stream that never ends has none.
func TestLongStreams(t *testing.T) {
	many := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for i := range 1000 {
			fmt.Fprintf(w, `{"method":"notifications/progress","params":{"progress":%d}}`+"\n", i)
		}
		_, _ = io.WriteString(w, `{"content":`+hello+`}`)
	}
	if r, err := ask(t, many, Options{MaxResponse: 200}, speaking()); err != nil || string(r.MCP.Content) != hello {
		t.Errorf("got %+v %v", r, err)
	}
	a := speaking()
	a.Timeout = 50 * time.Millisecond
	_, err := ask(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, `{"content":`+hello+"}\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, Options{}, a)
	var e *Error
	if !errors.As(err, &e) || e.Kind != Timeout {
		t.Errorf("a stream that does not end: %v", err)
	}
}

// TestPlain: what callers get who do not speak MCP.
func TestPlain(t *testing.T) {
	for _, tt := range []struct{ body, json, text, fault string }{
		{`{"content":` + hello + `}`, "", "hello", ""},
		{`{"content":[]}`, "", "", ""},
		{`{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`, "", "a\nb", ""},
		{`{"content":` + hello + `,"structuredContent":{"a":1}}`, `{"a":1}`, "", ""},
		{`{"structuredContent":null}`, `null`, "", ""},
		{`{"content":[{"type":"text","text":"a"},{"type":"image","data":"","mimeType":"image/png","text":5}]}`,
			`[{"type":"text","text":"a"},{"type":"image","data":"","mimeType":"image/png","text":5}]`, "", ""},
		{`{"content":` + hello + `,"isError":true}`, "", "", "rejected: hello"},
		{`{"resultType":"input_required","requestState":"s"}`, "", "", "unavailable: " + CannotAsk},
	} {
		r, err := ask(t, reply(200, "application/json", tt.body), Options{}, speaking())
		if err != nil {
			t.Fatal(err)
		}
		plain, err := r.Plain()
		if tt.fault != "" {
			if err == nil || err.Error() != tt.fault {
				t.Errorf("%s: got %v", tt.body, err)
			}
			continue
		}
		if err != nil || string(plain.JSON) != tt.json || plain.Text != tt.text || plain.MCP != nil {
			t.Errorf("%s: got %+v %v", tt.body, plain, err)
		}
	}
}

// FuzzMCP: no body makes the gateway panic, and what is taken is a result once
// more when it is put together again.
func FuzzMCP(f *testing.F) {
	for _, seed := range []string{
		`{"content":` + hello + `,"_meta":{"mcp/x":1}}`, `{"structuredContent":{"a":[1e400]},"isError":false}`,
		`{"content":[{"type":"resource","resource":{"uri":"","blob":"AA=="}},{"type":"audio","data":"","mimeType":""}]}`,
		`{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}},"requestState":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Add([]byte(strings.Repeat("[", 20000)))
	f.Fuzz(func(t *testing.T, body []byte) {
		c := newClient(t, Options{})
		in := &answer{status: 200, media: parseMediaType("application/json"), body: body}
		r := &Result{Status: 200}
		if c.asJSON(speaking(), in, r) != nil {
			return
		}
		r, err := c.asMCP(speaking(), in, r)
		if err != nil {
			return
		}
		again := map[string]any{"content": r.MCP.Content, "isError": r.MCP.IsError}
		if r.MCP.Structured != nil {
			again["structuredContent"] = r.MCP.Structured
		}
		if r.MCP.Content == nil {
			delete(again, "content")
		}
		if r.MCP.Asks != nil {
			again = map[string]any{"resultType": "input_required", "requestState": r.MCP.Asks.State}
			if r.MCP.Asks.Requests != nil {
				again["inputRequests"] = r.MCP.Asks.Requests
			}
		}
		if r.MCP.Meta != nil {
			again["_meta"] = r.MCP.Meta
		}
		text, err := marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = parseMCP(text, nil); err != nil {
			t.Errorf("%s became %s: %v", body, text, err)
		}
	})
}
