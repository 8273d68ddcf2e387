package openapi

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// checkPath sees to it that the template and the path parameters agree.
func (r *reader) checkPath(o *operation, path *yaml.Node) bool {
	if !strings.HasPrefix(o.path, "/") {
		r.report(SeverityError, "path-invalid", path, "path does not begin with /", "")
		return false
	}
	if fault := templateFault(o.path); fault != "" {
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
	case strings.ContainsAny(literal, "?#"):
		return "has a query or a fragment, which paths of OpenAPI do not have; describe query parameters"
	case strings.ContainsAny(literal, "\\\x00"):
		return "has a backslash or NUL"
	}
	for segment := range strings.SplitSeq(literal, "/") {
		if decoded, err := url.PathUnescape(segment); err != nil || decoded == "." || decoded == ".." {
			return fmt.Sprintf("has the segment %q", segment)
		}
	}
	return ""
}

func templateNames(path string) []string {
	var names []string
	for _, m := range templateExpression.FindAllStringSubmatch(path, -1) {
		names = append(names, m[1])
	}
	return names
}
