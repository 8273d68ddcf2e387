package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func results() []result {
	good, bad, warned := check{"fine", "SUCCESS", ""}, check{"broken", "FAILURE", "It is broken."}, check{"doubtful", "WARNING", "It should not."}
	skipped := check{"skipped", "SKIPPED", ""}
	return []result{
		{"new", "a", true, []check{good, skipped}},
		{"new", "b", true, []check{good, bad, warned}},
		{"new", "c", false, []check{good}},
		{"old", "b", true, []check{good}},
	}
}

func TestReport(t *testing.T) {
	for _, test := range []struct{ name, known, err, says string }{
		{"what fails and is not known", "", "2 checks fail, and 0 that are known to fail pass", "failure: broken: It is broken."},
		{"a warning is a failure", "new b:broken Why.", "1 checks fail, and 0 that are known to fail pass", "warning: doubtful: It should not."},
		{"known check by check", "new b:broken Why.\nnew b:doubtful Because.", "", "known: broken: Why."},
		{"known as a whole", "# what cannot be\n\nnew b Why.", "", "known: doubtful: Why."},
		{"known in another suite", "old b Why.", "2 checks fail, and 1 that are known to fail pass", "line 1 of what is known to fail passes: old b"},
		{"known, and passes", "new b Why.\nnew b:fine Why.", "0 checks fail, and 1 that are known to fail pass", "line 2 of what is known"},
		{"known, and does not run", "new b Why.\nnew x Why.", "0 checks fail, and 1 that are known to fail pass", "new x"},
		{"the numbers", "new b Why.", "", "new: 1 of 2 scored scenarios pass; 1 of 1 others"},
	} {
		all, err := readKnown(write(t, filepath.Join(t.TempDir(), "known.txt"), test.known))
		if err != nil {
			t.Fatal(err)
		}
		table, err := report(results(), all)
		said := ""
		if err != nil {
			said = err.Error()
		}
		if said != test.err || !strings.Contains(table, test.says) {
			t.Errorf("%s: %q in\n%s", test.name, said, table)
		}
	}
}

func TestKnownNeedsAReason(t *testing.T) {
	for _, line := range []string{"new", "new b", "new b:c", "new b: Why."} {
		_, err := readKnown(write(t, filepath.Join(t.TempDir(), "known.txt"), "# one\n"+line))
		if err == nil || !strings.Contains(err.Error(), "known.txt:2: line has no suite") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestReadResults(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "server-ping-2026-01-02T03-04-05-678Z", "checks.json"), `[{"id":"ping","status":"SUCCESS"}]`)
	write(t, filepath.Join(dir, "server-server-initialize-2026-01-02T03-04-05-678Z", "checks.json"), `[{"id":"x","status":"FAILURE","errorMessage":"No."}]`)
	found, err := suite{name: "s", requirements: "some"}.read(dir)
	if err != nil || len(found) != 2 || found[0].scenario != "ping" || found[1].scenario != "server-initialize" || !found[1].checks[0].bad() || found[0].scored {
		t.Errorf("%+v, %v", found, err)
	}
	requirements := write(t, filepath.Join(dir, "r.yaml"), "server: [ping]\nclient: [other]\nnot_scored: [{scenario: server-initialize}]\n")
	if err := score(found, requirements); err != nil || !found[0].scored || found[1].scored {
		t.Errorf("%+v, %v", found, err)
	}
	if err := score(found[1:], requirements); err == nil || !strings.Contains(err.Error(), "asks for ping, which did not run") {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "server-x-2026-01-02T03-04-05-678Z", "checks.json"), `{`)
	if _, err := (suite{}).read(dir); err == nil {
		t.Error("broken JSON is read")
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-gateway", "x"}, {"-suites", "x"}, {"-gateway", "x", "-suites", "y", "command"}, {"-no-such-flag"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	if err := run(t.Context(), []string{"-gateway", filepath.Join(t.TempDir(), "missing"), "true"}); err == nil {
		t.Error("a missing gateway is run")
	}
	silent := write(t, filepath.Join(t.TempDir(), "silent"), "#!/bin/sh\necho fault >&2\n")
	if err := os.Chmod(silent, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-gateway", silent, "true"}); err == nil || !strings.Contains(err.Error(), "fault") {
		t.Errorf("a gateway that ends at once: %v", err)
	}
}
