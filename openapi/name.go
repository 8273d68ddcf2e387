package openapi

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

func firstText(candidates ...string) string {
	for _, c := range candidates {
		if c = cleanText(c); c != "" {
			return c
		}
	}
	return ""
}

// name is x-action's, else made from the operationId, else from method and
// path. A name that the author gave may stand only once; a derived one that is
// taken gets a number.
func (r *reader) name(o *operation, x *xAction) (string, bool) {
	if x.name != "" {
		if other, taken := r.names[x.name]; taken {
			r.report(SeverityError, "name-taken", x.node,
				fmt.Sprintf("action name %q is already that of %s", x.name, other), "give one of them another name")
			return "", false
		}
		r.names[x.name] = r.op
		return x.name, true
	}
	base := kebab(o.id)
	if base == "" {
		base = kebab(o.method + " " + o.path)
	}
	if base == "" {
		base = strings.ToLower(o.method)
	}
	name := base
	for r.owner(name) != "" {
		r.numbers[base] = max(r.numbers[base], 1) + 1
		suffix := fmt.Sprintf("-%d", r.numbers[base])
		name = base[:min(len(base), maxName-len(suffix))] + suffix
	}
	if name != base {
		r.report(SeverityWarning, "name-taken", o.node,
			fmt.Sprintf("action name %q is already that of %s; this one is called %q", base, r.owner(base), name), "give it an operationId, or a name in x-action")
	}
	r.names[name] = r.op
	return name, true
}

// owner is the operation whose name this is, or is going to be.
func (r *reader) owner(name string) string { return cmp.Or(r.names[name], r.reserved[name]) }

// reserve keeps the names that x-actions give from being derived for others
// that come first.
func (r *reader) reserve(routes []route) {
	r.reserved = map[string]string{}
	for _, at := range routes {
		for _, e := range operations(at.item) {
			x := get(e.op, "x-action")
			for _, n := range append(present(x), items(x)...) {
				name := text(get(n, "name"))
				if name != "" && r.reserved[name] == "" {
					r.reserved[name] = e.method + " " + at.path.Value
				}
			}
		}
	}
}

var wordBoundary = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])`)
var notNameRune = regexp.MustCompile(`[^a-z0-9]+`)

// kebab makes getEntityByName, repos/create-fork or "GET /pets/{id}" a name.
func kebab(s string) string {
	s = wordBoundary.ReplaceAllString(s, "$1$3-$2$4")
	s = strings.Trim(notNameRune.ReplaceAllString(strings.ToLower(s), "-"), "-")
	if len(s) <= maxName {
		return s
	}
	sum := sha256.Sum256([]byte(s)) // so that it stays unique, and the same for ever
	return strings.Trim(s[:maxName-9], "-") + "-" + hex.EncodeToString(sum[:4])
}

// maxName bounds an action's name.
const maxName = 64

func titleFrom(name string) string {
	title := []rune(strings.ReplaceAll(name, "-", " "))
	title[0] = unicode.ToUpper(title[0])
	return string(title)
}
