package oracle_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is as what is wanted")

const (
	page        = "../../docs/conformance.md"
	beginMatrix = "<!-- matrix: written by go test ./test/oracle -update -->\n"
	endMatrix   = "<!-- end of the matrix -->\n"
	beginCorpus = "<!-- corpus: written by go test ./test/oracle -update, with STAGEDOOR_CORPUS -->\n"
	endCorpus   = "<!-- end of the corpus -->\n"
)

// TestRuntimeReadsWhatWeWrite has oapi-codegen's runtime bind what we encode:
// every location, style, explode and type.
func TestRuntimeReadsWhatWeWrite(t *testing.T) {
	used := map[*exception]int{}
	for _, byBinder := range readBack(t, 300) {
		for _, came := range byBinder {
			for e, n := range came.excused {
				used[e] += n
			}
		}
	}
	occur(t, runtimeExceptions, used)
}

// TestConformance compares the matrix and our own documents with swagger-client,
// and holds the tables of docs/conformance.md to what comes out.
func TestConformance(t *testing.T) {
	n := newCounts()
	n.compareAll(t, slices.Concat(matrixCalls(t, 40), n.ownCalls(t, rand.New(rand.NewPCG(5, 6)))))
	swagger := slices.Concat(swaggerExceptions, formExceptions, oldExceptions)
	occur(t, exceptionsOf(swagger), n.excused)
	holdPage(t, beginMatrix, endMatrix, matrixPage(t, readBack(t, 300), n))
}

// TestConformanceCorpus compares every operation of every real document with
// swagger-client. The page's counts are held to those of the same documents.
func TestConformanceCorpus(t *testing.T) {
	if len(corpus(t)) == 0 {
		t.Skip("STAGEDOOR_CORPUS is not set")
	}
	n := newCounts()
	n.compareAll(t, n.corpusCalls(t, rand.New(rand.NewPCG(5, 6))))
	excused := 0
	for _, times := range n.excused {
		excused += times
	}
	if n.undrawn > 0 || n.draws != n.same+excused {
		t.Errorf("%d operations without a draw, %d of %d draws unexplained", n.undrawn, n.draws-n.same-excused, n.draws)
	}
	t.Logf("%d draws, %d the same, %d excused", n.draws, n.same, excused)
	// Draws depend on every schema: the page says no more than stays true.
	text := fmt.Sprintf("| documents | operations | actions | draws | excused | unexplained |\n|---|---|---|---|---|---|\n| %d | %d | %d | over %d | under %d %% | %d |\n",
		n.documents, n.operations, n.actions, n.draws/1000*1000, (excused*100/max(n.draws, 1)/5+1)*5, n.draws-n.same-excused)
	if old := between(t, beginCorpus, endCorpus); *update || strings.Contains(old, fmt.Sprintf("\n| %d | %d |", n.documents, n.operations)) {
		holdPage(t, beginCorpus, endCorpus, text)
	}
}

// occur wants each exception to have been needed.
func occur(t *testing.T, all []*exception, used map[*exception]int) {
	t.Helper()
	for _, e := range all {
		if used[e] == 0 {
			t.Errorf("the exception %q of %s does not occur any more", e.does, e.oracle)
		}
	}
}

func exceptionsOf(all []*swaggerException) []*exception {
	var out []*exception
	for _, e := range all {
		out = append(out, &e.exception)
	}
	return out
}

// between gives a section of the page.
func between(t *testing.T, begin, end string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), begin)
	section, _, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no section %s", page, begin)
	}
	return section
}

// holdPage compares a section of the page with what it has to be, or writes it.
func holdPage(t *testing.T, begin, end, want string) {
	t.Helper()
	old := between(t, begin, end)
	switch {
	case old == want:
	case *update:
		text, err := os.ReadFile(page)
		if err == nil {
			err = os.WriteFile(page, []byte(strings.Replace(string(text), begin+old+end, begin+want+end, 1)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the code gives: go test ./test/oracle -update\ngot:\n%s\nwant:\n%s", page, old, want)
	}
}

// matrixPage writes the table of the matrix and those of the exceptions.
func matrixPage(t *testing.T, read map[cell]map[string]*reading, n *counts) string {
	t.Helper()
	numbers, notes := map[*exception]int{}, []*exception{}
	number := func(used map[*exception]int, all []*exception) string {
		var out []string
		for _, e := range all {
			if used[e] == 0 {
				continue
			}
			if numbers[e] == 0 {
				notes = append(notes, e)
				numbers[e] = len(notes)
			}
			out = append(out, strconv.Itoa(numbers[e]))
		}
		if len(out) == 0 {
			return "agrees"
		}
		return "not " + strings.Join(out, ", ")
	}
	var b strings.Builder
	b.WriteString("| in | style | explode | type | goes out as | oapi-codegen | swagger-client |\n|---|---|---|---|---|---|---|\n")
	client, all := builder(t), matrix(t)
	swagger := exceptionsOf(slices.Concat(swaggerExceptions, formExceptions, oldExceptions))
	for _, c := range cells() {
		excused := map[*exception]int{}
		for _, came := range read[c] {
			maps.Copy(excused, came.excused)
		}
		style := c.style
		if c.reserved {
			style += ", allowReserved"
		}
		fmt.Fprintf(&b, "| %s | %s | %v | %s | `%s` | %s | %s |\n", c.in, style, c.explode, c.kind,
			strings.ReplaceAll(written(c, build(t, client, all[c], map[string]any{"color": example(t, c.kind)})), "|", "\\|"),
			number(excused, runtimeExceptions), number(n.byCell[c], swagger))
	}
	number(n.excused, swagger) // those of bodies
	b.WriteString("\n### Exceptions\n\n| | oracle | what it does | what the specification says |\n|---|---|---|---|\n")
	for i, e := range notes {
		fmt.Fprintf(&b, "| %d | %s | %s | “%s” (%s) |\n", i+1, oracleOf(e), strings.ReplaceAll(e.does, "|", "\\|"), strings.ReplaceAll(e.says, "|", "\\|"), e.source)
	}
	return b.String()
}

// oracleOf names an exception's oracle.
func oracleOf(e *exception) string {
	if e.oracle == "swagger-client" {
		return e.oracle
	}
	return "oapi-codegen: " + e.oracle
}

// example is the value that OpenAPI's own table of styles shows.
func example(t *testing.T, kind string) any {
	t.Helper()
	return decoded(t, json.RawMessage(map[string]string{
		"string": `"blue"`, "integer": `7`, "number": `2.5`, "boolean": `true`, "array": `["blue","black","brown"]`, "integers": `[1,2]`,
		"object": `{"R":"100","G":"200","B":"150"}`, "nested": `{"name":"blue","tags":["a","b"],"size":{"w":1,"h":2},"parts":[{"w":1},{"h":2}]}`,
	}[kind]))
}

// written is the part of a request that carries the parameter.
func written(c cell, req *http.Request) string {
	switch c.in {
	case "path":
		return "/" + strings.Split(req.URL.EscapedPath(), "/")[3]
	case "query":
		return "?" + req.URL.RawQuery
	case "header":
		return "color: " + req.Header.Get("color")
	}
	return "Cookie: " + req.Header.Get("Cookie")
}
