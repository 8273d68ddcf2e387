package openapi

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxEvaluations is how many schemas a definition may apply to one value, those
// counted twice that it comes to twice. Each time counts: validators remember
// nothing, and thirty definitions that each apply the next one twice would keep
// them for days. Of two references to the same thing one is left out before;
// this is for those that are not plainly the same.
const maxEvaluations = 10_000

// evaluations counts the schemas that are applied to one value, and leaves the
// references open that bring too many.
type evaluations struct {
	*schemas
	of  map[string]int // by definition; 0 while it is being counted
	cut []string       // the definitions to which references were left open
}

// boundEvaluations looks at root and all definitions, once each.
func (s *schemas) boundEvaluations(root *object) {
	if s.defs.len() == 0 { // what refers to nothing has no more evaluations than parts
		return
	}
	e := &evaluations{schemas: s, of: make(map[string]int, s.defs.len())}
	e.value(root)
	for _, def := range s.defs.members {
		e.definition(def.key)
	}
	if len(e.cut) > 0 {
		e.report()
		s.dropUnused()
	}
}

// definition is how many schemas a definition applies, with itself.
func (e *evaluations) definition(name string) int {
	count, known := e.of[name]
	if !known {
		e.of[name] = 0
		e.schema(e.defs.get(name), &count)
		e.of[name] = count
	}
	return count
}

// schema adds to count what a schema applies to its own value.
func (e *evaluations) schema(v any, count *int) {
	*count++
	o, isObject := v.(*object)
	if !isObject {
		return
	}
	if ref, ok := o.get("$ref").(string); ok {
		name := strings.TrimPrefix(ref, defsPrefix)
		if n := e.definition(name); *count+n > maxEvaluations {
			e.leaveOpen(o, name)
		} else {
			*count += n
		}
	}
	for _, m := range o.members {
		switch m.key {
		case "not", "if", "then", "else":
			e.schema(m.value, count)
		case "allOf", "anyOf", "oneOf":
			parts, _ := m.value.([]any)
			for _, part := range parts {
				e.schema(part, count)
			}
		case "dependentSchemas":
			if parts, ok := m.value.(*object); ok {
				for _, part := range parts.members {
					e.schema(part.value, count)
				}
			}
		case "items", "additionalProperties", "propertyNames", "contains", "unevaluatedProperties", "unevaluatedItems":
			e.value(m.value)
		case "prefixItems":
			parts, _ := m.value.([]any)
			for _, part := range parts {
				e.value(part)
			}
		case "properties", "patternProperties":
			if parts, ok := m.value.(*object); ok {
				for _, part := range parts.members {
					e.value(part.value)
				}
			}
		}
	}
}

// value looks at a schema of another value than that of the schema around it.
func (e *evaluations) value(v any) {
	count := 0
	e.schema(v, &count)
}

// leaveOpen takes a reference out. Its target then counts as one that lost
// something, so that what turns its meaning round is opened, see widen.
func (e *evaluations) leaveOpen(o *object, name string) {
	o.delete("$ref")
	e.uses[name] = slices.DeleteFunc(e.uses[name], func(use *object) bool { return use == o })
	e.losses++
	e.parts[name] = part{true, e.parts[name].refs}
	if !slices.Contains(e.cut, name) {
		e.cut = append(e.cut, name)
	}
}

func (e *evaluations) report() {
	var at *yaml.Node
	for n, name := range e.names {
		if name == e.cut[0] {
			at = n
		}
	}
	names := e.cut
	if more := len(names) - 5; more > 0 {
		names = append(names[:5:5], fmt.Sprintf("%d more", more))
	}
	e.reader.report(SeverityWarning, "schema-cut", at,
		fmt.Sprintf("schema of the %s applies more than %d schemas to one value; left open are references to %s", e.side(), maxEvaluations, strings.Join(names, ", ")),
		"let allOf, anyOf and oneOf lead to a schema by fewer ways")
}
