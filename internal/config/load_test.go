package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/gateway"
)

func TestLoadBadFiles(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name string
		data string
		want string
	}{
		{"binary", "listen: x\n\x00\x01", "binary:2:1: NUL byte: this is a binary file (is it the right file?)"},
		{"latin1", "listen: x\ntitle: gr\xfc\xdfe\n", "latin1:2:10: file is not UTF-8 (save it as UTF-8)"},
		{"control", "listen: \x1b[0m\n", `control:1:9: control character U+001B (in a quoted string it is written as an escape, like "\e")`},
		{"utf16", "\xff\xfel\x00i\x00", "utf16:1:1: file is not UTF-8 (save it as UTF-8)"},
		{"large", strings.Repeat("#", maxBytes+1), "large: file is larger than 4 MiB (is it the right file?)"},
		{"blank", " \n\n", "blank:1:1: file is empty (config.example.yaml is one to start from)"},
		{"windows", "listen: 5\r\n", "windows:1:9: listen: expected a string, got the number 5 (in quotes: \"5\")\nwindows:1:1: servers: no server is defined (name at least one: each is an MCP endpoint with an allowlist)"},
		{"bom", "\ufefflisten: 5\nservers: {a: {actions: {include: [x]}}}\n", "bom:1:9: listen: expected a string, got the number 5 (in quotes: \"5\")"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.name)
			if err := os.WriteFile(path, []byte(tt.data), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, nil)
			if err == nil {
				t.Fatal("loaded")
			}
			got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
			if tt.name == "windows" { // sorted by place
				lines := strings.Split(tt.want, "\n")
				tt.want = lines[1] + "\n" + lines[0]
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	pipe := filepath.Join(dir, "pipe.yaml") // nobody writes to it
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		pipe:                                     "expected a file, got a pipe, socket or device",
		filepath.Join(dir, "missing.yaml"):       "no such file (config.example.yaml is one to start from)",
		dir:                                      "expected a file, got a directory (name the YAML file in it)",
		filepath.Join(dir, "blank", "below.yml"): "file cannot be opened: not a directory",
	} {
		_, err := Load(path, nil)
		if err == nil || err.Error() != path+": "+want {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// TestLoadIsBounded has inputs that cost a careless reader minutes or all memory.
func TestLoadIsBounded(t *testing.T) {
	const bytes = maxBytes / 4 // the race detector makes the YAML parser slow
	for name, data := range map[string]string{
		"flow":     strings.Repeat("[", bytes-1),
		"block":    strings.Repeat("- ", bytes/2-1),
		"mapping":  strings.Repeat("{a: ", bytes/4-1),
		"items":    "a: [" + strings.Repeat("x,", bytes/2-10) + "]",
		"keys":     strings.Repeat("a:\n", bytes/3-1),
		"anchors":  strings.Repeat("- &a x\n", bytes/7-1),
		"text":     "listen: " + strings.Repeat("x", bytes-20),
		"dollars":  "listen: " + strings.Repeat("${X}", bytes/4-10),
		"comments": strings.Repeat("#\n", bytes/2-1),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, issues := loadString(t, data, "X=y")
			if len(issues) == 0 {
				t.Error("loaded")
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if n := len(issues.Error()); n > 1<<20 {
				t.Errorf("issues have %d bytes", n)
			}
		})
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	data := `plugins:
  a:
    spec: specs/a.yaml
    overlays: [o.yaml, /srv/o.yaml]
    auth: {bearer: {file: token}}
  b: {embedded: catalog, locations: ["org/**/*.yaml", embedded:example, https://example.com/x]}
  c: {spec: https://example.com/openapi.json}
servers: {s: {actions: {include: [x]}}}
`
	for name, content := range map[string]string{path: data, filepath.Join(dir, "token"): "t0ps3cret\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := file.Config.Plugins["a"], file.Config.Plugins["b"], file.Config.Plugins["c"]
	token, err := a.Auth.Bearer.Reveal()
	if err != nil || token != "t0ps3cret" {
		t.Errorf("token: %q, %v", token, err)
	}
	database, err := file.Config.Database.URL.Reveal()
	if err != nil {
		t.Error(err)
	}
	got := append(append(append([]string{a.Spec, c.Spec}, a.Overlays...), b.Locations...), database)
	want := []string{
		filepath.Join(dir, "specs/a.yaml"), "https://example.com/openapi.json", filepath.Join(dir, "o.yaml"), "/srv/o.yaml",
		filepath.Join(dir, "org/**/*.yaml"), "embedded:example", "https://example.com/x", "sqlite:" + filepath.Join(dir, "stagedoor.db"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDatabaseURL(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:data/x.db":     "sqlite:" + filepath.Join("/etc/stagedoor", "data/x.db"),
		"sqlite:/var/lib/x.db": "sqlite:/var/lib/x.db",
		"sqlite::memory:":      "sqlite::memory:",
		"sqlite:":              "sqlite:",
		"postgres://a:b@c/d":   "postgres://a:b@c/d",
	} {
		got, err := besideFile("/etc/stagedoor", gateway.SecretValue(url)).Reveal()
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v", url, got, err)
		}
	}
}

func TestLocate(t *testing.T) {
	file, issues := loadString(t, `plugins:
  billing: {spec: "${SPEC}"}
servers:
  sales:
    title: Sales
    actions:
      include:
        - "billing:*"
        - {id: "crm:*", tags: [read]}
`, "SPEC=hunter2.yaml", "STAGEDOOR_SERVERS_SALES_TITLE=Verkauf")
	if issues != nil {
		t.Fatal(issues)
	}
	got := file.Locate(gateway.Faults{
		{Path: "servers.sales.actions.include[1]", Message: "matches no action", Hint: "there is: billing:*"},
		{Path: "servers.sales.actions.include[1].tags[0]", Message: "exact"},
		{Path: "servers.sales.actions.include[1].id", Message: "exact"},
		{Path: "servers.sales.actions.include[0].id", Message: "of a plain string"},
		{Path: "servers.sales.actions.exclude[3]", Message: "nearest ancestor"},
		{Path: "servers.sales.title", Message: "overridden"},
		{Path: "plugins.billing.spec", Message: "hunter2.yaml cannot be read", Hint: `see "hunter2.yaml"`},
		{Path: "nowhere.at[0].all", Message: "top"},
		{Message: "no path"},
		{Message: "no path"},
	})
	for n := range got {
		if got[n].Line > 0 {
			got[n].File = "config.yaml"
		}
	}
	want := `config.yaml:1:1: no path
config.yaml:1:1: nowhere.at[0].all: top
config.yaml:2:19: plugins.billing.spec: ${SPEC} cannot be read (see "${SPEC}")
config.yaml:6:5: servers.sales.actions.exclude[3]: nearest ancestor
config.yaml:8:11: servers.sales.actions.include[0].id: of a plain string
config.yaml:9:11: servers.sales.actions.include[1]: matches no action (there is: billing:*)
config.yaml:9:16: servers.sales.actions.include[1].id: exact
config.yaml:9:32: servers.sales.actions.include[1].tags[0]: exact
environment: STAGEDOOR_SERVERS_SALES_TITLE: overridden`
	if diff := cmp.Diff(want, got.Error()); diff != "" {
		t.Error(diff)
	}
	var err error = got
	if as := (Issues)(nil); !errors.As(err, &as) {
		t.Error("Issues is no error of its own")
	}
	if file.Config.Servers["sales"].Title != "Verkauf" {
		t.Error("override is lost")
	}
}

// FuzzLoad looks for panics, for faults without a place and for messages that
// break the line.
func FuzzLoad(f *testing.F) {
	for _, name := range mustGlob(f) {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		_, yaml, _ := strings.Cut(string(data), "-- config.yaml --\n")
		f.Add(yaml, "STAGEDOOR_LISTEN=x")
	}
	f.Fuzz(func(t *testing.T, data, variable string) {
		start := time.Now()
		file, issues := loadString(t, data, variable, "X=hunter2")
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		if file == nil && issues == nil {
			t.Error("neither file nor issues")
		}
		for _, i := range issues {
			if i.File == "" || i.Message == "" || (i.Line == 0 || i.Column == 0) && i.File != environment {
				t.Errorf("no place: %+v", i)
			}
			if strings.ContainsAny(i.String(), "\r\n\x00") {
				t.Errorf("more than a line: %q", i.String())
			}
		}
		if err := issues.Print(discard{}, true); err != nil {
			t.Error(err)
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func mustGlob(tb testing.TB) []string {
	tb.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		tb.Fatal(err)
	}
	return names
}
