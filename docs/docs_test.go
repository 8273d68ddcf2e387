// Package docs_test holds the documents to the code: what they name exists,
// links lead somewhere, the house's import rules are kept, examples are read
// without errors, and the list of findings is complete.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/openapi"
)

const (
	root   = ".."
	module = "github.com/stagedoor/stagedoor/"
)

// documents are the pages that make claims about the code.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			pages[filepath.ToSlash(name)] = string(text)
		}
	}
	if len(pages) < 5 {
		t.Fatalf("only %d documents", len(pages))
	}
	return pages
}

// source is one of our packages: its files, and all that they declare.
type source struct {
	files    map[string]*ast.File // by path from the root; tests left out
	declared map[string]bool      // "Name", "Type.Method", "Type.Field"
}

// packages parses the tree without building it.
func packages(t *testing.T) map[string]*source {
	t.Helper()
	all := map[string]*source{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(file), root+"/")
		dir := path.Dir(name)
		if all[dir] == nil {
			all[dir] = &source{map[string]*ast.File{}, map[string]bool{}}
		}
		all[dir].files[name] = parsed
		all[dir].declare(parsed)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (s *source) declare(file *ast.File) {
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			name := decl.Name.Name
			if receiver := receiverOf(decl); receiver != "" {
				name = receiver + "." + name
			}
			s.declared[name] = true
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					s.declared[spec.Name.Name] = true
					if fields, ok := spec.Type.(*ast.StructType); ok {
						for _, field := range fields.Fields.List {
							for _, name := range field.Names {
								s.declared[spec.Name.Name+"."+name.Name] = true
							}
						}
					}
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						s.declared[name.Name] = true
					}
				}
			}
		}
	}
}

func receiverOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	expr := f.Recv.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	if name, ok := expr.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

var (
	fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?\n)```$")
	code  = regexp.MustCompile("`([^`\n]+)`")
	// filePath is a path below one of our folders, or a Go file.
	filePath = regexp.MustCompile(`^(\.ci|cmd|docs|gateway|internal|openapi|specs|test)(/[\w.*-]+)+$`)
	symbol   = regexp.MustCompile(`^([a-z]+)\.([A-Za-z]\w*(\.\w+)?)$`)
	fileLike = regexp.MustCompile(`\.(go|json|md|mod|sum|txtar|yaml|yml|db)$`)
)

// TestNames: each file and each function that a document names in backticks
// exists.
func TestNames(t *testing.T) {
	all := packages(t)
	byName := map[string]*source{}
	for dir, p := range all {
		byName[path.Base(dir)] = p
	}
	files, functions := 0, 0
	for page, text := range documents(t) {
		for _, m := range code.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			name := strings.TrimSuffix(m[1], "()")
			if filePath.MatchString(name) {
				files++
				if found, err := filepath.Glob(filepath.Join(root, name)); err != nil || len(found) == 0 {
					t.Errorf("%s: there is no %s", page, name)
				}
				continue
			}
			s := symbol.FindStringSubmatch(name)
			if s == nil || fileLike.MatchString(name) || byName[s[1]] == nil {
				continue
			}
			functions++
			if !byName[s[1]].declared[s[2]] {
				t.Errorf("%s: package %s declares no %s", page, s[1], s[2])
			}
		}
	}
	if files < 20 || functions < 20 {
		t.Errorf("only %d files and %d functions are named: are the patterns right?", files, functions)
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
)

// TestLinks: relative links lead to a file, and anchors to a heading.
func TestLinks(t *testing.T) {
	pages := documents(t)
	for page, text := range pages {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := page
			if target != "" {
				file = path.Join(path.Dir(page), target)
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: link to %s leads nowhere", page, m[1])
			} else if anchor != "" && !slices.Contains(anchors(pages[file]), anchor) {
				t.Errorf("%s: %s has no heading #%s", page, file, anchor)
			}
		}
	}
}

var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)

func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		out = append(out, strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

// room is a line of the house's table.
type room struct {
	mayImport []string
	alone     []string
}

// house reads the table of docs/architecture.md.
func house(t *testing.T) map[string]room {
	t.Helper()
	page, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## The house\n")
	table, _, _ = strings.Cut(table, "\n## ")
	rooms := map[string]room{}
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		rooms[words(cells[1])[0]] = room{mayImport: words(cells[3]), alone: words(cells[4])}
	}
	if len(rooms) < 10 {
		t.Fatalf("the table has only %d rooms", len(rooms))
	}
	return rooms
}

func words(cell string) []string {
	var out []string
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	return out
}

func imports(f *ast.File) []string {
	var out []string
	for _, spec := range f.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			out = append(out, name)
		}
	}
	return out
}

// TestHouse: packages import what the table lets them, and every package is in
// the table.
func TestHouse(t *testing.T) {
	rooms, all := house(t), packages(t)
	for dir, p := range all {
		if _, known := rooms[dir]; !known {
			t.Errorf("package %s is not in the table", dir)
		}
		for file, parsed := range p.files {
			for _, imported := range imports(parsed) {
				own, isOurs := strings.CutPrefix(imported, module)
				if isOurs && !slices.Contains(rooms[dir].mayImport, own) {
					t.Errorf("%s imports %s, which the table does not allow", file, own)
				}
				if owner := ownerOf(rooms, imported); owner != "" && !within(dir, owner) {
					t.Errorf("%s imports %s, which only %s may", file, imported, owner)
				}
			}
		}
	}
	for dir := range rooms {
		if all[dir] == nil {
			t.Errorf("the table has %s, which is no package", dir)
		}
	}
}

// ownerOf is the only package that may import a library; "" for others.
func ownerOf(rooms map[string]room, imported string) string {
	for dir, r := range rooms {
		for _, library := range r.alone {
			if within(imported, library) {
				return dir
			}
		}
	}
	return ""
}

func within(name, prefix string) bool {
	return name == prefix || strings.HasPrefix(name, prefix+"/")
}

// TestPublicAPI: no type of a library stands in the exported API of gateway
// and openapi.
func TestPublicAPI(t *testing.T) {
	all := packages(t)
	for _, dir := range []string{"gateway", "openapi"} {
		for file, parsed := range all[dir].files {
			foreign := map[string]string{} // local name of a library's package
			for _, spec := range parsed.Imports {
				name, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(strings.SplitN(name, "/", 2)[0], ".") && !strings.HasPrefix(name, module) {
					local := strings.TrimLeft(path.Base(name), "v0123456789.")
					if local = strings.TrimSuffix(local, ".v3"); local == "" {
						local = path.Base(path.Dir(name))
					}
					if spec.Name != nil {
						local = spec.Name.Name
					}
					foreign[local] = name
				}
			}
			for _, expr := range exported(parsed) {
				ast.Inspect(expr, func(n ast.Node) bool {
					if sel, ok := n.(*ast.SelectorExpr); ok {
						if pkg, ok := sel.X.(*ast.Ident); ok && foreign[pkg.Name] != "" {
							t.Errorf("%s: the exported API has %s.%s of %s", file, pkg.Name, sel.Sel.Name, foreign[pkg.Name])
						}
					}
					return true
				})
			}
		}
	}
}

// exported gives the types that a file's exported declarations are made of.
func exported(file *ast.File) []ast.Node {
	var out []ast.Node
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if receiver := receiverOf(decl); decl.Name.IsExported() && (receiver == "" || ast.IsExported(receiver)) {
				out = append(out, decl.Type)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					out = append(out, exportedType(spec)...)
				case *ast.ValueSpec:
					if spec.Type != nil && spec.Names[0].IsExported() {
						out = append(out, spec.Type)
					}
				}
			}
		}
	}
	return out
}

func exportedType(spec *ast.TypeSpec) []ast.Node {
	if !spec.Name.IsExported() {
		return nil
	}
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		return []ast.Node{spec.Type}
	}
	var out []ast.Node
	for _, field := range fields.Fields.List {
		embedded := len(field.Names) == 0
		if embedded || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
			out = append(out, field.Type)
		}
	}
	return out
}

// TestFindings: docs/findings.md has every code that reader, lint and lists of actions report, with
// its severities, and no other.
func TestFindings(t *testing.T) {
	page, err := os.ReadFile("findings.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| ([a-z, ]+) \\|").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = m[2]
	}
	all := packages(t)
	reported := findingCodes(all["openapi"])
	maps.Copy(reported, findingCodes(all["internal/lint"]))
	maps.Copy(reported, findingCodes(all["internal/backstage"]))
	maps.Copy(reported, findingCodes(all["gateway"]))
	if len(reported) < 20 {
		t.Errorf("only %d codes are found: is the search right?", len(reported))
	}
	for code, severity := range reported {
		switch severities, known := documented[code]; {
		case !known:
			t.Errorf("findings.md lacks %s", code)
		case !strings.Contains(severities, severity):
			t.Errorf("findings.md: %s is %q, but can be %q", code, severities, severity)
		}
	}
	for code := range documented {
		if _, known := reported[code]; !known {
			t.Errorf("findings.md has %s, which nothing reports", code)
		}
	}
}

// findingCodes finds the codes in calls of report and schemaFinding and in
// literals of Finding, each with a severity of it ("" where it is a variable).
func findingCodes(p *source) map[string]string {
	codes := map[string]string{}
	note := func(code, severity ast.Expr) {
		literal, ok := code.(*ast.BasicLit)
		if !ok {
			return
		}
		word := ""
		if sel, ok := severity.(*ast.SelectorExpr); ok {
			severity = sel.Sel
		}
		if ident, ok := severity.(*ast.Ident); ok {
			if name, found := strings.CutPrefix(ident.Name, "Severity"); found {
				word = strings.ToLower(name)
			}
		}
		if name, err := strconv.Unquote(literal.Value); err == nil && (codes[name] == "" || word == "error") {
			codes[name] = word
		}
	}
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				switch {
				case ok && sel.Sel.Name == "report" && len(n.Args) > 1:
					note(n.Args[1], n.Args[0])
				case ok && sel.Sel.Name == "schemaFinding":
					note(n.Args[0], ast.NewIdent("SeverityWarning"))
				}
			case *ast.CompositeLit:
				fields := map[string]ast.Expr{}
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						if key, ok := kv.Key.(*ast.Ident); ok {
							fields[key.Name] = kv.Value
						}
					}
				}
				if fields["Code"] != nil && fields["Severity"] != nil {
					note(fields["Code"], fields["Severity"])
				}
			}
			return true
		})
	}
	return codes
}

// TestExamples: the documents in x-action.md are read without errors, and so
// are those in the README.
func TestExamples(t *testing.T) {
	complete, overlays := 0, 0
	for page, text := range documents(t) {
		var last *openapi.Source
		for _, at := range fence.FindAllStringSubmatchIndex(text, -1) {
			if text[at[2]:at[3]] != "yaml" {
				continue
			}
			block := text[at[4]:at[5]]
			line := strings.Count(text[:at[4]], "\n") + 1
			src := openapi.Source{Name: page + ":" + strconv.Itoa(line), Data: []byte(block)}
			opts := openapi.Options{}
			switch {
			case strings.HasPrefix(block, "openapi:"):
				complete++
				last = &src
			case strings.HasPrefix(block, "overlay:") && last != nil:
				overlays++
				opts.Overlays = []openapi.Source{src}
				src = *last
			default:
				continue
			}
			doc := openapi.Read(src, opts)
			if len(opts.Overlays) > 0 && len(doc.Actions) == 0 {
				t.Errorf("%s: the overlay gives no action", opts.Overlays[0].Name)
			}
			if len(doc.Actions) == 0 && !strings.Contains(block, "no x-action") {
				t.Errorf("%s: no action", src.Name)
			}
			for _, f := range doc.Findings {
				if f.Severity == openapi.SeverityError || f.Severity == openapi.SeverityWarning && !strings.Contains(block, f.Code) {
					t.Error(f)
				}
			}
		}
	}
	if complete < 6 || overlays < 1 {
		t.Errorf("only %d complete documents and %d overlays", complete, overlays)
	}
}
