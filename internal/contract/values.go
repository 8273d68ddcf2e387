package contract

import (
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// noLoader opens nothing: schemas are self-contained.
type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errDeep }

// admits tells whether a schema of a document admits a value, where that can
// be known.
func (c *comparison) admits(s *schema, v any) (admits, known bool) {
	compiled, tried := c.values[s]
	if !tried {
		compiled = compile(s)
		c.values[s] = compiled
	}
	if compiled == nil {
		return false, false
	}
	return compiled.Validate(v) == nil, true
}

// compile gives a validator of a part of a document; nil: there is none.
func compile(s *schema) (compiled *jsonschema.Schema) {
	defer func() {
		if recover() != nil { // the validator cannot read it
			compiled = nil
		}
	}()
	d := s.doc
	if d.byRef["#"+s.at] != s {
		return nil // it was made up
	}
	const place = "contract:schema"
	if d.values == nil {
		d.values = jsonschema.NewCompiler()
		d.values.DefaultDraft(jsonschema.Draft2020)
		d.values.UseLoader(noLoader{})
		if d.values.AddResource(place, d.raw) != nil {
			return nil
		}
	}
	compiled, err := d.values.Compile(place + "#" + fragment(s.at))
	if err != nil {
		return nil
	}
	return compiled
}

// fragment is a JSON Pointer as a URL has it.
func fragment(pointer string) string {
	return strings.NewReplacer("%", "%25", " ", "%20", `"`, "%22", "#", "%23", "<", "%3C", ">", "%3E", `\`, "%5C", "^", "%5E", "`", "%60", "{", "%7B", "|", "%7C", "}", "%7D").Replace(pointer)
}

// fits tells whether a value may fit all parts.
func (c *comparison) fits(f flat, v any) bool {
	return !slices.ContainsFunc(f.parts, func(p part) bool {
		if p.kinds()&kindOfValue(v) == 0 {
			return true
		}
		admits, known := c.admits(p.schema, v)
		return known && !admits
	})
}

// checkValues tries all values that fit.
func (c *comparison) checkValues(f flat, values []any, super *schema) []gap {
	var gone []any
	for _, v := range values {
		if !c.fits(f, v) {
			continue
		}
		switch admits, known := c.admits(super, v); {
		case !known:
			return undecided("enum")
		case !admits:
			gone = append(gone, v)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	have, admitted := f.kinds(), c.flatten([]part{{schema: super}}).kinds()
	if have&admitted == 0 {
		return []gap{{kind: gapType, word: "type", sub: have.String(), super: admitted.String()}}
	}
	return []gap{{kind: gapValues, word: "enum", sub: valuesText(gone)}}
}

// maxShown is how many values are told.
const maxShown = 10

func valuesText(values []any) string {
	var words []string
	for _, v := range values[:min(len(values), maxShown)] {
		words = append(words, clip(shown(v)))
	}
	if len(values) > maxShown {
		words = append(words, "…")
	}
	return strings.Join(words, ", ")
}

// clip bounds what is shown of one value.
func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return s
}

// empty tells whether surely no value fits all parts.
func (c *comparison) empty(parts []part, depth int) bool {
	f := c.flatten(parts)
	if f.never || f.kinds() == 0 {
		return true
	}
	if values, ok := f.finite(); ok && len(values) <= 1000 {
		return !slices.ContainsFunc(values, func(v any) bool { return c.fits(f, v) })
	}
	if f.kinds() != object || depth > 3 {
		return false
	}
	for name := range f.required() {
		if inner, _ := c.member(f, name); len(inner) > 0 && c.empty(inner, depth+1) {
			return true
		}
	}
	return false
}
