package mcpserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the transcripts' responses anew")

// Each transcript is a conversation: requests as a client writes them, and
// what the wire says back. $SESSION is the session that was opened last.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runTranscript(t, file) })
	}
}

func runTranscript(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h := newTestHandler(t, Options{Secret: []byte("transcripts")})
	session := ""
	played := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		if f.Name != "request" {
			continue
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, readRequest(t, bytes.ReplaceAll(f.Data, []byte("$SESSION"), []byte(session))))
		if id := w.Header().Get("Mcp-Session-Id"); id != "" {
			session = id
		}
		played.Files = append(played.Files, f, txtar.File{Name: "response", Data: writeResponse(t, w, session)})
	}
	got := txtar.Format(played)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(archive)), string(got)); diff != "" {
		t.Errorf("transcript - wire + (go test -update accepts the wire)\n%s", diff)
	}
}

// readRequest reads a request line, headers, a blank line and a body.
func readRequest(t *testing.T, raw []byte) *http.Request {
	t.Helper()
	head, body, _ := bytes.Cut(raw, []byte("\n\n"))
	lines := bufio.NewScanner(bytes.NewReader(head))
	lines.Scan()
	method, path, ok := strings.Cut(lines.Text(), " ")
	if !ok {
		t.Fatalf("request line %q", lines.Text())
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(bytes.TrimSpace(body)))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		r.Header.Add(name, value)
	}
	return r
}

func writeResponse(t *testing.T, w *httptest.ResponseRecorder, session string) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, w.Code)
	for _, name := range []string{"Allow", "Content-Type", "Mcp-Session-Id", "Www-Authenticate"} {
		if value := w.Header().Get(name); value != "" {
			if value == session {
				value = "$SESSION"
			}
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	if w.Body.Len() > 0 {
		b.WriteByte('\n')
		if err := json.Indent(&b, w.Body.Bytes(), "", "  "); err != nil {
			t.Fatalf("body %q: %v", w.Body, err)
		}
		b.WriteByte('\n')
	}
	return []byte(maskRefs(b.String()))
}
