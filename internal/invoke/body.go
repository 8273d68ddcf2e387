package invoke

import (
	"net/url"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/openapi"
)

// body puts the request's body together; nil: there is none.
func (b *requestBuilder) body() []byte {
	plan := b.plan.Body
	if plan == nil || b.err != nil {
		return nil
	}
	v, present := b.bodyValue(plan)
	if b.err != nil || !present {
		return nil
	}
	if essence, _, _ := strings.Cut(plan.MediaType, ";"); strings.EqualFold(strings.TrimSpace(essence), "application/x-www-form-urlencoded") {
		return b.form(v)
	}
	text, err := marshal(v)
	if err != nil {
		b.err = internal(err)
	}
	return text
}

// bodyValue is the body's value: the whole, with members put into it.
func (b *requestBuilder) bodyValue(plan *openapi.Body) (v any, present bool) {
	if plan.Whole != nil {
		v, present = b.value(*plan.Whole)
	}
	for _, m := range plan.Members {
		member, ok := b.value(m.Value)
		if !ok {
			continue
		}
		object, isObject := v.(map[string]any)
		if !isObject {
			if present {
				b.fail("body has to be an object")
				return nil, false
			}
			object = map[string]any{}
		}
		v, present = setMember(object, m.Path, member), true
	}
	if !present && plan.Required {
		return map[string]any{}, true
	}
	return v, present
}

// setMember gives a copy of object with the value at path: arguments are never
// changed.
func setMember(object map[string]any, path []string, v any) map[string]any {
	out := make(map[string]any, len(object)+1)
	for k, old := range object {
		out[k] = old
	}
	if len(path) > 1 {
		inner, _ := out[path[0]].(map[string]any)
		out[path[0]] = setMember(inner, path[1:], v)
	} else {
		out[path[0]] = v
	}
	return out
}

// form writes an object as form fields: lists repeat their name, objects go as
// JSON (OpenAPI 3.1 §4.8.15.1.1).
func (b *requestBuilder) form(v any) []byte {
	object, ok := v.(map[string]any)
	if !ok {
		b.fail("body has to be an object: it is sent as form fields")
		return nil
	}
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	var pairs []string
	for _, name := range names {
		field := object[name]
		if _, isObject := field.(map[string]any); isObject {
			field = scalar(field)
		}
		pairs = append(pairs, queryPairs(name, "form", true, field, url.QueryEscape)...)
	}
	return []byte(strings.Join(pairs, "&"))
}
