package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/openapi"
)

// open goes the way that the reader goes.
func open(f *Files, from, ref string) (name, data string, err error) {
	if name, err = f.Resolve(from, ref); err != nil {
		return "", "", err
	}
	bytes, err := f.Open(name)
	return name, string(bytes), err
}

func TestLocalRefs(t *testing.T) {
	outside := t.TempDir()
	secret := write(t, filepath.Join(outside, "secret.yaml"), "canary")
	dir := filepath.Join(t.TempDir(), "api")
	entry := write(t, filepath.Join(dir, "openapi.yaml"), "entry")
	pet := write(t, filepath.Join(dir, "schemas", "pet one.yaml"), "pet")
	write(t, filepath.Join(dir, "..", "beside.yaml"), "canary")
	for link, to := range map[string]string{"out.yaml": secret, "out": outside, "in.yaml": filepath.Join("schemas", "pet one.yaml")} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	f := NewFiles(t.Context(), Local, entry, openapi.Source{Name: entry}, nil)
	for _, tt := range []struct{ from, ref, name, data string }{
		{entry, "schemas/pet%20one.yaml", pet, "pet"},
		{entry, "./schemas/../schemas/pet%20one.yaml", pet, "pet"},
		{pet, "pet%20one.yaml", pet, "pet"},
		{pet, "../openapi.yaml", entry, "entry"},
		{entry, "in.yaml", filepath.Join(dir, "in.yaml"), "pet"},
	} {
		if name, data, err := open(f, tt.from, tt.ref); name != tt.name || data != tt.data || err != nil {
			t.Errorf("%s: got %q %q %v", tt.ref, name, data, err)
		}
	}
	for ref, want := range map[string]string{
		"../beside.yaml":                "outside the document's folder",
		"schemas/../../beside.yaml":     "outside the document's folder",
		"%2e%2e/beside.yaml":            "outside the document's folder",
		secret:                          "absolute path",
		"file://" + secret:              "is a URL",
		"http://127.0.0.1:1/x.yaml":     "is a URL",
		"//127.0.0.1/x.yaml":            "is a URL",
		"none.yaml":                     "does not exist",
		"schemas":                       "not a regular file",
		"out.yaml":                      "escapes",
		"out/secret.yaml":               "escapes",
		"schemas/pet one.yaml\x00":      "no URL reference",
		"%zz":                           "no URL reference",
		strings.Repeat("a", 5000):       "too long",
		"schemas/pet%20one.yaml/x.yaml": "not a directory",
	} {
		if _, data, err := open(f, entry, ref); err == nil || !strings.Contains(err.Error(), want) || data != "" {
			t.Errorf("%s: got %q %v, want %s", ref, data, err, want)
		}
	}
	if paths := f.Paths(); !slices.Contains(paths, pet) || !slices.Contains(paths, filepath.Join(dir, "none.yaml")) {
		t.Errorf("got %v", paths)
	}
}

func TestRefsThatAreClosed(t *testing.T) {
	for _, tt := range []struct {
		refs       Refs
		spec, hint string
	}{
		{None, "openapi.yaml", "refs: local"}, {None, "https://x.example/openapi.yaml", "refs: origin"}, {Local, "https://x.example/openapi.yaml", "refs: origin"},
	} {
		f := NewFiles(t.Context(), tt.refs, tt.spec, openapi.Source{Name: tt.spec}, nil)
		_, err := f.Resolve(tt.spec, "pet.yaml")
		var opening *openapi.OpenError
		if !errors.As(err, &opening) || !strings.Contains(opening.Hint, tt.hint) {
			t.Errorf("%v: got %v", tt, err)
		}
		if _, err := f.Open("pet.yaml"); err == nil {
			t.Errorf("%v: opened", tt)
		}
	}
}

func TestOriginRefs(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		fmt.Fprint(w, r.URL.RequestURI(), " ", user, password, r.Header.Get("X-Key"))
	})
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another origin was asked") }))
	defer other.Close()
	mux.HandleFunc("/api/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	server := httptest.NewServer(mux)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	spec := "http://me:secret@" + host + "/api/openapi.yaml?token=canary"
	entry := openapi.Source{Name: Display(spec)}
	f := NewFiles(t.Context(), Origin, spec, entry, http.Header{"X-Key": {"key"}})
	for ref, want := range map[string]string{
		"pet.yaml": "/api/pet.yaml mesecretkey", "../api/deep/pet.yaml?v=2": "/api/deep/pet.yaml?v=2 mesecretkey", server.URL + "/api/x": "/api/x mesecretkey",
		"//" + host + "/api/y": "/api/y mesecretkey", "//you:else@" + host + "/api/z": "/api/z mesecretkey",
	} {
		name, data, err := open(f, entry.Name, ref)
		if strings.Contains(name, "secret") || strings.Contains(name, "you") {
			t.Errorf("%s: name %q has credentials", ref, name)
		}
		if data != want || err != nil {
			t.Errorf("%s: got %q %v, want %q", ref, data, err, want)
		}
	}
	if name, err := f.Resolve(server.URL+"/api/deep/pet.yaml", "../openapi.yaml#"); name != entry.Name || err != nil {
		t.Errorf("the document has the name %q, got %q %v", entry.Name, name, err)
	}
	for ref, want := range map[string]string{
		other.URL + "/x": "not on the document's own", "https://" + host + "/x": "not on the document's own", "file:///etc/passwd": "not on the document's own",
		"/none": "HTTP 404", "away": "redirects to another host", "%zz": "no URL reference",
	} {
		if _, _, err := open(f, entry.Name, ref); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %s", ref, err, want)
		}
	}
	if f.Paths() != nil {
		t.Error("URLs are no paths")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := open(NewFiles(ctx, Origin, spec, entry, nil), entry.Name, "pet.yaml"); err == nil {
		t.Error("fetched after the end")
	}
}

// TestFilesRemember: what was opened is compared with what it is now, once.
func TestFilesRemember(t *testing.T) {
	dir := t.TempDir()
	entry := write(t, filepath.Join(dir, "openapi.yaml"), "entry")
	pet := write(t, filepath.Join(dir, "pet.yaml"), "pet")
	again := func() *Files { return NewFiles(t.Context(), Local, entry, openapi.Source{Name: entry}, nil) }
	old := again()
	changes := func(f *Files) string {
		switch changed, lost := f.compare(old); {
		case lost != nil:
			return "lost"
		case changed:
			return "changed"
		}
		return ""
	}
	for _, ref := range []string{"pet.yaml", "later.yaml"} {
		_, _, _ = open(old, entry, ref)
	}
	if f := again(); changes(f) != "" {
		t.Error("nothing changed")
	}
	later := write(t, filepath.Join(dir, "later.yaml"), "later")
	if f := again(); changes(f) != "changed" {
		t.Error("a file that came is a change, and no loss")
	}
	if err := os.Remove(later); err != nil {
		t.Fatal(err)
	}
	write(t, pet, "changed")
	f := again()
	if changes(f) != "changed" {
		t.Error("a file that is another is a change, and no loss")
	}
	write(t, pet, "changed again")
	if _, data, _ := open(f, entry, "pet.yaml"); data != "changed" {
		t.Errorf("got %q: the file was read twice", data)
	}
	if err := os.Remove(pet); err != nil {
		t.Fatal(err)
	}
	if f := again(); changes(f) != "lost" {
		t.Error("a file that went is a loss")
	}
}
