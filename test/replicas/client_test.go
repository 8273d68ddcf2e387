package replicas_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// client is an MCP client with a session, on connections of its own.
type client struct {
	url, session string
	http         http.Client
}

const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`

func (c *cluster) client() *client {
	return &client{url: c.url + "/mcp/all", http: http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// connect opens a session.
func (c *cluster) connect() *client {
	c.t.Helper()
	made := c.client()
	s, err := made.open(c.t.Context(), http.MethodPost, "", initialize)
	if err != nil || s.status != http.StatusOK {
		c.t.Fatalf("initialize: %v %+v", err, s)
	}
	defer s.close()
	made.session = s.header.Get("Mcp-Session-Id")
	return made
}

// stream is an answer as it comes: JSON is one event.
type stream struct {
	status int
	header http.Header
	body   io.ReadCloser
	lines  *bufio.Reader
	cancel context.CancelFunc
}

type event struct{ id, name, data string }

// open sends a request; every answer has to come within patience.
func (c *client) open(ctx context.Context, method, lastEvent, body string) (*stream, error) {
	return c.openAt(ctx, method, c.url, lastEvent, body)
}

func (c *client) openAt(ctx context.Context, method, url, lastEvent, body string) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		cancel()
		return nil, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Session-Id": c.session, "Last-Event-ID": lastEvent,
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	response, err := c.http.Do(r)
	if err != nil {
		cancel()
		return nil, err
	}
	return &stream{response.StatusCode, response.Header, response.Body, bufio.NewReader(response.Body), cancel}, nil
}

func (s *stream) close() {
	s.cancel()
	_ = s.body.Close()
}

// next gives the next event that has data, io.EOF at the end.
func (s *stream) next() (e event, err error) {
	if s.header.Get("Content-Type") != "text/event-stream" {
		raw, err := io.ReadAll(s.lines)
		if err == nil && len(raw) == 0 {
			err = io.EOF
		}
		return event{data: string(raw)}, err
	}
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data":
			e.data += value
		case line == "\n" && e.data != "":
			return e, nil
		}
	}
}

// want is next, of which the data must contain the text.
func (s *stream) want(t testing.TB, text string) event {
	t.Helper()
	e, err := s.next()
	if err != nil || !strings.Contains(e.data, text) {
		t.Fatalf("event %+v, %v; want %s (status %d)", e, err, text, s.status)
	}
	return e
}

// outcome of a call: what kind of end it had.
type outcome int

const (
	right   outcome = iota // its own answer
	failed                 // a connection that broke, or an error that says so: the client may try again
	lost                   // the session is gone
	hung                   // nothing came within patience
	crossed                // another's answer or progress
)

// call calls a tool that says what it is told, and looks at all that comes back.
func (c *client) call(ctx context.Context, id int, tool, say string, ms, n int) (outcome, string) {
	begun := time.Now()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":{"say":%q,"ms":%d,"n":%d},"_meta":{"progressToken":%q}}}`, id, tool, say, ms, n, say)
	if tool == "echo" {
		body = strings.Replace(body, fmt.Sprintf(`,"n":%d`, n), "", 1)
	}
	s, err := c.open(ctx, http.MethodPost, "", body)
	if err != nil {
		return broken(err, begun)
	}
	defer s.close()
	for {
		e, err := s.next()
		switch {
		case err != nil:
			return broken(err, begun)
		case s.status == http.StatusNotFound:
			return lost, e.data
		case s.status != http.StatusOK:
			return failed, fmt.Sprintf("status %d: %s", s.status, e.data)
		}
		var m struct {
			ID     *int
			Method string
			Params struct{ ProgressToken, Message string }
			Result struct {
				IsError           bool
				StructuredContent json.RawMessage
			}
			Error json.RawMessage
		}
		if err := json.Unmarshal([]byte(e.data), &m); err != nil {
			return crossed, e.data // half a message is nobody's
		}
		switch {
		case m.Method != "":
			if m.Params.ProgressToken != say || !strings.HasPrefix(m.Params.Message, say+"-") {
				return crossed, e.data
			}
		case m.ID == nil || *m.ID != id:
			return crossed, e.data
		case m.Error != nil || m.Result.IsError:
			return failed, e.data
		default:
			said := strings.Count(string(m.Result.StructuredContent), `"`+say)
			if tool == "echo" && said != 1 || tool == "steps" && said != n {
				return crossed, e.data
			}
			return right, ""
		}
	}
}

// broken is a failure, unless it was patience that broke.
func broken(err error, begun time.Time) (outcome, string) {
	if errors.Is(err, context.DeadlineExceeded) {
		return hung, err.Error()
	}
	return failed, fmt.Sprintf("after %v: %v", time.Since(begun).Round(time.Millisecond), err)
}
