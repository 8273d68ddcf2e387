package mcpserver

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

// withToken puts a progress token into a call's _meta.
func withToken(e era, token string) (hs headers, body string) {
	const params = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"fake_steps","_meta":{`
	if e == modern {
		return modernHeaders("tools/call", "fake_steps"), params + `"progressToken":` + token + `,` + strings.TrimPrefix(modernMeta, `"_meta":{`) + `}}`
	}
	return headers{}, params + `"progressToken":` + token + `}}}`
}

// withoutIDs leaves out what makes a stream resumable.
func withoutIDs(events string) string {
	return regexp.MustCompile(`(?m)^(id: .*\nretry: 1000\ndata: \n\n|id: .*\n)`).ReplaceAllString(events, "")
}

// TestProgress: who asks for progress, and can read events, gets them before
// the result; everybody else gets plain JSON.
func TestProgress(t *testing.T) {
	h := newTestHandler(t, Options{})
	session := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	for e := range eras {
		for _, test := range []struct {
			token, accept string
			streams       bool
		}{
			{`"t\u00e9 1"`, "application/json, text/event-stream", true},
			{`7`, "text/event-stream, application/json", true},
			{`7`, "application/json", false},
			{`7`, "application/json, text/event-stream;q=0", false},
			{`7`, "*/*", false},
			{`null`, "application/json, text/event-stream", false},
			{`{}`, "application/json, text/event-stream", false},
		} {
			hs, body := withToken(e, test.token)
			hs["Accept"] = test.accept
			if e == legacy {
				hs["Mcp-Session-Id"] = session
			}
			w := serve(h, "POST", "/mcp/catalog", hs, body)
			result := `{"jsonrpc":"2.0","id":7,"result":`
			if !test.streams {
				if w.Header().Get("Content-Type") != "application/json" || !strings.HasPrefix(w.Body.String(), result) {
					t.Errorf("era %d, %s, %s: %s", e, test.token, test.accept, w.Body)
				}
				continue
			}
			note := "event: message\ndata: " + `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + test.token + `,"progress":`
			want := note + `1,"message":"one\n"}}` + "\n\n" + note + "2}}\n\n" + note + `3,"message":"three"}}` + "\n\nevent: message\ndata: " + result
			got := withoutIDs(w.Body.String())
			if w.Code != 200 || !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "}\n\n") || strings.Count(got, "\n\n") != 4 {
				t.Errorf("era %d: %d\n%s\nwant\n%s", e, w.Code, got, want)
			}
			last := got[strings.LastIndex(got, "data: ")+len("data: "):]
			if !json.Valid([]byte(last)) || !strings.Contains(last, "[1,2,3]") {
				t.Errorf("result %s", last)
			}
			if hs := w.Header(); hs.Get("Content-Type") != "text/event-stream" || hs.Get("X-Accel-Buffering") != "no" || hs.Get("Content-Length") != "" {
				t.Errorf("headers %v", hs)
			}
		}
	}
}

// A batch has one answer for all its messages, so nothing comes before it.
func TestNoProgressInBatches(t *testing.T) {
	h := newTestHandler(t, Options{})
	_, body := withToken(legacy, "1")
	w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": startSession(t, h, "/mcp/catalog", "2025-03-26", "")}, "["+body+"]")
	if !strings.HasPrefix(w.Body.String(), `[{"jsonrpc":"2.0","id":7,"result"`) {
		t.Errorf("got %s", w.Body)
	}
}

// TestProgressIsLimited: a hot stream does not flood its client.
func TestProgressIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		x := &exchange{handler: newTestHandler(t, Options{}), w: w, r: newRequest("POST", "/", nil, "")}
		x.stream.allowed = true
		told := x.progress([]byte("1"))
		for i := range 1000 {
			told(invoke.Progress{Value: json.Number(strconv.Itoa(i + 1))})
			time.Sleep(time.Millisecond) // synctest's clock
		}
		if got := strings.Count(w.Body.String(), "event:"); got < progressBurst+8 || got > progressBurst+10 {
			t.Errorf("%d notifications in a second", got)
		}
	})
}

// A client that is gone costs no more writes.
func TestBrokenStream(t *testing.T) {
	w := &brokenWriter{}
	x := &exchange{handler: newTestHandler(t, Options{}), w: w, r: newRequest("POST", "/", nil, "")}
	x.stream.allowed = true
	told := x.progress([]byte("1"))
	told(invoke.Progress{Value: "1"})
	told(invoke.Progress{Value: "2"})
	x.send(http.StatusOK, []byte("{}"))
	if w.writes != 1 {
		t.Errorf("%d writes", w.writes)
	}
}

type brokenWriter struct {
	httptest.ResponseRecorder
	writes int
}

func (w *brokenWriter) Header() http.Header { return http.Header{} }

func (w *brokenWriter) Write([]byte) (int, error) {
	w.writes++
	return 0, http.ErrHandlerTimeout
}
