package mcpserver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// constInvoker answers at once, so that a benchmark measures the transport.
type constInvoker struct{ result *invoke.Result }

func (c constInvoker) Invoke(context.Context, registry.Call) (*invoke.Result, error) {
	return c.result, nil
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func benchHandler(b *testing.B) *Handler {
	item := []byte(`{"kind":"Component","metadata":{"name":"payments","namespace":"default"},"spec":{"owner":"team-a"}}`)
	body := append(append([]byte(`{"items":[`), bytes.Join([][]byte{item, item, item, item, item, item, item, item}, []byte(","))...), `]}`...)
	return newTestHandler(b, Options{
		Invoker: constInvoker{&invoke.Result{JSON: body}}, Store: newMemoryStore(),
	})
}

const benchArguments = `{"kind":"Component","filter":{"owner":"team-a"},"limit":20}`

// BenchmarkToolsCall is a call through the whole handler, and through mcp-go's
// own transport with the same tools and the same invoker.
func BenchmarkToolsCall(b *testing.B) {
	h := benchHandler(b)
	session := startSession(b, h, "/mcp/catalog", "2025-11-25", "")
	stock := stockTransport(b, h)
	for _, bench := range []struct {
		name    string
		handler http.Handler
		headers headers
		body    string
	}{
		{"legacy/straight", h, headers{"Mcp-Session-Id": session}, callBody("1", "fake_echo", benchArguments)},
		{"legacy/mcp-go", stock, headers{}, callBody("1", "fake_echo", benchArguments)},
		{"modern/straight", h, modernHeaders("tools/call", "fake_echo"), modernCall("1", "fake_echo", benchArguments)},
		{"modern/mcp-go", stock, modernHeaders("tools/call", "fake_echo"), modernCall("1", "fake_echo", benchArguments)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := newRequest("POST", "/mcp/catalog", bench.headers, bench.body)
			w := httptest.NewRecorder()
			bench.handler.ServeHTTP(w, r)
			if w.Code != 200 || !bytes.Contains(w.Body.Bytes(), []byte("payments")) {
				b.Fatalf("%d %s", w.Code, w.Body)
			}
			body := bytes.NewReader([]byte(bench.body))
			b.ReportAllocs()
			for b.Loop() {
				body.Reset([]byte(bench.body))
				r.Body = io.NopCloser(body)
				bench.handler.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
}

// stockTransport is what mcp-go would have us use.
func stockTransport(b *testing.B, h *Handler) http.Handler {
	catalog := (*h.servers.Load())["catalog"]
	return mcpgo.NewStreamableHTTPServer(withTools(h, catalog), mcpgo.WithStateLess(true),
		mcpgo.WithHTTPContextFunc(func(ctx context.Context, r *http.Request) context.Context {
			q := asked{x: &exchange{r: r, server: catalog}, m: &envelope{arguments: []byte(benchArguments)}}
			return context.WithValue(ctx, askedKey{}, q)
		}))
}

func BenchmarkToolsList(b *testing.B) {
	h := benchHandler(b)
	big := &registry.Server{Door: testDoor, Name: "big"}
	for i := range 1000 {
		big.Tools = append(big.Tools, registry.Tool{Name: fmt.Sprintf("tool_%d", i), Action: action("echo", ownersSchema)})
	}
	if err := h.SetServers([]*registry.Server{big}); err != nil {
		b.Fatal(err)
	}
	session := startSession(b, h, "/mcp/big", "2025-11-25", "")
	r := newRequest("POST", "/mcp/big", headers{"Mcp-Session-Id": session}, "")
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(bytes.NewReader([]byte(list)))
		h.ServeHTTP(discard{http.Header{}}, r)
	}
}

// BenchmarkSetServers: of 10,000 tools of a server 50 changed.
func BenchmarkSetServers(b *testing.B) {
	h := benchHandler(b)
	big := &registry.Server{Door: testDoor, Name: "big", ListPage: 1000}
	for i := range 10000 {
		big.Tools = append(big.Tools, registry.Tool{Name: fmt.Sprintf("tool_%05d", i), Action: action("echo", ownersSchema)})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		next := *big
		next.Tools = slices.Clone(big.Tools)
		for j := range 50 {
			next.Tools[j].Action = action(fmt.Sprint("echo", i), ownersSchema)
		}
		if err := h.SetServers([]*registry.Server{&next}); err != nil {
			b.Fatal(err)
		}
	}
}
