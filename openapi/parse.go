package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of a document. Real documents nest about 30 deep; the bounds keep
// hostile ones from costing more than their bytes.
const (
	defaultMaxBytes = 32 << 20
	maxDepth        = 200
	maxNodes        = 4_000_000 // counted with every alias expanded
	maxCopied       = 500_000   // of them, those that are copied because overlays may change them
)

// parsed is a text as a tree of nodes.
type parsed struct {
	root     *yaml.Node // nil: the last finding says why
	lost     lostMembers
	findings []Finding
	nodes    int // with those before it, every alias expanded
}

// parse turns a JSON or YAML text into a tree of nodes that know their line and
// column. Aliases are resolved (shared, or copied where the tree is to be
// changed) and merge keys applied. The findings say why there is no tree, or
// what was odd in it. nodes is how many there were in the texts before.
func parse(src Source, maxBytes int, unshare bool, nodes int) parsed {
	refuse := func(line, column int, message, hint string) parsed {
		return parsed{nodes: nodes, findings: []Finding{{
			Severity: SeverityError, Code: "document-unreadable",
			Location: Location{src.Name, line, column}, Message: message, Hint: hint,
		}}}
	}
	data := bytes.TrimPrefix(src.Data, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(data, []byte("%YAML 1.2")) { // the library knows 1.1 and reads nearly all of 1.2
		data = append([]byte("%YAML 1.1"), data[len("%YAML 1.2"):]...)
	}
	switch {
	case len(data) > maxBytes:
		return refuse(0, 0, fmt.Sprintf("document has %d bytes, more than the limit of %d", len(data), maxBytes), "split it, or leave out what the actions do not need")
	case len(bytes.TrimSpace(data)) == 0:
		return refuse(0, 0, "document is empty", "it has to be an OpenAPI document in JSON or YAML")
	case bytes.IndexByte(data, 0) >= 0:
		return refuse(0, 0, "document is binary", "it has to be an OpenAPI document in JSON or YAML")
	case !utf8.Valid(data):
		line, column := firstInvalidUTF8(data)
		return refuse(line, column, "document is not UTF-8", "save it as UTF-8")
	}

	root, err := parseTree(data, strings.HasSuffix(src.Name, ".json"))
	if err != nil {
		var at *syntaxError
		if errors.As(err, &at) {
			return refuse(at.line, at.column, at.message, "")
		}
		return refuse(0, 0, err.Error(), "")
	}
	t := newResolver(src.Name, unshare)
	t.total = nodes
	root = t.resolve(root, 0)
	if t.fatal != nil {
		return parsed{nodes: t.total, findings: []Finding{*t.fatal}}
	}
	return parsed{root, t.lost, t.findings, t.total}
}

// object gives the tree of a text that has to be an object.
func (p parsed) object(name string) parsed {
	if p.root != nil && p.root.Kind != yaml.MappingNode {
		return parsed{nodes: p.nodes, findings: []Finding{{
			Severity: SeverityError, Code: "document-unreadable", Location: Location{name, 1, 1},
			Message: "document is not an object", Hint: "an OpenAPI document begins with openapi: 3.1.0, info: …",
		}}}
	}
	return p
}

// syntaxError is a fault of JSON or YAML syntax with its place.
type syntaxError struct {
	line, column int
	message      string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%d:%d: %s", e.line, e.column, e.message) }

// parseTree reads JSON where the text begins like JSON, and YAML otherwise or,
// unless it has to be JSON, when a flow mapping only looked like JSON.
func parseTree(data []byte, onlyJSON bool) (*yaml.Node, error) {
	start := bytes.TrimLeft(data, " \t\r\n")
	if len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		root, jsonErr := parseJSON(data)
		if jsonErr == nil {
			return root, nil
		}
		var at *syntaxError
		if onlyJSON || errors.As(jsonErr, &at) && at.message == tooDeep {
			return nil, jsonErr
		}
		if root, err := parseYAML(data); err == nil {
			return root, nil
		}
		return nil, jsonErr
	}
	return parseYAML(data)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func parseYAML(data []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		m := yamlLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
		if m == nil {
			return nil, &syntaxError{1, 1, "YAML: " + err.Error()}
		}
		line, _ := strconv.Atoi(m[1])
		return nil, &syntaxError{max(line, 1), 1, "YAML: " + m[2]}
	}
	if len(doc.Content) == 0 {
		return nil, errors.New("document is empty")
	}
	return doc.Content[0], nil
}

func firstInvalidUTF8(data []byte) (line, column int) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		data = data[size:]
	}
	return line, column
}
