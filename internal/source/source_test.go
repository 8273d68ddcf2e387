package source

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	b := write(t, filepath.Join(dir, "b.yaml"), "b")
	a := write(t, filepath.Join(dir, "deep", "a.yaml"), "a")
	docs, err := Read(context.Background(), filepath.Join(dir, "**", "*.yaml"), nil)
	if err != nil || len(docs) != 2 || docs[0].Name != b || docs[1].Name != a || string(docs[1].Data) != "a" {
		t.Errorf("got %v %v", docs, err)
	}
	huge := filepath.Join(dir, "huge.json")
	if f, err := os.Create(huge); err != nil || f.Truncate(MaxDocument+1) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]string{
		filepath.Join(dir, "c.yaml"): "does not exist",
		dir:                          "more than the limit", // a folder is read: b.yaml is no document, huge.json is too large
		filepath.Join(dir, "*.xml"):  "matches no file",
		huge:                         "more than the limit",
		filepath.Join(dir, "[a"):     "glob",
	} {
		if _, err := Read(context.Background(), spec, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", spec, err, want)
		}
	}
}

func TestFetch(t *testing.T) {
	var other *httptest.Server
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Authorization")) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, MaxDocument+1) })
	server := httptest.NewServer(mux)
	defer server.Close()
	other = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("credentials left their host") }))
	defer other.Close()

	header := http.Header{"Authorization": {"Bearer x"}}
	for _, path := range []string{"/ok", "/moved"} {
		docs, err := Read(context.Background(), server.URL+path, header)
		if err != nil || len(docs) != 1 || string(docs[0].Data) != "Bearer x" || docs[0].Name != server.URL+"/ok" {
			t.Errorf("%s: got %v %v", path, docs, err)
		}
	}
	for path, want := range map[string]string{
		"/none?token=canary": "answered with HTTP 404",
		"/away":              "redirects to another host",
		"/loop":              "redirects too often",
		"/huge":              "is larger than",
	} {
		_, err := Read(context.Background(), server.URL+path, header)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestDisplayHidesSecrets(t *testing.T) {
	if got := Display("https://user:canary@host/x?key=canary#canary"); got != "https://host/x" {
		t.Error(got)
	}
}
