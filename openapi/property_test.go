package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/test/draw"
)

// TestPublishedSchemasAdmit draws values from the document's own schemas. What
// another reader of those schemas admits, the schemas that we publish have to
// admit: kin-openapi judges the originals of 3.0, a validator of 2020-12 those
// of 3.1, in their place in the document.
func TestPublishedSchemasAdmit(t *testing.T) {
	files, err := filepath.Glob("testdata/property/*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatal("no documents", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p := newProperty(t, file, withOperations(t, file))
			p.exact = p.kin == nil
			p.run(t, 200)
			if p.unjudged > 0 || p.undrawn > 0 {
				t.Errorf("%d schemas have no judge, of %d nothing was drawn", p.unjudged, p.undrawn)
			}
		})
	}
	for _, dir := range filepath.SplitList(os.Getenv("STAGEDOOR_CORPUS")) {
		for _, pattern := range []string{"*.json", "*.yaml", "*/*.yaml", "*/*.json"} {
			found, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range found {
				if data, err := os.ReadFile(file); err == nil && isDocument(t, file) {
					t.Run(filepath.Base(file), func(t *testing.T) { newProperty(t, file, data).run(t, 3) })
				}
			}
		}
	}
}

// withOperations gives each schema of a document an operation that takes it
// and answers with it.
func withOperations(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := strings.TrimRight(string(data), "\n") + "\npaths:\n"
	_, list, _ := strings.Cut(string(data), "  schemas:\n")
	for line := range strings.SplitSeq(list, "\n") {
		name, _, found := strings.Cut(strings.TrimPrefix(line, "    "), ":")
		if !found || name == "" || name[0] == ' ' {
			continue
		}
		content := fmt.Sprintf("content: {application/json: {schema: {$ref: '#/components/schemas/%s'}}}", name)
		out += fmt.Sprintf("  /%s: {post: {requestBody: {required: true, %s}, responses: {'200': {description: Done., %s}}}}\n", name, content, content)
	}
	return []byte(out)
}

// property is what is known of one document while its schemas are tried.
type property struct {
	doc       map[string]any
	read      *Document
	r         *rand.Rand
	kin       *openapi3.T             // nil: 2020-12 judges
	judged    map[string]string       // kin's names of the schemas at pointers
	compilers [2]*jsonschema.Compiler // by direction
	drawn     int
	undrawn   int  // schemas
	unjudged  int  // schemas
	mutants   int  // values that either side may refuse
	wider     int  // of them, those that only ours admit
	exact     bool // none may be
}

func newProperty(t *testing.T, file string, data []byte) *property {
	t.Helper()
	p := &property{read: Read(Source{file, data}, Options{Mode: All}), r: rand.New(rand.NewPCG(1, 2))}
	p.doc, _ = plainTree(t, data).(map[string]any)
	version, _ := p.doc["openapi"].(string)
	if strings.HasPrefix(version, "3.0") {
		p.loadKin(t)
	}
	return p
}

// loadKin has kin-openapi load the components with all schemas of operations
// among them, so that it looks at nothing else.
func (p *property) loadKin(t *testing.T) {
	t.Helper()
	components, _ := plainTree(t, mustJSON(p.doc["components"])).(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	p.judged = map[string]string{}
	for i := range p.read.Actions {
		method, path, _ := strings.Cut(p.read.Actions[i].Operation, " ")
		parameters, body := p.parts(path, strings.ToLower(method))
		for _, at := range slices.Concat(slices.Collect(maps.Values(parameters)), slices.Collect(maps.Values(body)), p.answers(path, strings.ToLower(method))) {
			if p.judged[at] == "" {
				p.judged[at] = fmt.Sprintf("judged_%d", len(p.judged))
				schemas[p.judged[at]] = p.resolve(at)
			}
		}
	}
	kin, err := openapi3.NewLoader().LoadFromData(mustJSON(map[string]any{
		"openapi": "3.0.3", "info": map[string]any{"title": "x", "version": "1"}, "paths": map[string]any{},
		"components": map[string]any{"schemas": schemas},
	}))
	if err != nil {
		t.Skip(err)
	}
	p.kin = kin
}

// plainTree is a document as encoding/json reads it, with exact numbers.
func plainTree(t testing.TB, data []byte) any {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal(data, &n); err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(rawJSON(value(n.Content[0]))))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (p *property) run(t *testing.T, draws int) {
	t.Helper()
	for i := range p.read.Actions {
		a := &p.read.Actions[i]
		p.input(t, a, draws)
		p.output(t, a, draws)
	}
	t.Logf("%d values drawn; %d schemas gave none, %d have no judge; of %d changed answers only ours admit %d",
		p.drawn, p.undrawn, p.unjudged, p.mutants, p.wider)
}

// input puts arguments together from values that the originals of all parts
// admit.
func (p *property) input(t *testing.T, a *Action, draws int) {
	t.Helper()
	ours := mustCompile(t, a.Name, a.InputSchema)
	method, path, _ := strings.Cut(a.Operation, " ")
	parameters, body := p.parts(path, strings.ToLower(method))
	var parts []original
	for _, in := range append(pathParameters(a), a.Request.Parameters...) {
		if at, ok := parameters[string(in.In)+"."+in.Name]; ok && in.Value.Argument != "" && in.ContentType == "" {
			parts = append(parts, original{at: at, argument: in.Value.Argument, required: in.Required})
		}
	}
	if b := a.Request.Body; b != nil && b.Contents[0].Format == FormatJSON {
		if at, ok := body[b.Contents[0].MediaType]; ok {
			parts = append(parts, original{at: at, body: b, required: true})
		}
	} else if b != nil {
		return // files and texts are arguments of another form
	}
	for draw := range draws {
		arguments, complete := map[string]any{}, true
		for i := range parts {
			v, ok := p.admitted(t, &parts[i], input, draw)
			if ok {
				parts[i].put(arguments, v)
			}
			complete = complete && (ok || !parts[i].required)
		}
		if !complete {
			continue
		}
		p.drawn++
		if err := ours.Validate(arguments); err != nil {
			t.Errorf("%s: the parts of %s are admitted, the whole is not: %v\n%.3000s", a.Operation, show(arguments), err, a.InputSchema)
			return
		}
	}
}

func pathParameters(a *Action) []Parameter {
	var out []Parameter
	for _, part := range a.Request.Path {
		if part.Parameter != nil {
			out = append(out, *part.Parameter)
		}
	}
	return out
}

func (p *property) output(t *testing.T, a *Action, draws int) {
	t.Helper()
	if a.OutputSchema == nil || a.Response.Select != nil {
		return
	}
	ours := mustCompile(t, a.Name+" output", a.OutputSchema)
	method, path, _ := strings.Cut(a.Operation, " ")
	for _, at := range p.answers(path, strings.ToLower(method)) {
		answer := original{at: at}
		for draw := range draws {
			v, ok := p.admitted(t, &answer, output, draw)
			if !ok {
				continue
			}
			p.drawn++
			if err := ours.Validate(v); err != nil {
				t.Errorf("%s: the answer %s is not admitted: %v\n%.3000s", a.Operation, show(v), err, a.OutputSchema)
				return
			}
			p.compare(t, a, &answer, ours, p.mutate(v))
		}
	}
}

// original is a schema in the document, by the pointer to it, and the argument
// that its values become.
type original struct {
	at       string
	argument string
	body     *Body
	required bool
	judge    func(any) bool
	judged   bool // whether there is a judge is known
	values   int  // drawn so far
}

func (o *original) put(arguments map[string]any, v any) {
	switch {
	case o.body == nil:
		arguments[o.argument] = v
	case o.body.Whole != nil:
		arguments[o.body.Whole.Argument] = v
	default:
		object, _ := v.(map[string]any)
		for _, m := range o.body.Members {
			if member, ok := object[m.Path[0]]; ok && m.Value.Argument != "" {
				arguments[m.Value.Argument] = member
			}
		}
	}
}

// compare looks at a value that either side may refuse. Ours may admit more,
// where the dialects differ or a keyword was left out with a finding; of our own
// document of 2020-12 it has to say the same, save of members that travel one way.
func (p *property) compare(t *testing.T, a *Action, o *original, ours *jsonschema.Schema, v any) {
	t.Helper()
	theirs := o.judge(v)
	p.mutants++
	err := ours.Validate(v)
	if err == nil && !theirs {
		p.wider++
	}
	// kin-openapi takes null where "type" stands beside a nullable option of oneOf.
	lenient := p.kin != nil && bytes.Contains(mustJSON(v), []byte("null"))
	if (err != nil && theirs && !lenient) || p.exact && (err == nil) != theirs && !strings.Contains(a.Operation, "OneWay") {
		t.Errorf("%s: %s: admitted by the original: %v; by ours: %v\n%.3000s", a.Operation, show(v), theirs, err, a.OutputSchema)
	}
}

// mutate changes a value in one place.
func (p *property) mutate(v any) any {
	others := []any{nil, true, "", "a", json.Number("0"), json.Number("-1"), json.Number("7"), json.Number("0.5"), []any{}, map[string]any{}}
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		names := slices.Sorted(maps.Keys(v))
		if len(names) == 0 || p.r.IntN(5) == 0 {
			out[[]string{"a", "b", "x_y", "kind"}[p.r.IntN(4)]] = others[p.r.IntN(len(others))]
			return out
		}
		name := names[p.r.IntN(len(names))]
		if out[name] = p.mutate(v[name]); p.r.IntN(3) == 0 {
			delete(out, name)
		}
		return out
	case []any:
		if len(v) > 0 && p.r.IntN(4) > 0 {
			out := slices.Clone(v)
			i := p.r.IntN(len(v))
			out[i] = p.mutate(v[i])
			return out
		}
		return append(slices.Clone(v), others[p.r.IntN(len(others))])
	}
	return others[p.r.IntN(len(others))]
}

func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.1500s", text)
}

// admitted draws a value that the original admits.
func (p *property) admitted(t *testing.T, o *original, d direction, draw int) (any, bool) {
	t.Helper()
	if !o.judged {
		o.judged, o.judge = true, p.judge(t, o.at, d)
		if o.judge == nil {
			p.unjudged++
		}
	}
	if o.judge == nil {
		return nil, false
	}
	flag := [...]string{input: "readOnly", output: "writeOnly"}[d]
	drawer := p.drawer([]float64{0, 1, 0.5}[draw%3])
	drawer.Leave = func(schema map[string]any) bool { return schema[flag] == true }
	for range 20 {
		if v, ok := drawer.Value(drawer.Resolve(o.at)); ok && o.judge(v) {
			o.values++
			return v, true
		}
	}
	if draw == 2 && o.values == 0 { // all chances of optional members had their turn
		p.undrawn++
		t.Logf("%s: nothing was drawn", o.at)
	}
	return nil, false
}

func (p *property) drawer(optional float64) *draw.Drawer {
	return &draw.Drawer{Rand: p.r, Root: p.doc, Optional: optional, BareRefs: p.kin != nil, Text: func(r *rand.Rand) string {
		return []string{"", "a", "ab", "two words", "x_y", "7"}[r.IntN(6)]
	}}
}

// parts gives pointers to the schemas of an operation's parameters, by location
// and name, and of its body, by media type.
func (p *property) parts(path, method string) (parameters, body map[string]string) {
	parameters, body = map[string]string{}, map[string]string{}
	item := p.follow("#/paths/" + escapePointer(path))
	for _, at := range []string{item + "/parameters", item + "/" + method + "/parameters"} {
		list, _ := p.resolve(at).([]any)
		for i := range list {
			one := p.followValue(fmt.Sprintf("%s/%d", at, i), list[i])
			object, _ := p.resolve(one).(map[string]any)
			if object["schema"] != nil {
				parameters[fmt.Sprint(object["in"], ".", object["name"])] = one + "/schema"
			}
		}
	}
	at := p.follow(item + "/" + method + "/requestBody")
	object, _ := p.resolve(at).(map[string]any)
	content, _ := object["content"].(map[string]any)
	for name, media := range content {
		if m, _ := media.(map[string]any); m["schema"] != nil {
			body[name] = at + "/content/" + escapePointer(name) + "/schema"
		}
	}
	return parameters, body
}

// answers gives pointers to the schemas of the responses that are results.
func (p *property) answers(path, method string) []string {
	at := p.follow("#/paths/"+escapePointer(path)) + "/" + method + "/responses"
	responses, _ := p.resolve(at).(map[string]any)
	var out []string
	for status := range responses {
		if !strings.HasPrefix(status, "2") || strings.HasSuffix(status, "204") {
			continue
		}
		one := p.follow(at + "/" + status)
		object, _ := p.resolve(one).(map[string]any)
		content, _ := object["content"].(map[string]any)
		for name, media := range content {
			if m, _ := media.(map[string]any); isJSONMedia(essence(name)) && m["schema"] != nil {
				out = append(out, one+"/content/"+escapePointer(name)+"/schema")
			}
		}
	}
	slices.Sort(out)
	return out
}

func escapePointer(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

// resolve gives the value at a pointer; nil when there is none.
func (p *property) resolve(at string) any {
	v := p.drawer(0).Resolve(at)
	if v == any(true) {
		return nil
	}
	return v
}

func (p *property) follow(at string) string { return p.followValue(at, p.resolve(at)) }

// followValue gives the pointer to what a reference at a pointer leads to.
func (p *property) followValue(at string, v any) string {
	for range 20 {
		object, _ := v.(map[string]any)
		ref, isRef := object["$ref"].(string)
		if !isRef || !strings.HasPrefix(ref, "#/") {
			break
		}
		at, v = ref, p.resolve(ref)
	}
	return at
}

// judge is another reader's verdict on values of the schema at a pointer; nil
// when it cannot read the schema.
func (p *property) judge(t *testing.T, at string, d direction) func(any) bool {
	t.Helper()
	if p.kin != nil {
		schema, as := p.kin.Components.Schemas[p.judged[at]], [...]openapi3.SchemaValidationOption{
			input: openapi3.VisitAsRequest(), output: openapi3.VisitAsResponse(),
		}[d]
		if schema == nil {
			return nil
		}
		return func(v any) bool { return schema.Value.VisitJSON(floats(v), as) == nil }
	}
	if p.compilers[d] == nil {
		doc := plainTree(t, mustJSON(p.doc))
		relax(doc, [...]string{input: "readOnly", output: "writeOnly"}[d])
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft2020)
		c.UseLoader(refuse{})
		if err := c.AddResource("mem:///doc", doc); err != nil {
			t.Fatal(err)
		}
		p.compilers[d] = c
	}
	schema, err := p.compilers[d].Compile("mem:///doc" + strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D", " ", "%20").Replace(at))
	if err != nil {
		t.Logf("%s: %v", at, err)
		return nil
	}
	return func(v any) bool { return schema.Validate(v) == nil }
}

// floats makes the numbers of a value those that kin-openapi knows.
func floats(v any) any {
	var out any
	if err := json.Unmarshal(mustJSON(v), &out); err != nil {
		return nil
	}
	return out
}

// relax takes members that travel only the other way out of "required".
func relax(v any, flag string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			relax(item, flag)
		}
	case map[string]any:
		properties, _ := v["properties"].(map[string]any)
		travels := func(names any) any {
			list, isList := names.([]any)
			if !isList {
				return names
			}
			return slices.DeleteFunc(list, func(name any) bool {
				text, _ := name.(string)
				member, _ := properties[text].(map[string]any)
				return member[flag] == true
			})
		}
		if v["required"] != nil {
			v["required"] = travels(v["required"])
		}
		if dependent, ok := v["dependentRequired"].(map[string]any); ok {
			for name, names := range dependent {
				dependent[name] = travels(names)
			}
		}
		for _, member := range v {
			relax(member, flag)
		}
	}
}
