package backstage_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stagedoor/stagedoor/internal/backstage"
	"github.com/stagedoor/stagedoor/openapi"
)

var update = flag.Bool("update", false, "write what is as what is wanted")

// TestDocument reads each testdata/document/*.txtar: a list, and the document,
// the tools and the findings that it must come to. The comment's first line has
// the plugin and the names of its secrets.
func TestDocument(t *testing.T) {
	files, err := filepath.Glob("testdata/document/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no lists", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(archive.Comment), "\n")
			words := strings.Fields(first)
			document, doc, findings := read(t, archive.Files[0].Data, words[0], words[1:]...)
			got := []txtar.File{archive.Files[0], {Name: "findings", Data: findings}, {Name: "tools", Data: tools(t, doc)}, {Name: "document.json", Data: indented(t, document)}}
			if *update {
				archive.Files = got
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(texts(archive.Files), texts(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func texts(files []txtar.File) map[string]string {
	out := map[string]string{}
	for _, f := range files {
		out[f.Name] = string(f.Data)
	}
	return out
}

// read goes the way of a list up to actions; findings are those of both steps.
func read(t testing.TB, list []byte, plugin string, secrets ...string) (document []byte, doc *openapi.Document, findings []byte) {
	t.Helper()
	document, told, err := backstage.Document(list, backstage.Options{Plugin: plugin, Source: "list", Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	doc = openapi.Read(openapi.Source{Name: "document", Data: document}, openapi.Options{TrustAttributes: true, Secrets: secrets})
	var text bytes.Buffer
	for _, f := range slices.Concat(told, doc.Findings) {
		fmt.Fprintln(&text, f)
	}
	return document, doc, text.Bytes()
}

func tools(t *testing.T, doc *openapi.Document) []byte {
	t.Helper()
	var text bytes.Buffer
	for _, a := range doc.Actions {
		fmt.Fprintf(&text, "%s (%s) %+v\n  in  %s\n  out %s\n", a.Name, a.Title, a.Attributes, a.InputSchema, a.OutputSchema)
		for _, e := range a.Examples {
			fmt.Fprintf(&text, "  example %s: %s -> %s\n", e.Title, e.Input, e.Output)
		}
	}
	return text.Bytes()
}

func indented(t *testing.T, document []byte) []byte {
	t.Helper()
	var text bytes.Buffer
	if err := json.Indent(&text, document, "", " "); err != nil {
		t.Fatal(err)
	}
	text.WriteByte('\n')
	return text.Bytes()
}

// TestSameDocument: what the order of the list is does not matter.
func TestSameDocument(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/document/actions.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Actions []json.RawMessage `json:"actions"`
	}
	if err := json.Unmarshal(archive.Files[0].Data, &list); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list.Actions)
	reversed, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	a, _, _ := read(t, archive.Files[0].Data, "depot")
	b, _, _ := read(t, reversed, "depot")
	if diff := cmp.Diff(string(a), string(b)); diff != "" {
		t.Error(diff)
	}
}

func TestNoList(t *testing.T) {
	for _, text := range []string{"", "<html>", "null", "[]", "{}", `{"actions":null}`, `{"actions":{}}`, `{"actions":[]} x`, `{"actions":"x"}`, `{"error":{"name":"NotFoundError"}}`, "\xff"} {
		if document, _, err := backstage.Document([]byte(text), backstage.Options{Plugin: "depot"}); err == nil {
			t.Errorf("%q became %s", text, document)
		}
	}
}

// TestHugeLists: what is beyond the bounds is told, and costs no other action.
func TestHugeLists(t *testing.T) {
	entry := func(name, description, property string) string {
		return fmt.Sprintf(`{"id":"depot:%s","title":"x","description":%q,"schema":{"input":{"type":"object","properties":{"a":%s}}}}`, name, description, property)
	}
	good := entry("good", "x", "{}")
	numbered := func(count, size int) string {
		var entries []string
		for i := range count {
			entries = append(entries, entry(fmt.Sprintf("n-%d", i), strings.Repeat("x", size), "{}"))
		}
		return strings.Join(entries, ",")
	}
	for name, tt := range map[string]struct {
		entries  string
		actions  int
		findings string
	}{
		"large":  {good + "," + entry("large", strings.Repeat("x", 300<<10), "{}"), 1, "entry 2 is left out: an action may have 262144 bytes"},
		"deep":   {good + "," + entry("deep", "x", strings.Repeat(`{"items":`, 101)+"{}"+strings.Repeat("}", 101)), 1, "entry 2 is left out: it nests more than 100 deep"},
		"deeper": {good + "," + entry("deep", "x", strings.Repeat(`[`, 9000)+strings.Repeat("]", 9000)), 1, "entry 2 is left out: it nests more than 100 deep"},
		"many":   {numbered(5001, 1), 5000, "list has 5001 actions; those after the first 5000 are left out"},
		"in all": {numbered(28, 250<<10) + "," + good, 25, "entry 25 is left out"},
	} {
		t.Run(name, func(t *testing.T) {
			_, doc, findings := read(t, []byte(`{"actions":[`+tt.entries+`]}`), "depot")
			if len(doc.Actions) != tt.actions || !strings.Contains(string(findings), tt.findings) {
				t.Errorf("%d actions, want %d; %.400s", len(doc.Actions), tt.actions, findings)
			}
		})
	}
}

// FuzzDocument: a list never costs the gateway more than its actions.
func FuzzDocument(f *testing.F) {
	files, err := filepath.Glob("testdata/document/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		if len(list) > 16<<10 {
			return
		}
		document, findings, err := backstage.Document(list, backstage.Options{Plugin: "depot", Secrets: []string{"token"}})
		if err != nil {
			return
		}
		doc := openapi.Read(openapi.Source{Name: "fuzz", Data: document}, openapi.Options{TrustAttributes: true, Secrets: []string{"token"}})
		var listed struct{ Actions []json.RawMessage }
		if err := json.Unmarshal(list, &listed); err != nil {
			t.Fatal(err)
		}
		if doc.Operations+len(findings) < len(listed.Actions) {
			t.Errorf("%d entries, %d operations, findings %v", len(listed.Actions), doc.Operations, findings)
		}
		told := 0
		for _, finding := range doc.Findings {
			if finding.Severity == openapi.SeverityError {
				told++
			}
			if finding.Operation == "" && finding.Severity == openapi.SeverityError {
				t.Errorf("whole document: %v\n%s", finding, document)
			}
		}
		if len(doc.Actions)+told < doc.Operations {
			t.Errorf("%d operations, %d actions, findings %v", doc.Operations, len(doc.Actions), doc.Findings)
		}
		for _, a := range doc.Actions {
			compiled(t, a.InputSchema)
			if a.OutputSchema != nil {
				compiled(t, a.OutputSchema)
			}
		}
	})
}

// A list that is wrong in all its entries says so a few times, whatever else it
// has to say.
func TestFindingsAreBounded(t *testing.T) {
	const good = `{"id":"depot:%[2]s%[1]d","schema":{"input":{"type":"object"},"secrets":{"type":"object","properties":{"key":{"type":"string"}}%[3]s}}}`
	var entries []string
	for i := range 1000 {
		entries = append(entries, fmt.Sprintf(`{"id":"other:%d"}`, i), fmt.Sprintf(good, i, "needs", `,"required":["key"]`))
	}
	for i := range 20 {
		entries = append(entries, fmt.Sprintf(good, i, "takes", ""))
	}
	_, findings, err := backstage.Document([]byte(`{"actions":[`+strings.Join(entries, ",")+`]}`), backstage.Options{Plugin: "depot", Source: "list"})
	if err != nil {
		t.Fatal(err)
	}
	kinds, more := map[string]int{}, 0
	for _, f := range findings {
		kinds[string(f.Severity)+" "+f.Code]++
		if f.Message == "and 980 more like the first 20" {
			more++
		}
	}
	want := map[string]int{"error backstage-action": 21, "error backstage-secrets": 21, "info backstage-secrets": 20}
	if diff := cmp.Diff(want, kinds); diff != "" || more != 2 {
		t.Errorf("%d tell of more: %s", more, diff)
	}
}
