package mcpserver

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// timed is a ResponseWriter that tells when it was given how long.
type timed struct {
	*httptest.ResponseRecorder
	did  []string
	fail bool
}

func (w *timed) SetWriteDeadline(at time.Time) error {
	text := "no deadline"
	if !at.IsZero() {
		text = fmt.Sprintf("deadline %d s", int(time.Until(at).Round(time.Second).Seconds()))
	}
	w.did = append(w.did, text)
	return nil
}

func (w *timed) Write(b []byte) (int, error) {
	w.did = append(w.did, fmt.Sprintf("write %d", len(b)))
	if w.fail {
		return 0, http.ErrHandlerTimeout
	}
	return w.ResponseRecorder.Write(b)
}

func (w *timed) FlushError() error {
	w.did = append(w.did, "flush")
	return nil
}

// A plain answer has a deadline, too: longer for larger ones, and none that the
// next one on the connection would suffer from.
func TestAnswersHaveDeadlines(t *testing.T) {
	for want, test := range map[string]struct {
		parts [][]byte
		fail  bool
	}{
		"deadline 30 s, write 2, write 1, flush, no deadline": {parts: [][]byte{[]byte("{}"), []byte("\n")}},
		"deadline 46 s, write 1048576, flush, no deadline":    {parts: [][]byte{make([]byte, 1<<20)}},
		"deadline 30 s, write 2":                              {parts: [][]byte{[]byte("{}"), []byte("\n")}, fail: true},
	} {
		w := &timed{ResponseRecorder: httptest.NewRecorder(), fail: test.fail}
		sendJSON(w, 200, test.parts)
		if got := strings.Join(w.did, ", "); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}
