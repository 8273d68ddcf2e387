package invoke

import (
	"net/url"
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
		text := ""
		switch {
		case !ok || v == nil:
		case p.ContentType != "":
			text = escape(contentText(v))
		default:
			text = pathValue(p.Name, p.Style, p.Explode, v)
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
		b.fail(`an argument would change the path; "." and ".." are no values for a part of it`)
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
// are percent-encoded already; what remains are dot segments, in any encoding
// that some server might undo.
func sameShape(path, template string) bool {
	if strings.Count(path, "/") != strings.Count(template, "/") || strings.ContainsAny(path, "?#\\\x00") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		for range 10 {
			if segment == "." || segment == ".." {
				return false
			}
			decoded, err := url.PathUnescape(segment)
			if err != nil || decoded == segment {
				break
			}
			segment = decoded
		}
	}
	return true
}
