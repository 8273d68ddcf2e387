package lint

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/openapi"
)

func sarif(t *testing.T, reports ...Report) ([]byte, sarifLog) {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSARIF(&b, "1.2.3", filepath.FromSlash("/home/me/repo"), reports); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), log
}

// TestSARIF holds what is written to the specification, and each rule to a code.
func TestSARIF(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("testdata/sarif.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document := openapi.Source{Name: "specs/größe 1.yaml", Data: []byte("openapi: 3.1.0\npaths:\n  /a/{x}: {get: {responses: {}}}\n  /b: {get: {responses: {}, servers: [{url: https://else}]}}\n")}
	linter := New()
	for name, reports := range map[string][]Report{
		"none": nil,
		"some": {
			linter.Report(openapi.Read(document, openapi.Options{Mode: openapi.All})),
			linter.Report(&openapi.Document{Findings: []openapi.Finding{{Severity: openapi.SeverityError, Code: "document-unreadable", Location: openapi.Location{File: "gone.yaml"}, Message: "document gone.yaml does not exist"}}}),
		},
	} {
		text, log := sarif(t, reports...)
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, result := range log.Runs[0].Results {
			if result.RuleIndex == nil || log.Runs[0].Tool.Driver.Rules[*result.RuleIndex].ID != result.RuleID {
				t.Errorf("%s has no rule", result.RuleID)
			}
		}
		if name == "some" && len(log.Runs[0].Results) < 4 {
			t.Errorf("only %d results", len(log.Runs[0].Results))
		}
	}
	if len(rules()) < 38 {
		t.Errorf("only %d rules: has the table in docs/findings.md another form?", len(rules()))
	}
}

// TestFingerprints: they stay the same when lines move, and tell repeats apart.
func TestFingerprints(t *testing.T) {
	at := func(line int) openapi.Finding {
		return openapi.Finding{Severity: openapi.SeverityInfo, Code: "c", Message: "m", Location: openapi.Location{File: "a.yaml", Line: line, Column: 1}}
	}
	other := at(3)
	other.Operation = "GET /a"
	prints := func(fs ...openapi.Finding) []string {
		var all []string
		_, log := sarif(t, Report{Findings: fs})
		for _, r := range log.Runs[0].Results {
			all = append(all, r.Fingerprints["primaryLocationLineHash"])
		}
		return all
	}
	before, after := prints(at(1), at(2), other), prints(at(11), at(12), other)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
	if !strings.HasSuffix(before[0], ":1") || !strings.HasSuffix(before[1], ":2") || before[0][:16] == before[2][:16] {
		t.Errorf("got %v", before)
	}
}

func TestFileURI(t *testing.T) {
	for file, want := range map[string]string{
		"a.yaml":                         "a.yaml",
		"specs/größe 1.yaml":             "specs/gr%C3%B6%C3%9Fe%201.yaml",
		"./specs/../a#b.yaml":            "a%23b.yaml",
		"/home/me/repo/x.yaml":           "x.yaml",
		"/etc/x.yaml":                    "file:///etc/x.yaml",
		"../y.yaml":                      "file:///home/me/y.yaml",
		"..y.yaml":                       "..y.yaml",
		"a:b.yaml":                       "./a:b.yaml",
		"<stdin>":                        "%3Cstdin%3E",
		"https://x.example/openapi.yaml": "https://x.example/openapi.yaml",
	} {
		if got := fileURI(file, "/home/me/repo"); got != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
}
