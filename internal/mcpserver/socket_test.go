package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gorilla/mux"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// listen serves the handler on a real socket.
func listen(t testing.TB, h *Handler) *httptest.Server {
	t.Helper()
	router := mux.NewRouter()
	h.Routes(router)
	s := httptest.NewServer(router)
	t.Cleanup(s.Close)
	return s
}

func connect(t *testing.T, url, version string) *client.Client {
	t.Helper()
	tr, err := transport.NewStreamableHTTP(url)
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewClient(tr, client.WithProtocolVersion(version))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	request := mcp.InitializeRequest{}
	request.Params.ProtocolVersion = version
	request.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	result, err := c.Initialize(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if result.ProtocolVersion != version || result.ServerInfo.Name != "catalog" {
		t.Fatalf("initialize: %+v", result)
	}
	return c
}

func TestRealClient(t *testing.T) {
	h := newTestHandler(t, Options{})
	s := listen(t, h)
	for _, version := range mcp.ValidProtocolVersions {
		t.Run(version, func(t *testing.T) {
			c := connect(t, s.URL+"/mcp/catalog", version)
			tools, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
			if err != nil || len(tools.Tools) != len(testServers()[0].Tools) {
				t.Fatalf("%+v, %v", tools, err)
			}
			call := mcp.CallToolRequest{}
			call.Params.Name, call.Params.Arguments = "fake_echo", map[string]any{"a": "é"}
			result, err := c.CallTool(t.Context(), call)
			if err != nil || result.IsError {
				t.Fatalf("%+v, %v", result, err)
			}
			if text, ok := result.Content[0].(mcp.TextContent); !ok || text.Text != `{"you":"","said":{"a":"é"}}` {
				t.Errorf("%+v", result.Content)
			}
			call.Params.Name = "fake_rejected"
			if result, err = c.CallTool(t.Context(), call); err != nil || !result.IsError {
				t.Errorf("%+v, %v", result, err)
			}
			call.Params.Name = "nope"
			if result, err = c.CallTool(t.Context(), call); err == nil {
				t.Errorf("an unknown tool: %+v", result)
			}
			if !mcp.IsModernProtocol(version) {
				if err := c.Ping(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// post sends one message over the socket.
func post(ctx context.Context, url string, hs headers, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	for k, v := range hs {
		r.Header.Set(k, v)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, string(raw), err
}

// A thousand calls over fifty sessions and as many modern ones, all with the
// same ids, while every session cancels what is not its own: each gets its own answer.
func TestAnswersAreNeverCrossed(t *testing.T) {
	h := newTestHandler(t, Options{})
	url := listen(t, h).URL + "/mcp/catalog"
	var wrong, total atomic.Int64
	var wg sync.WaitGroup
	for s := range 50 {
		user := fmt.Sprintf("user%d", s)
		session := startSession(t, h, "/mcp/catalog", "2025-11-25", user)
		wg.Go(func() {
			for i := range 20 {
				id, said := fmt.Sprint(i%3), fmt.Sprintf("%s-%d", user, i)
				arguments := `{"said":"` + said + `"}`
				hs, body := headers{"Mcp-Session-Id": session, "X-User": user}, callBody(id, "fake_echo", arguments)
				if i%2 == 1 {
					hs, body = modernHeaders("tools/call", "fake_echo"), modernCall(id, "fake_echo", arguments)
					hs["X-User"] = user
				}
				status, raw, err := post(t.Context(), url, hs, body)
				total.Add(1)
				if err != nil || status != 200 || !echoes(raw, id, user, said) {
					wrong.Add(1)
					t.Errorf("%d %s %v", status, raw, err)
				}
				cancel := fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, (i+1)%3)
				if _, _, err := post(t.Context(), url, modernHeaders("notifications/cancelled", ""), cancel); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 || total.Load() != 1000 {
		t.Errorf("%d of %d answers were wrong", wrong.Load(), total.Load())
	}
	if n := len(h.inflight.calls); n > 0 {
		t.Errorf("%d calls are remembered for ever", n)
	}
}

func echoes(raw, id, user, said string) bool {
	var a struct {
		ID     json.RawMessage
		Result struct {
			StructuredContent struct {
				You  string
				Said struct{ Said string }
			}
		}
	}
	if json.Unmarshal([]byte(raw), &a) != nil {
		return false
	}
	content := a.Result.StructuredContent
	return string(a.ID) == id && content.You == user && content.Said.Said == said
}

// Servers may change under calls: each call sees one whole set.
func TestReloadUnderCalls(t *testing.T) {
	h := newTestHandler(t, Options{})
	session := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": session}, callBody("1", "fake_owners", "{}"))
				if w.Code != 200 || !strings.Contains(w.Body.String(), "ada") {
					t.Errorf("%d %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	for range 50 {
		if err := h.SetServers(testServers()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}
