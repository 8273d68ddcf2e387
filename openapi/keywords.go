package openapi

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// keyword translates one keyword's value into out. Values that are no valid
// 2020-12 are left out with a finding: the schema then admits more, never less,
// and always compiles.
type keyword func(s *schemas, out *object, name string, v *yaml.Node)

// keywordOf gives the translation of each keyword of JSON Schema 2020-12 that
// bears on a value or explains it; nil for all others (xml, discriminator,
// externalDocs, x-…), which are dropped.
func keywordOf(name string) keyword {
	switch name {
	case "title", "description", "contentEncoding", "contentMediaType":
		return textKeyword
	case "format":
		return formatKeyword
	case "default", "const":
		return valueKeyword
	case "examples":
		return listKeyword
	case "enum":
		return enumKeyword
	case "type":
		return typeKeyword
	case "pattern":
		return patternKeyword
	case "deprecated", "uniqueItems":
		return boolKeyword
	case "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		return numberKeyword
	case "minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains", "minProperties", "maxProperties":
		return countKeyword
	case "required":
		return requiredKeyword
	case "dependentRequired":
		return dependentRequiredKeyword
	case "properties", "dependentSchemas":
		return schemaMapKeyword
	case "patternProperties":
		return patternPropertiesKeyword
	case "additionalProperties", "unevaluatedProperties", "propertyNames", "unevaluatedItems", "contains", "not", "if", "then", "else":
		return schemaKeyword
	case "items":
		return itemsKeyword
	case "prefixItems", "allOf", "anyOf", "oneOf":
		return schemaListKeyword
	case "$recursiveRef":
		return recursiveRefKeyword
	}
	return nil
}

// annotationOf is keywordOf for the keywords that only explain.
func annotationOf(name string) keyword {
	if isAnnotation(name) {
		return keywordOf(name)
	}
	return nil
}

func recursiveRefKeyword(s *schemas, _ *object, name string, v *yaml.Node) {
	s.invalid(name, v, "$ref in its place")
}

// isAnnotation tells the keywords that explain a value and constrain nothing.
func isAnnotation(name string) bool {
	switch name {
	case "title", "description", "default", "examples", "deprecated", "format", mcpHeaderKey:
		return true
	}
	return false
}

func (s *schemas) invalid(name string, v *yaml.Node, expected string) {
	s.schemaFinding("schema-keyword-invalid", v,
		fmt.Sprintf("schema keyword %q is left out: expected %s", name, expected), "")
}

func textKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if v.Kind != yaml.ScalarNode {
		s.invalid(name, v, "a string")
		return
	}
	if t := cleanText(v.Value); t != "" {
		out.set(name, s.short(t, maxArgumentText, v))
	}
}

// formatKeyword says in 2020-12's words what 3.0's format byte means.
func formatKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if text(v) != "byte" {
		textKeyword(s, out, name, v)
	} else if !out.has("contentEncoding") {
		out.set("contentEncoding", "base64")
	}
}

func boolKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if !isBool(v) {
		s.invalid(name, v, "true or false")
		return
	}
	if isTrue(v) {
		out.set(name, true)
	}
}

func numberKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if isBool(v) && strings.HasPrefix(name, "exclusive") {
		return // 3.0's form, see from30
	}
	switch {
	case !isTameNumber(v):
		s.invalid(name, v, "a number, of at most 1000 digits and an exponent from -400 to 400")
		return
	case name == "multipleOf" && !isPositive(v):
		s.invalid(name, v, "a number greater than 0")
		return
	}
	out.set(name, json.RawMessage(scalarJSON(v)))
}

func isPositive(v *yaml.Node) bool {
	mantissa, _, _ := strings.Cut(strings.ToLower(scalarJSON(v)), "e")
	return !strings.HasPrefix(mantissa, "-") && strings.ContainsAny(mantissa, "123456789")
}

var countPattern = regexp.MustCompile(`^[0-9]{1,18}(\.0+)?$`)

func countKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if !isNumber(v) || !countPattern.MatchString(v.Value) {
		s.invalid(name, v, "a count")
		return
	}
	whole, _, _ := strings.Cut(v.Value, ".")
	out.set(name, json.RawMessage(scalarJSON(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: whole})))
}

const jsonTypes = "null, boolean, object, array, number, string, integer"

func isJSONType(name string) bool {
	return slices.Contains(strings.Split(jsonTypes, ", "), name)
}

func typeKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	var types []any
	for _, t := range append(slices.Clone(items(v)), v) {
		switch {
		case t.Kind != yaml.ScalarNode, slices.Contains(types, any(t.Value)):
		case isJSONType(t.Value):
			types = append(types, t.Value)
		case t.Value == "file": // Swagger's
			types = append(types, "string")
		default:
			s.invalid(name, t, "one of "+jsonTypes)
			return
		}
	}
	switch len(types) {
	case 0:
	case 1:
		out.set(name, types[0])
	default:
		out.set(name, types)
	}
}

func patternKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if !isString(v) {
		s.invalid(name, v, "a regular expression")
		return
	}
	if fault := s.patternFault(v.Value); fault != nil {
		s.schemaFinding("pattern-unsupported", v,
			fmt.Sprintf("pattern %q is not checked by the gateway: %v", v.Value, fault), "the plugin still checks it")
		description, _ := out.get("description").(string)
		out.set("description", strings.TrimSpace(description+" Matches the regular expression "+cleanText(v.Value)))
		return
	}
	out.set(name, v.Value)
}

func requiredKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if !isSequence(v) {
		if !isBool(v) { // 3.0 authors write required: true on a property; it means nothing there
			s.invalid(name, v, "a list of names")
		}
		return
	}
	if names := uniqueNames(v); len(names) > 0 {
		out.set(name, names)
	}
}

func uniqueNames(v *yaml.Node) []any {
	var names []any
	seen := map[string]bool{}
	for _, c := range items(v) {
		if c.Kind == yaml.ScalarNode && !seen[c.Value] {
			seen[c.Value], names = true, append(names, c.Value)
		}
	}
	return names
}

func dependentRequiredKeyword(_ *schemas, out *object, name string, v *yaml.Node) {
	o := newObject()
	for k, names := range pairs(v) {
		if isSequence(names) {
			o.set(k.Value, append([]any{}, uniqueNames(names)...))
		}
	}
	out.set(name, o)
}

func schemaKeyword(s *schemas, out *object, name string, v *yaml.Node) { out.set(name, s.translate(v)) }

func schemaListKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if !isSequence(v) || len(v.Content) == 0 {
		s.invalid(name, v, "a list of schemas")
		return
	}
	nodes := v.Content
	if name == "allOf" || name == "anyOf" {
		nodes = s.distinct(nodes)
	}
	parts := make([]any, 0, len(nodes))
	for i, c := range nodes {
		parts = append(parts, s.translate(c))
		if s.count > s.budget && i+1 < len(nodes) { // validators need the square of their number
			s.losses++
			if name != "allOf" && name != "prefixItems" {
				parts = append(parts, anything()) // for all the others
			}
			break
		}
	}
	out.set(name, parts)
}

// distinct leaves out the references that lead where one before them does:
// validators would go there once more.
func (s *schemas) distinct(nodes []*yaml.Node) []*yaml.Node {
	seen := map[*yaml.Node]bool{}
	return slices.DeleteFunc(slices.Clone(nodes), func(n *yaml.Node) bool {
		if ref := get(n, "$ref"); ref != nil && len(n.Content) == 2 {
			if target, _, _ := s.target(ref); target != nil {
				n = target
			}
		}
		again := seen[n]
		seen[n] = true
		return again
	})
}

func schemaMapKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if !isMapping(v) {
		s.invalid(name, v, "an object of schemas")
		return
	}
	o := newObject()
	for k, c := range pairs(v) {
		if s.full() { // see guardClosed
			s.losses++
			break
		}
		o.set(k.Value, s.translate(c))
	}
	out.set(name, o)
}

func patternPropertiesKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if !isMapping(v) {
		s.invalid(name, v, "an object of schemas")
		return
	}
	o := newObject()
	for k, c := range pairs(v) {
		if s.patternFault(k.Value) != nil {
			s.invalid(name, k, "a regular expression that RE2 can express, in few steps")
			return
		}
		o.set(k.Value, s.translate(c))
	}
	out.set(name, o)
}

// itemsKeyword takes the tuple form of older drafts as prefixItems.
func itemsKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if isSequence(v) {
		if len(v.Content) > 0 {
			schemaListKeyword(s, out, "prefixItems", v)
		}
		return
	}
	out.set(name, s.translate(v))
}
