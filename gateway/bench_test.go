package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// item is what the benchmarks' plugin answers: about 1 KB, as a real record is.
var item = []byte(`{"id":"42","name":"Thing","description":"` + strings.Repeat("lorem ipsum ", 75) + `","tags":["a","b"]}`)

const itemDocument = `
openapi: 3.1.0
info: {title: Items, version: "1"}
paths:
  /items/{id}:
    get:
      operationId: get-item
      x-action: true
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - {name: verbose, in: query, schema: {type: boolean}}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object}}}}}
`

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte  { return *p.Pool.Get().(*[]byte) }
func (p *bufferPool) Put(b []byte) { p.Pool.Put(&b) }

// BenchmarkToolsCall compares one tools/call through the whole gateway with the
// same message through httputil.ReverseProxy with a buffer pool, which passes it
// on unread: same plugin, same client, real sockets, one run. The client's and
// the plugin's work is in both figures.
func BenchmarkToolsCall(b *testing.B) {
	plugin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(item)
	}))
	defer plugin.Close()

	target, err := url.Parse(plugin.URL)
	if err != nil {
		b.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:  transport,
		BufferPool: &bufferPool{sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}},
	})
	defer proxy.Close()

	g := itemGateway(b, plugin.URL)
	served := httptest.NewServer(g.Handler())
	defer served.Close()
	endpoint := served.URL + "/mcp/items"
	session := openSession(b, endpoint)

	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"items_get-item","arguments":{"id":"42"}%s}}`
	modern := `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"b","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("path=reverseproxy/clients=%d", clients), func(b *testing.B) {
			load(b, clients, proxy.URL+"/items/42", fmt.Sprintf(call, ""), nil)
		})
		b.Run(fmt.Sprintf("path=2025-11-25/clients=%d", clients), func(b *testing.B) {
			load(b, clients, endpoint, fmt.Sprintf(call, ""), map[string]string{"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"})
		})
		b.Run(fmt.Sprintf("path=2026-07-28/clients=%d", clients), func(b *testing.B) {
			load(b, clients, endpoint, fmt.Sprintf(call, modern), map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "items_get-item"})
		})
	}
}

func itemGateway(b *testing.B, baseURL string) *gateway.Gateway {
	b.Helper()
	p, s := gateway.DefaultPlugin(), gateway.DefaultServer()
	p.Document, p.BaseURL = []byte(itemDocument), baseURL
	s.Actions.Include = []gateway.Rule{{ID: "items:*"}}
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + b.TempDir() + "/bench.db")
	cfg.Plugins = map[string]gateway.Plugin{"items": p}
	cfg.Servers = map[string]gateway.Server{"items": s}
	g, err := gateway.New(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = g.Close() })
	return g
}

func openSession(b *testing.B, endpoint string) string {
	b.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"b","version":"1"}}}`
	resp := send(b, http.DefaultClient, endpoint, body, nil)
	return resp.Get("Mcp-Session-Id")
}

// load sends one request over and over from a number of clients.
func load(b *testing.B, clients int, url, body string, header map[string]string) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	b.ReportAllocs()
	work := make(chan struct{}, clients)
	var running sync.WaitGroup
	b.ResetTimer()
	for range clients {
		running.Go(func() {
			for range work {
				send(b, client, url, body, header)
			}
		})
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	running.Wait()
}

func send(b *testing.B, client *http.Client, url, body string, header map[string]string) http.Header {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		b.Error(err)
		return nil
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"isError":true`)) {
		b.Errorf("%d %.200s %v", resp.StatusCode, answer, err)
	}
	return resp.Header
}

// BenchmarkLoad1000 takes a document of 1,000 operations from bytes to served
// tools.
func BenchmarkLoad1000(b *testing.B) {
	document := largeDocument(1000)
	p, s := gateway.DefaultPlugin(), gateway.DefaultServer()
	p.Document, p.BaseURL, p.Actions = document, "http://items.invalid", "all"
	s.Actions.Include = []gateway.Rule{{ID: "items:*"}}
	cfg := gateway.DefaultConfig()
	cfg.Plugins = map[string]gateway.Plugin{"items": p}
	cfg.Servers = map[string]gateway.Server{"items": s}
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		g, err := gateway.New(context.Background(), cfg, gateway.Offline())
		if err != nil {
			b.Fatal(err)
		}
		if n := len(g.Servers()[0].Tools); n != 1000 {
			b.Fatalf("%d tools", n)
		}
		_ = g.Close()
	}
}

// largeDocument has n operations, four a resource, that share schemas.
func largeDocument(n int) []byte {
	var d bytes.Buffer
	d.WriteString("openapi: 3.1.0\ninfo: {title: Large, version: \"1\"}\npaths:\n")
	for i := range n / 4 {
		fmt.Fprintf(&d, `  /things%[1]d/{id}:
    parameters: [{name: id, in: path, required: true, description: Which thing, schema: {type: string}}]
    get: {operationId: get-thing%[1]d, summary: Get a thing, responses: {"200": {$ref: "#/components/responses/Thing"}}}
    put: {operationId: put-thing%[1]d, summary: Put a thing, requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}, responses: {"200": {$ref: "#/components/responses/Thing"}}}
    delete: {operationId: delete-thing%[1]d, summary: Delete a thing, responses: {"204": {description: gone}}}
  /things%[1]d:
    get: {operationId: list-thing%[1]d, summary: List things, parameters: [{name: limit, in: query, schema: {type: integer}}, {name: tags, in: query, schema: {type: array, items: {type: string}}}], responses: {"200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Thing"}}}}}}}
`, i)
	}
	d.WriteString(`components:
  responses: {Thing: {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}}
  schemas:
    Thing: {type: object, required: [name], properties: {name: {type: string, minLength: 1}, size: {type: integer, minimum: 0}, color: {enum: [red, green]}, owner: {$ref: "#/components/schemas/Owner"}, parts: {type: array, items: {$ref: "#/components/schemas/Thing"}}}}
    Owner: {type: object, properties: {name: {type: string}, email: {type: string, format: email}}}
`)
	return d.Bytes()
}
