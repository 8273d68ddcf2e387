package openapi

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// splitPath takes apart what OpenAPI does not have in paths but authors write:
// a fragment, to tell operations of one path apart, never travels; a query is
// sent as it stands.
func (r *reader) splitPath(o *operation, path *yaml.Node) {
	var fragment string
	o.path, fragment, _ = strings.Cut(path.Value, "#")
	o.path, o.query, _ = strings.Cut(o.path, "?")
	if fragment != "" {
		r.report(SeverityInfo, "path-fragment", path, fmt.Sprintf("path has the fragment #%s, which is not sent", fragment), "")
	}
	if o.query != "" {
		r.report(SeverityInfo, "path-query", path, fmt.Sprintf("path has the query ?%s, which is always sent", o.query), "describe it as a query parameter with one enum value")
	}
}

// checkPath sees to it that the template and the path parameters agree.
func (r *reader) checkPath(o *operation, path *yaml.Node) bool {
	if !strings.HasPrefix(o.path, "/") {
		r.report(SeverityError, "path-invalid", path, "path does not begin with /", "")
		return false
	}
	fault := templateFault(o.path)
	if strings.ContainsAny(o.query, "{}") {
		fault = "has a parameter in its query; describe it as a query parameter"
	}
	if fault != "" {
		r.report(SeverityError, "path-invalid", path, "path "+fault, "")
		return false
	}
	ok := true
	names := templateNames(o.path)
	for _, name := range names {
		declared := func(p parameter) bool { return p.In == "path" && p.Name == name }
		if !slices.ContainsFunc(o.parameters, declared) {
			r.report(SeverityError, "path-parameter-missing", o.node,
				fmt.Sprintf("path has {%s}, which no parameter describes", name), "add a parameter with in: path")
			ok = false
		}
	}
	o.parameters = slices.DeleteFunc(o.parameters, func(p parameter) bool {
		stray := p.In == "path" && !slices.Contains(names, p.Name)
		if stray {
			r.report(SeverityWarning, "path-parameter-unused", p.node,
				fmt.Sprintf("path parameter %q does not stand in the path", p.Name), "remove it, or mend the path")
		}
		return stray
	})
	return ok
}

var templateExpression = regexp.MustCompile(`\{([^{}]*)\}`)

// templateFault says why a path template could not become one path below the
// base URL, whatever the arguments.
func templateFault(path string) string {
	literal := templateExpression.ReplaceAllString(path, "x")
	switch {
	case strings.ContainsAny(literal, "{}"):
		return "has a brace without its partner"
	case strings.ContainsAny(literal, "\\\x00"):
		return "has a backslash or NUL"
	}
	for segment := range strings.SplitSeq(literal, "/") {
		if _, err := url.PathUnescape(segment); err != nil || Climbs(segment) {
			return fmt.Sprintf("has the segment %q", segment)
		}
	}
	return ""
}

// Climbs tells whether a path's segment may lead out of its place: it is "." or
// "..", or holds a backslash or NUL, however often a server on the way decodes
// it, and if it cuts it at ";". Templates and filled-in paths are held to it.
func Climbs(segment string) bool {
	for range 10 {
		if strings.ContainsAny(segment, "\\\x00") {
			return true
		}
		for part := range strings.SplitSeq(segment, "/") {
			if name, _, _ := strings.Cut(part, ";"); name == "." || name == ".." {
				return true
			}
		}
		decoded, err := url.PathUnescape(segment)
		if err != nil || decoded == segment {
			break
		}
		segment = decoded
	}
	return false
}

func templateNames(path string) []string {
	var names []string
	for _, m := range templateExpression.FindAllStringSubmatch(path, -1) {
		names = append(names, m[1])
	}
	return names
}
