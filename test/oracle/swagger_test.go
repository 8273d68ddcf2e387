package oracle_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/openapi"
)

// call is one request of ours, and what swagger-client needs to build its own.
type call struct {
	cell      *cell // of the matrix; nil: of a document
	uses      []use // its parameters
	operation string
	arguments map[string]any
	ours      *http.Request

	Spec        map[string]any `json:"spec"`
	Parameters  map[string]any `json:"parameters"`
	RequestBody any            `json:"requestBody,omitempty"`
	ContentType string         `json:"requestContentType,omitempty"`
}

// answer is swagger-client's request.
type answer struct {
	Method, URL, Error string
	Headers            map[string]string
	Body               []byte
}

// swaggerClient builds the requests of all calls, in order.
func swaggerClient(t *testing.T, calls []*call) []answer {
	t.Helper()
	dir := os.Getenv("STAGEDOOR_TEST_SWAGGER_CLIENT")
	if dir == "" {
		if _, err := os.Stat("node_modules"); err != nil {
			t.Skip("swagger-client is not installed: npm ci --omit=optional --ignore-scripts --prefix test/oracle")
		}
		dir = "."
	}
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	for _, c := range calls {
		if err := e.Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", "swagger-client.mjs")
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, &lines, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers []answer
	scanner := bufio.NewScanner(bytes.NewReader(out))
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var a answer
		if err := json.Unmarshal(scanner.Bytes(), &a); err != nil {
			t.Fatalf("%v: %s", err, scanner.Bytes())
		}
		answers = append(answers, a)
	}
	if len(answers) != len(calls) {
		t.Fatalf("%d answers to %d calls", len(answers), len(calls))
	}
	return answers
}

// prepare builds our request of an action; nil when no request can carry the
// arguments.
func prepare(t *testing.T, client *invoke.Client, a *openapi.Action, spec map[string]any, arguments map[string]any) *call {
	t.Helper()
	c := &call{operation: a.Operation, arguments: arguments, Spec: spec, Parameters: map[string]any{}}
	if c.ours = build(t, client, a, arguments); c.ours == nil {
		return nil
	}
	take := func(p *openapi.Parameter) {
		if v, ok := arguments[p.Value.Argument]; ok {
			c.Parameters[string(p.In)+"."+p.Name] = v
			c.uses = append(c.uses, useOf(p, v))
		}
	}
	for i := range a.Request.Path {
		if p := a.Request.Path[i].Parameter; p != nil {
			take(p)
		}
	}
	for i := range a.Request.Parameters {
		take(&a.Request.Parameters[i])
	}
	body, ok := bodyOf(a.Request.Body, arguments)
	switch {
	case ok && spec["swagger"] != nil:
		c.takeParameters(t, spec, contentOf(a.Request.Body, c.ours.Header.Get("Content-Type")), body)
	case ok:
		c.ContentType = declared(spec, c.ours.Header.Get("Content-Type"))
		c.takeBody(t, contentOf(a.Request.Body, c.ContentType), body)
	}
	return c
}

// counts are what the comparison of some documents came to.
type counts struct {
	documents, operations, actions, undrawn, draws, same int
	excused                                              map[*exception]int
	byCell                                               map[cell]map[*exception]int // of the matrix
}

func newCounts() *counts {
	return &counts{excused: map[*exception]int{}, byCell: map[cell]map[*exception]int{}}
}

// compareAll sends calls to swagger-client and says which differences are not excused.
func (n *counts) compareAll(t *testing.T, calls []*call) {
	t.Helper()
	for i, theirs := range swaggerClient(t, calls) {
		c := calls[i]
		n.draws++
		diff := compare(t, c, theirs)
		if diff == "" {
			n.same++
			continue
		}
		if e := excuseCall(c, diff); e != nil {
			n.excused[e]++
			if c.cell != nil {
				n.note(*c.cell, e)
			}
			continue
		}
		t.Errorf("%s %.1000s: %.1500s", c.operation, encoded(t, c.arguments), diff)
	}
}

func (n *counts) note(c cell, e *exception) {
	if n.byCell[c] == nil {
		n.byCell[c] = map[*exception]int{}
	}
	n.byCell[c][e]++
}
