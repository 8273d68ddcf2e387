package oracle_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/openapi"
	"github.com/stagedoor/stagedoor/test/draw"
)

// call is one request of ours, and what swagger-client needs to build its own.
type call struct {
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
	Method, URL, Body, Error string
	Headers                  map[string]string
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
	if body, ok := bodyOf(a.Request.Body, arguments); ok {
		c.ContentType = declared(spec, c.ours.Header.Get("Content-Type"))
		c.RequestBody = body
		if _, isObject := body.(map[string]any); !isObject || strings.HasPrefix(c.ContentType, "multipart/") || strings.HasSuffix(c.ContentType, "urlencoded") {
			if text, isText := body.(string); !isText || strings.Contains(c.ContentType, "json") {
				c.RequestBody = encoded(t, body) // as a person types it; strings of forms are not guessed at then
			} else {
				c.RequestBody = text
			}
		}
	}
	return c
}

// bodyOf gives the value of a body; ok is false when there is none.
func bodyOf(plan *openapi.Body, arguments map[string]any) (v any, ok bool) {
	if plan == nil {
		return nil, false
	}
	if plan.Whole != nil {
		if v, ok = arguments[plan.Whole.Argument]; ok {
			return v, true
		}
	}
	object := map[string]any{}
	for _, m := range plan.Members {
		if member, ok := arguments[m.Value.Argument]; ok {
			object[m.Path[0]] = member
		}
	}
	return object, len(object) > 0 || plan.Required
}

// declared is the media type under which the operation declares what we sent.
func declared(spec map[string]any, contentType string) string {
	paths, _ := spec["paths"].(map[string]any)
	for _, item := range paths {
		for _, operation := range item.(map[string]any) {
			body, _ := operation.(map[string]any)["requestBody"].(map[string]any)
			content, _ := body["content"].(map[string]any)
			if media, ok := content["*/*"]; ok && content[contentType] == nil {
				content[contentType] = media
			}
			for name := range content {
				if essence(name) == essence(contentType) {
					return name
				}
			}
		}
	}
	return contentType
}

func essence(mediaType string) string {
	e, _, _ := strings.Cut(mediaType, ";")
	return strings.ToLower(strings.TrimSpace(e))
}

// compare says where two requests differ; "" when they do not.
func compare(t *testing.T, c *call, theirs answer) string {
	t.Helper()
	if theirs.Error != "" {
		return "theirs: " + theirs.Error
	}
	u, err := url.Parse(strings.ReplaceAll(theirs.URL, " ", "%20"))
	if err != nil {
		return err.Error()
	}
	_, theirQuery, _ := strings.Cut(theirs.URL, "?")
	ourHeaders, theirHeaders := headers(c.ours.Header), map[string]string{}
	for name, value := range theirs.Headers {
		theirHeaders[strings.ToLower(name)] = value
	}
	delete(theirHeaders, "accept") // both may list what is declared, in any order
	ourBody := ""
	if c.ours.Body != nil {
		text, err := io.ReadAll(c.ours.Body)
		if err != nil {
			t.Fatal(err)
		}
		ourBody = string(text)
		c.ours.Body = io.NopCloser(strings.NewReader(ourBody))
	}
	for _, part := range []struct {
		what         string
		ours, theirs any
	}{
		{"method", c.ours.Method, theirs.Method},
		{"path", c.ours.URL.EscapedPath(), u.EscapedPath()},
		{"query", pairs(c.ours.URL.RawQuery), pairs(theirQuery)},
		{"cookies", cookies(ourHeaders["cookie"]), cookies(theirHeaders["cookie"])},
		{"media type", essence(ourHeaders["content-type"]), essence(theirHeaders["content-type"])},
		{"body", content(t, ourHeaders["content-type"], ourBody), content(t, theirHeaders["content-type"], theirs.Body)},
		{"headers", without(ourHeaders), without(theirHeaders)},
	} {
		if !reflect.DeepEqual(part.ours, part.theirs) {
			return fmt.Sprintf("%s: ours %q, theirs %q", part.what, part.ours, part.theirs)
		}
	}
	return ""
}

func headers(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		if name != "User-Agent" && name != "Accept" {
			out[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return out
}

// without leaves out the headers that are compared on their own.
func without(h map[string]string) map[string]string {
	out := maps.Clone(h)
	delete(out, "cookie")
	delete(out, "content-type")
	return out
}

// pairs are those of a query, as they are written, in alphabetical order: the
// order of parameters means nothing.
func pairs(query string) []string {
	out := strings.Split(query, "&")
	slices.SortStableFunc(out, func(a, b string) int {
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	})
	return out
}

func cookies(header string) []string {
	out := strings.Split(header, "; ")
	slices.Sort(out)
	return out
}

// content reads a body as its media type means it.
func content(t *testing.T, contentType, body string) any {
	t.Helper()
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil || body == "":
	case mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
		if json.Valid([]byte(body)) {
			return decoded(t, []byte(body))
		}
	case mediaType == "application/x-www-form-urlencoded":
		if form, err := url.ParseQuery(body); err == nil {
			return form
		}
	case strings.HasPrefix(mediaType, "multipart/") && parameters["boundary"] != "":
		return parts(t, multipart.NewReader(strings.NewReader(body), parameters["boundary"]))
	}
	return body
}

// parts gives name, file name, media type and content of each part.
func parts(t *testing.T, r *multipart.Reader) any {
	t.Helper()
	var out []string
	for {
		p, err := r.NextRawPart()
		if err != nil {
			slices.Sort(out)
			return out
		}
		text, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %q %q %s", p.FormName(), p.FileName(), essence(p.Header.Get("Content-Type")), text))
	}
}

// counts are what the comparison of some documents came to.
type counts struct {
	documents, operations, actions, undrawn, draws, same int
	excused                                              map[*exception]int
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
			continue
		}
		t.Errorf("%s %.1000s: %.1500s", c.operation, encoded(t, c.arguments), diff)
	}
}

// TestSwaggerClientMatrix compares the requests of the whole matrix.
func TestSwaggerClientMatrix(t *testing.T) {
	n := &counts{excused: map[*exception]int{}}
	n.compareAll(t, matrixCalls(t, 40))
	t.Logf("%+v", *n)
}

func matrixCalls(t *testing.T, draws int) []*call {
	t.Helper()
	client, doc := builder(t), tree(t, document())
	r := rand.New(rand.NewPCG(3, 4))
	all := matrix(t)
	var calls []*call
	for _, c := range cells() {
		path := strings.TrimPrefix(all[c].Operation, "GET ")
		for range draws {
			v := drawColor(r, c.kind)
			if made := prepare(t, client, all[c], alone(doc, path, "get"), map[string]any{"color": v}); made != nil && exactInJavaScript(v) {
				calls = append(calls, made)
			}
		}
	}
	return calls
}

// exactInJavaScript tells values whose numbers survive there.
func exactInJavaScript(v any) bool {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return false
		}
		text, err := json.Marshal(f)
		return err == nil && string(text) == v.String() && f > -(1<<53) && f < 1<<53
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !exactInJavaScript(item) })
	case map[string]any:
		for _, member := range v {
			if !exactInJavaScript(member) {
				return false
			}
		}
	}
	return true
}

// TestSwaggerClientCorpus compares the requests of every operation of every
// real document, several draws each.
func TestSwaggerClientCorpus(t *testing.T) {
	files := corpus(t)
	if len(files) == 0 {
		t.Skip("STAGEDOOR_CORPUS is not set")
	}
	n := &counts{excused: map[*exception]int{}}
	var calls []*call
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data[:min(len(data), 20_000)], []byte("openapi")) {
			calls = append(calls, n.documentCalls(t, filepath.Base(file), data)...)
		}
	}
	n.compareAll(t, calls)
	t.Logf("%+v", *n)
}

// documentCalls draws arguments for every action of a document.
func (n *counts) documentCalls(t *testing.T, name string, data []byte) []*call {
	t.Helper()
	doc := tree(t, data)
	if doc == nil {
		return nil
	}
	client, r := builder(t), rand.New(rand.NewPCG(5, 6))
	_, read := actions(t, openapi.Source{Name: name, Data: data})
	n.documents++
	n.operations += read.Operations
	var calls []*call
	for i := range read.Actions {
		a := &read.Actions[i]
		n.actions++
		method, path, _ := strings.Cut(a.Operation, " ")
		spec, of, drawn := alone(doc, path, strings.ToLower(method)), argumentsOf(t, a), false
		for i, optional := range []float64{0, 1, 0.5, 0.3, 0.5, 1} {
			values, ok := of.draw(r, optional, i > 2)
			if !ok || !exactInJavaScript(values) {
				continue
			}
			if made := prepare(t, client, a, spec, values); made != nil {
				calls, drawn = append(calls, made), true
			}
		}
		if !drawn {
			n.undrawn++
			t.Logf("%s %s: nothing was drawn", name, a.Operation)
		}
	}
	return calls
}

// arguments draws what fits an action's input schema.
type arguments struct {
	schema any
	valid  *jsonschema.Schema
}

func argumentsOf(t *testing.T, a *openapi.Action) arguments {
	t.Helper()
	schema := decoded(t, a.InputSchema)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("mem:///input", schema); err != nil {
		t.Fatal(err)
	}
	valid, err := compiler.Compile("mem:///input")
	if err != nil {
		t.Fatalf("%s: %v", a.Operation, err)
	}
	return arguments{schema, valid}
}

func (of arguments) draw(r *rand.Rand, optional float64, wild bool) (map[string]any, bool) {
	d := draw.Drawer{Rand: r, Root: of.schema, Optional: optional, Text: func(r *rand.Rand) string {
		if wild {
			return drawString(r)
		}
		return []string{"blue", "a-b_c.d~e", "two words", "7", "é"}[r.IntN(5)]
	}}
	for range 8 {
		v, ok := d.Value(of.schema)
		if object, isObject := v.(map[string]any); ok && isObject && of.valid.Validate(v) == nil {
			return object, true
		}
	}
	return nil, false
}
