package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// loadString loads a config from a temporary folder, and takes that folder's
// name out of the issues.
func loadString(t testing.TB, yaml string, environ ...string) (*File, Issues) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Load(path, environ)
	var issues Issues
	if err != nil && !errors.As(err, &issues) {
		t.Fatalf("expected Issues, got %T: %v", err, err)
	}
	for n := range issues {
		if issues[n].File == path {
			issues[n].File = "config.yaml"
		}
	}
	return file, issues
}

func TestPrintShowsNoSecret(t *testing.T) {
	_, issues := loadString(t, `listen: 127.0.0.1 # not the port
allwo: hunter2
plugins:
  "größe": {spec: a.yaml, "timëot": 5, auth: {bearer: hunter2}, refresh: soon}
  billing:
    spec: a.yaml
    timeout: ${T}
    sceret: |
      hunter2
    auth: {bearer: "hunter2
      hunter3", basc: x}
servers: {a: {actions: {include: [x]}}}
`, "STAGEDOOR_X=1", "T=hunter2")
	var b bytes.Buffer
	if err := issues.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	want := `config.yaml:1:9: listen: expected host:port, got "127.0.0.1" (for example 127.0.0.1:8080)
  1 | listen: 127.0.0.1 # not the port
    |         ^
config.yaml:2:1: unknown field "allwo" (there is: actionsAPI, allowedOrigins, audit, auth, database, limits, listen, lock, log, operator, plugins, publicURL, publishers, rules, servers, shutdown, streams)
  2 | allwo: …
    | ^
config.yaml:4:3: plugins.größe: plugin name "größe" does not match ^[a-z0-9][a-z0-9-]{0,62}$
  4 |   "größe": {spec: a.yaml, "timëot": …
    |   ^
config.yaml:4:29: plugins.größe: unknown field "timëot" (there is: actions, allowedURLs, attributes, auth, backstage, baseURL, breaker, concurrency, embedded, icons, locations, maxResponse, outputSchemas, overlays, refresh, refs, retry, securitySchemes, spec, specAuth, timeout, tls)
  4 |   "größe": {spec: a.yaml, "timëot": …
    |                           ^
config.yaml:4:77: plugins.größe.refresh: expected a duration like 30s, got "soon"
config.yaml:7:14: plugins.billing.timeout: expected a duration like 30s, got "${T}"
  7 |     timeout: ${T}
    |              ^
config.yaml:8:5: plugins.billing: unknown field "sceret" (there is: actions, allowedURLs, attributes, auth, backstage, baseURL, breaker, concurrency, embedded, icons, locations, maxResponse, outputSchemas, overlays, refresh, refs, retry, securitySchemes, spec, specAuth, timeout, tls)
  8 |     sceret: …
    |     ^
config.yaml:11:17: plugins.billing.auth: unknown field "basc" (did you mean "basic"?)
environment: STAGEDOOR_X: names no key
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := issues[:1].Print(&b, true); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), bold+"config.yaml:1:9"+reset+": ") || !strings.HasSuffix(b.String(), red+"^"+reset+"\n") {
		t.Errorf("colors are missing in %q", b.String())
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestPrintError(t *testing.T) {
	if err := (Issues{{File: "a", Message: "b"}}).Print(brokenPipe{}, false); err == nil {
		t.Error("expected the writer's error")
	}
}
