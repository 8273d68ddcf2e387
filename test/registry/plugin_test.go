// Package registry_test has plugins come, go and misbehave before a gateway,
// and watches the other plugins meanwhile.
package registry_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// plugin is a service on a socket: its document at /openapi.json, its API below
// /api. Both can be made to misbehave. It is also a Backstage backend whose plugin
// of that name has an action that looks, and those that the text says.
type plugin struct {
	*httptest.Server
	name     string
	text     atomic.Pointer[string]
	document atomic.Pointer[http.HandlerFunc] // nil: it serves the text
	api      atomic.Pointer[http.HandlerFunc] // nil: it answers
	asked    atomic.Int64                     // for its document
	called   atomic.Int64
}

func newPlugin(t testing.TB, name string, operations ...string) *plugin {
	t.Helper()
	p := &plugin{name: name}
	p.publish(operations...)
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() { p.end() })
	return p
}

// end breaks all connections: nothing may wait for handlers that hang.
func (p *plugin) end() {
	p.CloseClientConnections()
	p.Close()
}

// stop has the plugin be down, at once and for all that is under way.
func (p *plugin) stop() { p.end() }

// start has it come back at the same address.
func (p *plugin) start(t testing.TB) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", p.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}}
	p.Start()
}

// ServeHTTP implements [http.Handler].
func (p *plugin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch handler := p.document.Load(); {
	case r.URL.Path == "/api/"+p.name+"/.backstage/actions/v1/actions":
		_, _ = fmt.Fprintf(w, `{"actions":[{"id":"%[1]s:%[1]s-look","name":"%[1]s-look","title":"Look","description":"Looks.",
			"attributes":{"readOnly":true,"destructive":false,"idempotent":true},"schema":{"input":{"type":"object"},"output":{"type":"object"}}}%[2]s]}`, p.name, *p.text.Load())
	case strings.HasPrefix(r.URL.Path, "/api/"):
		p.called.Add(1)
		if api := p.api.Load(); api != nil {
			(*api)(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"plugin":%q}`, p.name)
	case r.URL.Path != "/openapi.json":
		http.NotFound(w, r)
	default:
		p.asked.Add(1)
		if handler != nil {
			(*handler)(w, r)
			return
		}
		serveText(w, r, *p.text.Load())
	}
}

func serveText(w http.ResponseWriter, r *http.Request, text string) {
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(text)))
	w.Header().Set("Etag", etag)
	w.Header().Set("Content-Type", "application/yaml")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = fmt.Fprint(w, text)
}

// publish has the document say these operations.
func (p *plugin) publish(operations ...string) {
	p.text.Store(new(documentOf(p.name, operations...)))
}

// documentOf describes operations that are GETs without parameters.
func documentOf(name string, operations ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "openapi: 3.1.0\ninfo: {title: %s, version: '1'}\npaths:\n", name)
	for _, operation := range operations {
		fmt.Fprintf(&b, `  /api/%[1]s:
    get:
      operationId: %[1]s
      description: Does %[1]s.
      x-action: true
      responses: {'200': {description: ok, content: {application/json: {schema: {type: object}}}}}
`, operation)
	}
	return b.String()
}

// misbehave has the document, or with nil no more, be served so.
func (p *plugin) misbehave(h http.HandlerFunc) {
	if h == nil {
		p.document.Store(nil)
		return
	}
	p.document.Store(&h)
}

// fail has the API, or with nil no more, answer so.
func (p *plugin) fail(h http.HandlerFunc) {
	if h == nil {
		p.api.Store(nil)
		return
	}
	p.api.Store(&h)
}
