package catalog

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stagedoor/stagedoor/internal/store"
)

// newStore is a real database of its own.
func newStore(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+t.TempDir()+"/catalog.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// newTest is a catalog that has read its locations.
func newTest(t testing.TB, o Options) *Catalog {
	t.Helper()
	if o.Store == nil {
		o.Store = newStore(t)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, c)
	return c
}

func newExample(t testing.TB) *Catalog {
	return newTest(t, Options{Locations: []string{"embedded:example"}})
}

func refresh(t testing.TB, c *Catalog) {
	t.Helper()
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// call makes a request with a JSON body, "" for none.
func call(t testing.TB, c http.Handler, method, path, body string) (int, any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if w.Body.Len() == 0 {
		return w.Code, nil
	}
	var v any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
	}
	return w.Code, v
}

// ok makes a request that must succeed, and gives the answer as an object.
func ok(t testing.TB, c http.Handler, method, path, body string) map[string]any {
	t.Helper()
	status, v := call(t, c, method, path, body)
	if status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("%s %s: %d %v", method, path, status, v)
	}
	m, _ := v.(map[string]any)
	return m
}

// refused makes a request that must fail with the status, and gives its message.
func refused(t testing.TB, c http.Handler, method, path, body string, status int) string {
	t.Helper()
	got, v := call(t, c, method, path, body)
	m, _ := v.(map[string]any)
	if got != status {
		t.Fatalf("%s %s: %d, want %d: %v", method, path, got, status, v)
	}
	return text(object(m, "error"), "message")
}

// names are the refs of the items in an answer, in order, without "default/".
func names(answer any) []string {
	list, ok := answer.([]any)
	if m, is := answer.(map[string]any); is {
		list, ok = m["items"].([]any)
	}
	if !ok {
		return nil
	}
	refs := []string{}
	for _, v := range list {
		if e, ok := v.(map[string]any); ok {
			refs = append(refs, strings.Replace(refOf(e).String(), ":default/", ":", 1))
		} else {
			refs = append(refs, "null")
		}
	}
	return refs
}

// write puts files into a folder and gives the folder.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		writeFile(t, filepath.Join(dir, name), content)
	}
	return dir
}

func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// component is the YAML of a small valid component.
func component(name string, more ...string) string {
	return "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: " + name +
		"\nspec:\n  type: service\n  lifecycle: production\n  owner: team\n" + strings.Join(more, "") + "---\n"
}

// locationTo is the YAML of a Location entity.
func locationTo(name string, targets ...string) string {
	list, _ := json.Marshal(targets)
	return "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: " + name + "}\nspec: {targets: " + string(list) + "}\n---\n"
}

// logs collects what is logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newJSONLogger() (*slog.Logger, *logs) {
	l := &logs{}
	return slog.New(slog.NewJSONHandler(l, nil)), l
}

func newLogger() (*slog.Logger, *logs) {
	l := &logs{}
	return slog.New(slog.NewTextHandler(l, nil)), l
}
