package lint

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stagedoor/stagedoor/openapi"
)

var update = flag.Bool("update", false, "write what is as what is wanted")

// TestReports compares the reports of the documents in testdata/*.txtar with
// what stands beside them: text, text for a terminal, kinds, JSON.
func TestReports(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Comment: archive.Comment}
			for _, part := range archive.Files {
				if strings.HasPrefix(part.Name, "openapi") || strings.HasPrefix(part.Name, "overlay") {
					got.Files = append(got.Files, part)
				}
			}
			got.Files = append(got.Files, reports(t, got.Files)...)
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func reports(t *testing.T, parts []txtar.File) []txtar.File {
	t.Helper()
	var sources, overlays []openapi.Source
	for _, part := range parts {
		src := openapi.Source{Name: part.Name, Data: bytes.TrimSuffix(part.Data, []byte("\n"))}
		if strings.HasPrefix(part.Name, "overlay") {
			overlays = append(overlays, src)
		} else {
			sources = append(sources, src)
		}
	}
	var text, terminal, kinds, asJSON bytes.Buffer
	var total Total
	linter := New()
	for _, src := range sources {
		r := linter.Report(openapi.Read(src, openapi.Options{Mode: openapi.All, Overlays: overlays}))
		total.Add(&r)
		for _, err := range []error{
			r.WriteText(&text, Style{}, nil),
			r.WriteText(&terminal, Style{Excerpts: true}, append(overlays, src)),
			r.WriteKinds(&kinds, Style{}),
			r.WriteJSON(&asJSON),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := total.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	return []txtar.File{{Name: "text", Data: text.Bytes()}, {Name: "terminal", Data: terminal.Bytes()}, {Name: "kinds", Data: kinds.Bytes()}, {Name: "json", Data: asJSON.Bytes()}}
}

func TestColor(t *testing.T) {
	r := Report{Source: "a.yaml", Findings: []openapi.Finding{{Severity: openapi.SeverityError, Code: "c", Location: openapi.Location{File: "a.yaml", Line: 1, Column: 2}, Message: "m \x1b[2J"}}}
	var b bytes.Buffer
	if err := r.WriteText(&b, Style{Excerpts: true, Color: true}, []openapi.Source{{Name: "a.yaml", Data: []byte("xyz")}}); err != nil {
		t.Fatal(err)
	}
	want := bold + "a.yaml:1:2" + reset + ": " + red + "error" + reset + ": c: m \\x1b[2J\n  1 | xyz\n    |  " + red + "^" + reset + "\n"
	if !strings.HasPrefix(b.String(), want) {
		t.Errorf("got %q\nwant %q", b.String(), want)
	}
}

// TestPlaces: a caret belongs to its place in any order of asking, and no place
// that is not there is shown.
func TestPlaces(t *testing.T) {
	l := newLines([]byte("\xef\xbb\xbfab\n世界x\r\n\nend"))
	for _, tt := range []struct {
		line, column  int
		before, after string
		ok            bool
	}{
		{1, 1, "", "ab", true}, {1, 3, "ab", "", true}, {1, 4, "", "", false}, {2, 2, "世", "界x\r", true}, {2, 1, "", "世界x\r", true},
		{2, 3, "世界", "x\r", true}, {3, 1, "", "", true}, {4, 4, "end", "", true}, {4, 5, "", "", false}, {5, 1, "", "", false}, {0, 0, "", "", false}, {1, 2, "a", "b", true},
	} {
		before, after, ok := l.part(tt.line, tt.column)
		if ok != tt.ok || ok && (string(before) != tt.before || string(after) != tt.after) {
			t.Errorf("%d:%d: got %q %q %v", tt.line, tt.column, before, after, ok)
		}
	}
}

// TestLongLine: many findings on one line of some megabytes cost one walk.
func TestLongLine(t *testing.T) {
	r := Report{Source: "a.json"}
	for i := range 20_000 {
		r.Findings = append(r.Findings, openapi.Finding{Severity: openapi.SeverityInfo, Code: "c", Location: openapi.Location{File: "a.json", Line: 1, Column: i*100 + 1}})
	}
	start := time.Now()
	var b bytes.Buffer
	if err := r.WriteText(&b, Style{Excerpts: true}, []openapi.Source{{Name: "a.json", Data: bytes.Repeat([]byte("x"), 2_000_000)}}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if lines := strings.Count(b.String(), "\n"); lines != 3*20_000+1 {
		t.Errorf("%d lines", lines)
	}
}

func TestDiffersByLetter(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		like bool
	}{
		{"get-user", "get-users", true}, {"get-user", "get-uesr", true}, {"add-tag", "aid-tag", true}, {"get-user", "getuser", true},
		{"list-categories", "list-category", true}, {"list-boxes", "list-box", true}, {"list-classes", "list-class", true},
		{"get-v1", "get-v2", false}, {"get-user", "get-user2", false}, {"get-user", "set-users", false}, {"abc", "bca", false},
		{"get-team", "put-team", false}, {"a", "b", false},
	} {
		for _, pair := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			n := newNames()
			n.add(&openapi.Action{Name: pair[0]})
			if like := n.add(&openapi.Action{Name: pair[1]}) != nil; like != tt.like {
				t.Errorf("%v: like is %v", pair, like)
			}
		}
	}
}

func TestDescriptions(t *testing.T) {
	long := func(change func(i int) bool) string {
		var b strings.Builder
		for i := range 100 {
			word := fmt.Sprintf("word%d", i)
			if change(i) {
				word += "x"
			}
			b.WriteString(word + " ")
		}
		return b.String()
	}
	plain := long(func(int) bool { return false })
	for name, tt := range map[string]struct {
		a, b string
		like bool
	}{
		"empty":              {"", "", false},
		"equal":              {"Get a pet.", "get a  pet", true},
		"short and other":    {"Get a pet.", "Get a cat.", false},
		"long and equal":     {plain, plain + ".", true},
		"one word of many":   {plain, long(func(i int) bool { return i == 50 }), true},
		"every fourth word":  {plain, long(func(i int) bool { return i%4 == 0 }), false},
		"nothing in common":  {plain, long(func(int) bool { return true }), false},
		"only the last half": {plain, long(func(i int) bool { return i < 50 }), false},
	} {
		d := newDescriptions()
		d.add(&openapi.Action{Name: "a", Description: tt.a})
		if like := d.add(&openapi.Action{Name: "b", Description: tt.b}) != nil; like != tt.like {
			t.Errorf("%s: like is %v", name, like)
		}
	}
}

// TestManyTools: judging takes time in proportion to the tools, be they alike or not.
func TestManyTools(t *testing.T) {
	const n = 10_000
	schema := json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"},"b":{"$ref":"#/$defs/B"}},"$defs":{"B":{"description":"b"}}}`)
	for name, text := range map[string]func(i int) (name, description string){
		"alike": func(i int) (string, string) {
			return fmt.Sprintf("tool-%d", i), strings.Repeat("the same words again ", 60)
		},
		"nearly": func(i int) (string, string) {
			return fmt.Sprintf("%s-%c%c%c", strings.Repeat("a", 60), 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26), strings.Repeat("the same words again ", 60) + fmt.Sprint(i)
		},
		"unlike": func(i int) (string, string) {
			var b strings.Builder
			for w := range 200 {
				fmt.Fprintf(&b, "w%d ", i*200+w)
			}
			return fmt.Sprintf("%d-tool-%d", i, i*7919), b.String()
		},
	} {
		doc := &openapi.Document{Operations: n}
		for i := range n {
			name, description := text(i)
			doc.Actions = append(doc.Actions, openapi.Action{Name: name, Description: description, Operation: fmt.Sprint("GET /", i), InputSchema: schema})
		}
		start := time.Now()
		r := New().Report(doc)
		if took := time.Since(start); took > slower*4*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		t.Logf("%s: %v, score %d, %d findings", name, time.Since(start), r.Tools.Score, len(r.Findings))
	}
}
