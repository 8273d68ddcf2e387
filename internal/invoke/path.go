package invoke

import (
	"strings"

	"github.com/stagedoor/stagedoor/openapi"
)

// path fills the template and then makes sure that it is still the template:
// the same segments, none of them "." or ".." under any reading.
func (b *requestBuilder) path() string {
	var out, template strings.Builder
	for _, part := range b.plan.Path {
		if part.Parameter == nil {
			out.WriteString(part.Literal)
			template.WriteString(part.Literal)
			continue
		}
		p := part.Parameter
		v, ok := b.value(p.Value)
		if b.err != nil {
			return ""
		}
		if p.Integer {
			v = integers(v)
		}
		text := ""
		switch {
		case ok && p.ContentType != "":
			text = escape(contentText(p.ContentType, v))
		case !ok || isEmpty(v):
		case p.AllowReserved:
			text = pathValue(p.Name, p.Style, p.Explode, v, escapeSegment)
		default:
			text = pathValue(p.Name, p.Style, p.Explode, v, escape)
		}
		if text == "" {
			b.fail("argument %q must not be empty: it is a part of the path", argumentOf(p))
			return ""
		}
		out.WriteString(text)
		template.WriteByte('x')
	}
	path := out.String()
	if !sameShape(path, template.String()) {
		b.fail(`an argument would change the path: a part of it cannot be or contain "." or ".." between slashes, a backslash or NUL`)
	}
	return path
}

func argumentOf(p *openapi.Parameter) string {
	if p.Value.Argument != "" {
		return p.Value.Argument
	}
	return p.Name
}

// sameShape tells whether a filled-in path has the template's segments. Values
// are percent-encoded already; what remains is what a server on the way may
// make of them: it may decode more than once, take a backslash for a slash, or
// cut a segment at ";" or NUL.
func sameShape(path, template string) bool {
	if strings.Count(path, "/") != strings.Count(template, "/") || strings.ContainsAny(path, "?#") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if openapi.Climbs(segment) {
			return false
		}
	}
	return true
}
