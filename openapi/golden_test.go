package openapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what is as what is wanted")

// TestRead reads each testdata/read/*.txtar: openapi.yaml or openapi.json, its
// overlays, the files that its $refs lead to, and what they must come to. The
// comment's words set options: "all", "trusted", "secret=NAME", "base=URL" (the operator's),
// "url=URL" (where it came from).
func TestRead(t *testing.T) {
	files, err := filepath.Glob("testdata/read/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden pairs", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			options := strings.Fields(strings.SplitN(string(archive.Comment), "\n", 2)[0])
			got := dump(t, readArchive(archive, options))
			for i, f := range archive.Files {
				if f.Name != "want" {
					continue
				}
				if *update {
					archive.Files[i].Data = got
					if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
						t.Fatal(err)
					}
				} else if !bytes.Equal(f.Data, got) {
					t.Errorf("got:\n%s\nwant:\n%s", got, f.Data)
				}
				return
			}
			t.Error("the pair has no file \"want\"")
		})
	}
}

func readArchive(archive *txtar.Archive, options []string) *Document {
	var src Source
	opts, files := Options{}, memory{}
	for _, o := range options {
		opts.TrustAttributes = opts.TrustAttributes || o == "trusted"
		if o == "all" {
			opts.Mode = All
		}
		if secret, found := strings.CutPrefix(o, "secret="); found {
			opts.Secrets = append(opts.Secrets, secret)
		}
		if base, found := strings.CutPrefix(o, "base="); found {
			opts.BaseURL = base
		}
		if url, found := strings.CutPrefix(o, "url="); found {
			src.Name = url
		}
	}
	for _, f := range archive.Files {
		switch {
		case strings.HasPrefix(f.Name, "openapi."):
			src.Name, src.Data = cmp.Or(src.Name, f.Name), f.Data
		case strings.HasPrefix(f.Name, "overlay"):
			opts.Overlays = append(opts.Overlays, Source{f.Name, f.Data})
		case f.Name != "want":
			files[f.Name] = string(f.Data)
		}
	}
	if len(files) > 0 {
		opts.Opener = files
	}
	return Read(src, opts)
}

// memory opens files by their path.
type memory map[string]string

func (m memory) Resolve(from, ref string) (string, error) {
	u, err := url.Parse(ref)
	if err != nil || u.IsAbs() {
		return "", &OpenError{"it is a URL", "copy it"}
	}
	return path.Join(path.Dir(from), u.Path), nil
}

func (m memory) Open(name string) ([]byte, error) {
	if data, ok := m[name]; ok {
		return []byte(data), nil
	}
	return nil, fmt.Errorf("%s does not exist", name)
}

// dump writes what a reviewer wants to see of a document.
func dump(t *testing.T, doc *Document) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, f := range doc.Findings {
		fmt.Fprintln(&b, f)
	}
	fmt.Fprintf(&b, "%d operations, %d unannotated, %d actions\n", doc.Operations, doc.Unannotated, len(doc.Actions))
	for _, a := range doc.Actions {
		flags := ""
		for _, f := range []struct {
			on   bool
			name string
		}{{a.Attributes.ReadOnly, "readOnly"}, {a.Attributes.Destructive, "destructive"}, {a.Attributes.Idempotent, "idempotent"}, {a.Attributes.OpenWorld, "openWorld"}, {a.Deprecated, "deprecated"}} {
			if f.on {
				flags += " " + f.name
			}
		}
		fmt.Fprintf(&b, "\n%s: %s (%s)%s\n", a.Name, a.Title, a.Operation, flags)
		if a.Description != "" && a.Description != a.Title {
			fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(a.Description, "\n", "\n  "))
		}
		for _, extra := range []struct {
			name  string
			value any
			set   bool
		}{{"tags", a.Tags, len(a.Tags) > 0}, {"scopes", a.Scopes, len(a.Scopes) > 0}, {"timeout", a.Timeout.String(), a.Timeout > 0}, {"examples", a.Examples, len(a.Examples) > 0}} {
			if extra.set {
				text, err := json.Marshal(extra.value)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "  %s: %s\n", extra.name, text)
			}
		}
		fmt.Fprintf(&b, "  input: %s\n", a.InputSchema)
		mustCompile(t, a.Name, a.InputSchema)
		mustMirror(t, a.Name, a.InputSchema)
		if a.OutputSchema != nil {
			fmt.Fprintf(&b, "  output: %s\n", a.OutputSchema)
			mustCompile(t, a.Name, a.OutputSchema)
		}
		dumpPlan(&b, a)
	}
	return b.Bytes()
}

// mustMirror makes sure that clients take a tool with its x-mcp-header: on strings,
// integers and booleans that are properties of properties, each name once.
func mustMirror(t *testing.T, name string, schema json.RawMessage) {
	t.Helper()
	var root any
	dec := json.NewDecoder(bytes.NewReader(schema))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var walk func(v any, reachable bool)
	walk = func(v any, reachable bool) {
		schema, _ := v.(map[string]any)
		if list, ok := v.([]any); ok {
			for _, part := range list {
				walk(part, false)
			}
		}
		if header, ok := schema["x-mcp-header"].(string); ok {
			if kind, _ := schema["type"].(string); !reachable || seen[strings.ToLower(header)] || !slices.Contains([]string{"string", "integer", "boolean"}, kind) {
				t.Errorf("%s: x-mcp-header %q makes clients refuse the tool", name, header)
			}
			seen[strings.ToLower(header)] = true
		}
		for key, part := range schema {
			switch properties, _ := part.(map[string]any); key {
			case "default", "examples", "const", "enum":
			case "properties":
				for _, property := range properties {
					walk(property, reachable)
				}
			default:
				walk(part, false)
			}
		}
	}
	walk(root, true)
}

func dumpPlan(b *bytes.Buffer, a Action) {
	fmt.Fprintf(b, "  request: %s ", a.Request.Method)
	for _, part := range a.Request.Path {
		if part.Parameter == nil {
			b.WriteString(part.Literal)
		} else {
			fmt.Fprintf(b, "{%s}", dumpParameter(*part.Parameter))
		}
	}
	b.WriteByte('\n')
	for _, p := range a.Request.Parameters {
		fmt.Fprintf(b, "    %s %s\n", p.In, dumpParameter(p))
	}
	if body := a.Request.Body; body != nil {
		fmt.Fprintf(b, "    body %s required=%v", body.Contents[0].MediaType, body.Required)
		if body.Whole != nil {
			fmt.Fprintf(b, " %s", dumpValue(*body.Whole))
		}
		b.WriteByte('\n')
		for _, m := range body.Members {
			fmt.Fprintf(b, "      %s %s\n", strings.Join(m.Path, "."), dumpValue(m.Value))
		}
		dumpContents(b, body)
	}
	if len(a.Request.Defaults) > 0 {
		text, _ := json.Marshal(a.Request.Defaults)
		fmt.Fprintf(b, "    defaults %s\n", text)
	}
	fmt.Fprintf(b, "    accept %s\n", a.Request.Accept)
	if a.Response.Select != nil || len(a.Response.Success) > 0 {
		fmt.Fprintf(b, "  response: success %v select %s\n", a.Response.Success, a.Response.Select)
	}
	if a.Response.Progress != nil {
		fmt.Fprintf(b, "  progress: %s\n", a.Response.Progress)
	}
	if a.Response.MCP {
		fmt.Fprintf(b, "  mcp: asks %v, answers %v, state %v\n", a.Response.Asks(), a.Response.Answers, a.Response.State)
	}
}

// dumpContents tells of a body what is not plain JSON.
func dumpContents(b *bytes.Buffer, body *Body) {
	for i, c := range body.Contents {
		if i > 0 || c.Format != FormatJSON {
			fmt.Fprintf(b, "      as %s: %s\n", c.MediaType, c.Format)
		}
		for _, name := range slices.Sorted(maps.Keys(c.Encoding)) {
			fmt.Fprintf(b, "        %s %+v\n", name, c.Encoding[name])
		}
		if c.XML != nil {
			dumpXML(b, "        ", "", c.XML, map[*XML]bool{})
		}
	}
	if body.ContentType != nil {
		fmt.Fprintf(b, "      content type %s\n", dumpValue(*body.ContentType))
	}
}

func dumpXML(b *bytes.Buffer, indent, name string, x *XML, seen map[*XML]bool) {
	flat := *x
	flat.Items, flat.Members = nil, nil
	fmt.Fprintf(b, "%s%s %+v\n", indent, name, flat)
	if seen[x] {
		return
	}
	seen[x] = true
	if x.Items != nil {
		dumpXML(b, indent+"  ", "[]", x.Items, seen)
	}
	for _, m := range x.Members {
		dumpXML(b, indent+"  ", m.Name, m.XML, seen)
	}
}

func dumpParameter(p Parameter) string {
	s := fmt.Sprintf("%s %s explode=%v %s", p.Name, p.Style, p.Explode, dumpValue(p.Value))
	for _, flag := range []struct {
		on   bool
		name string
	}{{p.Required, "required"}, {p.AllowReserved, "allowReserved"}, {p.AllowEmptyValue, "allowEmptyValue"}, {p.ContentType != "", p.ContentType}} {
		if flag.on {
			s += " " + flag.name
		}
	}
	return s
}

func dumpValue(v Value) string {
	switch {
	case v.Fixed != nil:
		return "= " + string(v.Fixed)
	case v.Query != nil:
		return "= jq " + v.Query.String()
	case v.Secret != "":
		return "= secret " + v.Secret
	case v.Known != "":
		return "= output." + string(v.Known)
	}
	return "<- " + v.Argument
}
