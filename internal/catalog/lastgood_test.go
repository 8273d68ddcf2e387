package catalog

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// version is a component of which one can see which version is served.
func version(name string, v int) string { return component(name, fmt.Sprintf("  v: %d\n", v)) }

// broken is a component that says which one it is, and is bad in line 7.
func broken(name string, v int) string {
	return strings.Replace(version(name, v), "lifecycle: production", "lifecycle: 3", 1)
}

// served are the components and their versions.
func served(t *testing.T, c *Catalog) string {
	t.Helper()
	answer := ok(t, c, "GET", "/entities/by-query?filter=kind=component&orderField=metadata.name&limit=100", "")
	var list []string
	for _, item := range answer["items"].([]any) {
		e := item.(map[string]any)
		list = append(list, fmt.Sprint(refOf(e).Name, object(e, "spec")["v"]))
	}
	return strings.Join(list, " ")
}

// A step writes files, "" removes one, and says what is served after that, and
// what the log says, line for line.
type step struct {
	files map[string]string
	want  string
	log   []string
}

func one(content, want string, log ...string) step {
	return step{map[string]string{"x.yaml": content}, want, log}
}

func TestEachEntityStandsAlone(t *testing.T) {
	const (
		notServed = `outcome="it is not served"`
		stays     = `outcome="its last good version stays"`
		anyStays  = `outcome="it may be any that its file described before, so they all stay"`
		lifecycle = ` error="spec.lifecycle must be text, not a number"`
	)
	badB := ` file=file:x.yaml:17 entity=component:default/b` + lifecycle
	for name, steps := range map[string][]step{
		"bad at first": {
			one(version("a", 1)+broken("b", 1)+version("c", 1), "a1 c1", notServed, badB),
			one(version("a", 2)+broken("b", 2)+version("c", 2), "a2 c2", notServed),
			one(version("a", 2)+version("b", 3)+version("c", 2), "a2 b3 c2"),
		},
		"good, bad, good": {
			one(version("a", 1)+version("b", 1), "a1 b1"),
			one(version("a", 2)+broken("b", 2), "a2 b1", stays, badB),
			one(version("a", 3)+broken("b", 3), "a3 b1", stays),
			one(version("a", 4)+version("b", 4), "a4 b4"),
		},
		"bad one added beside a good one": {
			one(version("a", 1), "a1"),
			one(version("a", 2)+broken("b", 1), "a2", notServed),
		},
		"removed beside a bad one": {
			one(version("a", 1)+version("b", 1)+version("c", 1), "a1 b1 c1"),
			one(broken("b", 2)+version("c", 2), "b1 c2", stays),
			one(broken("b", 2), "b1", stays),
			one(version("a", 3), "a3"),
		},
		"kind or name is bad": { // which one it was cannot be known
			one(version("a", 1)+version("b", 1)+version("c", 1), "a1 b1 c1"),
			one(version("a", 2)+version("b!", 2)+version("c", 2), "a2 b1 c2", anyStays, "entity=component:default/b!", "metadata.name is not valid"),
			one(version("a", 3)+strings.Replace(version("b", 3), "Component", "Componnent", 1), "a3 b1 c2", anyStays, `kind \"Componnent\" is not known`),
			one(version("a", 4)+strings.Replace(version("b", 4), "Component", "component", 1), "a4 b1", stays, `kind \"component\" is not known`),
			one(version("a", 5)+"hello\n", "a5 b1", anyStays, `file=file:x.yaml:11 entity="entity 2" error="an entity must be an object`),
			one(version("a", 6), "a6"),
		},
		"marker between two forgotten": {
			one(version("a", 1)+version("b", 1)+version("c", 1), "a1 b1 c1"),
			one(strings.TrimSuffix(version("a", 2), "---\n")+version("b", 2)+version("c", 2), "a1 b1 c2", anyStays, `file=file:x.yaml:10 entity="entity 1" error="key \"apiVersion\" stands here twice"`),
		},
		"many reasons": {
			one("apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: a\n  tags:\n    - ok\n    - Not Ok\nspec:\n  type: [x]\n", "",
				"file=file:x.yaml:7 entity=component:default/a", "metadata.tags.1 is not valid", "; line 9: spec.type must be text, not a list; line 8: spec.lifecycle is missing; line 8: spec.owner is missing"),
		},
		"no YAML": {
			one(version("a", 1)+"a: [\n", "", `outcome="it held nothing before that could stay"`, "not YAML"),
			one(version("a", 2)+version("b", 2), "a2 b2"),
			one(version("a", 3)+"\ta: {\n", "a2 b2", `outcome="what it last held stays"`, "file=file:x.yaml:11", "not YAML: found character that cannot start any token"),
			one("", "a2 b2", `outcome="what it last led to stays"`, "no file matches"),
		},
		"half written": {
			one(version("a", 1)+version("b", 1), "a1 b1"),
			one("# nothing yet\n", "a1 b1", `outcome="what it last held stays"`, "no entity in it"),
		},
		"twice in a file": {
			one(version("a", 1)+version("a", 2)+version("b", 1), "a1 b1", `outcome="the first is served"`, `file=file:x.yaml:11 entity=component:default/a error="described twice, first in file:x.yaml"`),
			one(broken("a", 3)+version("a", 4)+version("b", 2), "a4 b2", notServed),
			one(broken("a", 5)+broken("a", 6)+version("b", 3), "a4 b3", stays),
		},
		"moves to another file": {
			{map[string]string{"x.yaml": version("a", 1) + version("b", 1), "y.yaml": version("c", 1)}, "a1 b1 c1", nil},
			{map[string]string{"x.yaml": version("a", 2), "y.yaml": version("c", 2) + broken("b", 2)}, "a2 b1 c2", []string{stays, "file=file:y.yaml:17"}},
			{map[string]string{"x.yaml": version("a", 3) + version("b!", 3), "y.yaml": version("c", 3) + version("b", 3)}, "a3 b3 c3", []string{notServed}},
			{map[string]string{"x.yaml": "", "y.yaml": version("b", 4)}, "b4", nil},
		},
		"placeholder": {
			{map[string]string{"x.yaml": version("a", 1) + component("b", "  v: {$json: v.json}\n"), "v.json": "1"}, "a1 b1", nil},
			{map[string]string{"x.yaml": version("a", 2) + component("b", "  v: {$json: v.json}\n"), "v.json": ""}, "a2 b1", []string{stays, `file=file:x.yaml:19 entity=component:default/b error="spec.v: $json v.json: no such file"`}},
		},
		"locations": {
			{map[string]string{"x.yaml": locationTo("l", "sub/a.txt", "sub/*.md") + version("x", 1), "sub/a.txt": version("a", 1), "sub/b.md": version("b", 1)}, "a1 b1 x1", nil},
			{map[string]string{"sub/b.md": ""}, "a1 b1 x1", []string{`outcome="what it last led to stays"`, "no file matches sub/*.md"}},
			one(locationTo("l", "sub/a.txt", "https://")+version("x", 2), "a1 b1 x2", `outcome="what it last led to stays"`, `file=file:x.yaml:4 entity=location:default/l error="spec.targets.1: `),
			one(strings.Replace(locationTo("l", "sub/a.txt"), "targets", "presence: maybe, targets", 1)+version("x", 3), "a1 b1 x3", stays, "spec.presence must be"),
			{map[string]string{"x.yaml": locationTo("l", "sub/a.txt"), "sub/a.txt": broken("a", 2)}, "a1", []string{stays}},
			one(locationTo("l", "ftp://x", "sub/none.txt"), "", "it held nothing"),
			one(version("x", 4), "x4"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			logger, logged := newLogger()
			c, err := New(Options{Store: newStore(t), BaseDir: dir, Locations: []string{"*.yaml"}, Logger: logger})
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range steps {
				for name, content := range s.files {
					path := filepath.Join(dir, name)
					if content != "" {
						writeFile(t, path, content)
					} else if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				}
				before := len(logged.String())
				refresh(t, c)
				if got := served(t, c); got != s.want {
					t.Errorf("step %d: %s; want %s", i, got, s.want)
				}
				log := logged.String()[before:]
				if s.log == nil && log != "" {
					t.Errorf("step %d: log: %s", i, log)
				}
				for _, want := range append(s.log, "") {
					if !strings.Contains(log, want) {
						t.Errorf("step %d: log has no %s:\n%s", i, want, log)
					}
				}
				was := mustVersion(t, c)
				if refresh(t, c); mustVersion(t, c) != was {
					t.Errorf("step %d: reading the same again changes the catalog", i)
				}
			}
		})
	}
}

func TestFlawsAreWarningsWithAttributes(t *testing.T) {
	dir := write(t, map[string]string{"x.yaml": version("a", 1) + broken("b", 1)})
	logger, logged := newJSONLogger()
	newTest(t, Options{BaseDir: dir, Locations: []string{"*.yaml"}, Logger: logger})
	var line map[string]any
	if err := json.Unmarshal([]byte(logged.String()), &line); err != nil {
		t.Fatalf("%v in %s", err, logged)
	}
	for key, want := range map[string]string{
		"level": "WARN", "location": "file:*.yaml", "msg": "catalog entity is bad", "outcome": "it is not served", "file": "file:x.yaml:17", "entity": "component:default/b", "error": "spec.lifecycle must be text, not a number",
	} {
		if text(line, key) != want {
			t.Errorf("%s: %v; want %s", key, line[key], want)
		}
	}
}

func TestTheLogOfALocationIsBounded(t *testing.T) {
	dir := write(t, map[string]string{"x.yaml": strings.Repeat("a\n---\n", 5000) + version("a", 1)})
	logger, logged := newLogger()
	c := newTest(t, Options{BaseDir: dir, Locations: []string{"x.yaml"}, Logger: logger})
	if got := served(t, c); got != "a1" {
		t.Errorf("served: %s", got)
	}
	if lines := strings.Count(logged.String(), "\n"); lines != maxLogged+1 || !strings.Contains(logged.String(), "more=4800") {
		t.Errorf("%d lines", lines)
	}
}

// What callers register is taken as a whole or not at all; when it goes bad
// later, the good ones are served like the operator's.
func TestRegisteredEntities(t *testing.T) {
	h := newHosted(t, version("a", 1)+broken("b", 1)+version("c!", 1))
	c := newTest(t, Options{AllowedURLs: []string{h.URL}})
	for _, query := range []string{"", "?dryRun=true", "?onConflict=refresh"} {
		message := refused(t, c, "POST", "/locations"+query, post(h.URL+"/x.yaml"), 400)
		for _, want := range []string{"/x.yaml:17: component:default/b: spec.lifecycle must be text", "/x.yaml:24: component:default/c!: metadata.name is not valid"} {
			if !strings.Contains(message, want) {
				t.Errorf("%s: %s; want %s", query, message, want)
			}
		}
		if got := served(t, c); got != "" {
			t.Errorf("%s: %s are served", query, got)
		}
	}
	h.set(version("a", 1) + version("b", 1))
	ok(t, c, "POST", "/locations", post(h.URL+"/x.yaml"))
	h.set(version("a", 2) + broken("b", 2) + version("c", 2))
	ok(t, c, "POST", "/locations?onConflict=refresh", post(h.URL+"/x.yaml"))
	if got := served(t, c); got != "a2 b1 c2" {
		t.Errorf("after a refresh: %s", got)
	}
	h.set("")
	refresh(t, c)
	if got := served(t, c); got != "a2 b1 c2" {
		t.Errorf("server answers 404: %s", got)
	}
}
