package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/store"
)

// TestPlugins shows how plugins stand, with nothing of a strange gateway's that
// a terminal would take for its own.
func TestPlugins(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/registry/v1/plugins" {
			http.NotFound(w, r)
			return
		}
		if r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":{"message":"token is missing, or no publisher's"}}`))
			return
		}
		_, _ = w.Write([]byte(`{"plugins":[{"name":"billing","state":"quarantined","cause":"it breaks the lock","reason":"argument \u001b[2Jid is gone","generation":"0123456789ab","accepted":"2026-01-02T03:04:05Z","age":125,"actions":7,"errors":1,"warnings":2},{"name":"new","state":"waiting","cause":"it is \u001b[2Jgone","actions":0}]}`))
	}))
	defer server.Close()
	code, out, stderr := run(t, "plugins", "--url", server.URL)
	want := []string{"billing quarantined 0123456789ab 2m5s 7 1 2", "new waiting - - 0 0 0", "billing: argument \uFFFD[2Jid is gone", "new: it is \uFFFD[2Jgone"}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 5 {
		t.Fatalf("%d %s %s", code, out, stderr)
	}
	for i, line := range lines[1:] {
		if got := strings.Join(strings.Fields(line), " "); got != want[i] {
			t.Errorf("%q, want %q", got, want[i])
		}
	}
	if code, out, _ := run(t, "plugins", "--url", server.URL, "--json"); code != 0 || !strings.Contains(out, `"state": "quarantined"`) {
		t.Error(code, out)
	}
	var stdout, errs bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &stdout, stderr: &errs, environ: []string{"WRONG=token"}}
	if code := p.run(t.Context(), []string{"plugins", "--url", server.URL, "--token-env", "WRONG"}); code != 1 || errs.String() != "stagedoor: token is missing, or no publisher's; put a valid token into WRONG\n" {
		t.Error(code, errs.String())
	}
	for _, args := range [][]string{{"--url", server.URL + "/mcp/x"}, {"--url", "nowhere"}, {"--url", server.URL + "/elsewhere"}, {"--url", server.URL, "--token-env", "NONE"}} {
		if code, _, stderr := run(t, append([]string{"plugins"}, args...)...); code != 1 || stderr == "" {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}

// TestStrangers: what is no gateway is not one without plugins.
func TestStrangers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"ok"}`)) }))
	defer server.Close()
	for args, want := range map[string]string{"plugins": "answer has no plugins: is --url", "actions list": "answer has no actions: is --url"} {
		if code, _, stderr := run(t, append(strings.Fields(args), "--url", server.URL)...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d %s", args, code, stderr)
		}
	}
}

const petsDocument = `openapi: 3.1.0
info: {title: Pets, version: "1"}
paths: {/pets: {get: {operationId: list-pets, x-action: true, parameters: [{name: limit, in: query, schema: {type: integer, maximum: MOST}}], responses: {"200": {description: ok}}}}}
`

// TestPluginsDiff compares what a gateway has kept, with nobody to ask.
func TestPluginsDiff(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	text := "database: {url: 'sqlite:kept.db'}\nplugins: {pets: {spec: 'http://127.0.0.1:1/pets.yaml', attributes: {list-pets: {openWorld: false}}}}\nservers: {shop: {actions: {include: ['pets:*']}}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	diff := func(args ...string) (int, string, string) {
		return run(t, append([]string{"plugins", "diff", "--config", config}, args...)...)
	}
	if code, _, stderr := diff("pets"); code != 2 || !strings.Contains(stderr, "kept.db does not exist") {
		t.Fatalf("%d %s", code, stderr)
	}
	hashes := keepPets(t, filepath.Join(dir, "kept.db"))
	code, out, stderr := diff("pets")
	if code != 1 || !strings.Contains(out, "pets:list-pets\n  ! argument limit: maximum was 10, is 5 [bound-tightened]\n1 change, 1 breaking") || !strings.Contains(stderr, "quarantined") {
		t.Errorf("%d %s %s", code, out, stderr)
	}
	if code, out, stderr := diff("pets", hashes[0][:8], hashes[1][:8]); code != 0 || !strings.Contains(out, "maximum was 7, is 10") {
		t.Errorf("%d %s %s", code, out, stderr)
	}
	if code, out, stderr := diff("pets", hashes[0], "--fail-on", "none"); code != 0 || !strings.Contains(out, "maximum was 7, is 5") {
		t.Errorf("%d %s %s", code, out, stderr)
	}
	if code, _, stderr := diff("pets", "ffffffffffff"); code != 2 || !strings.Contains(stderr, "plugin pets has no generation ffffffffffff") {
		t.Errorf("%d %s", code, stderr)
	}
	if code, _, stderr := diff("others"); code != 2 || !strings.Contains(stderr, `no generation of a plugin "others"`) {
		t.Errorf("%d %s", code, stderr)
	}
}

// TestDiffExit: a script tells what breaks from what could not be compared.
func TestDiffExit(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"old.yaml":     strings.Replace(petsDocument, "MOST", "9", 1),
		"new.yaml":     strings.Replace(petsDocument, "MOST", "5", 1),
		"bare.yaml":    strings.Replace(petsDocument, "x-action: true, ", "", 1),
		"broken.yaml":  "openapi: 3.1.0\npaths: [\n",
		"overlay.yaml": "overlay: 1.0.0\ninfo: {title: x, version: '1'}\nactions: [{target: '$[', update: {}}]\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args, stderr string
		code         int
	}{
		{"old.yaml old.yaml", "", 0},
		{"old.yaml new.yaml", "", 1},
		{"old.yaml bare.yaml", "", 1},
		{"old.yaml broken.yaml", "broken.yaml:2:", 2},
		{"old.yaml nowhere.yaml", "nowhere.yaml", 2},
		{"old.yaml old.yaml --overlay overlay.yaml", "overlay.yaml:3:", 2},
		{"old.yaml old.yaml --overlay nowhere.yaml", "overlay: document nowhere.yaml does not exist", 2},
		{"old.yaml", "arg", 2},
	} {
		code, out, stderr := run(t, append([]string{"diff"}, strings.Fields(c.args)...)...)
		if strings.Contains(c.args, "bare") && !strings.Contains(out, "action is gone [action-removed]\n    GET /pets is still in the document") {
			t.Error(out)
		}
		if code != c.code || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%s: %d %s", c.args, code, stderr)
		}
	}
}

// keepPets keeps three generations, the last one in quarantine.
func keepPets(t *testing.T, path string) (hashes []string) {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	for i, most := range []string{"7", "10", "5"} {
		c := publication.Content{Documents: []publication.Document{{Name: "http://127.0.0.1:1/pets.yaml", Data: []byte(strings.Replace(petsDocument, "MOST", most, 1))}}}
		g := publication.Generation{Plugin: "pets", Hash: c.Hash(), Content: c, Source: "http://127.0.0.1:1/pets.yaml", Verdict: publication.Accepted, Actions: []string{"list-pets"}}
		if i == 2 {
			g.Verdict = publication.Quarantined
		}
		if err := db.KeepGeneration(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, g.Hash)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return hashes
}
