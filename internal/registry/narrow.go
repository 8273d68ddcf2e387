package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// A schema loses bound arguments here and has others narrowed. What comes of it
// admits exactly the arguments that are right together with the bound ones, as
// far as a schema can say that; what cannot be said is an error. Calls are held
// to the plugin's own schema in any case (ruledArguments.fill).

// without takes arguments out of an input schema. Each of them is always there.
func without(root *members, names []string) error {
	if err := entangled(*root, names); err != nil {
		return err
	}
	properties, err := readMembers(root.get("properties"))
	if err != nil {
		return err
	}
	for _, name := range names {
		properties.set(name, nil)
	}
	root.set("properties", properties.json())
	required, err := undepend(root, names)
	if err != nil {
		return err
	}
	root.setNames("required", required)
	return prune(root)
}

// undepend takes arguments that are always there out of dependentRequired, and
// gives what is required then.
func undepend(root *members, names []string) (required []string, err error) {
	if required, err = root.names("required"); err != nil {
		return nil, err
	}
	if raw := root.get("dependentRequired"); raw != nil {
		all, err := readMembers(raw)
		if err != nil {
			return nil, err
		}
		var left members
		for _, m := range all {
			needs, err := all.names(m.name)
			if err != nil {
				return nil, err
			}
			if slices.Contains(names, m.name) {
				required = append(required, needs...)
			} else if needs = except(needs, names); len(needs) > 0 {
				left.set(m.name, asJSON(needs))
			}
		}
		if root.set("dependentRequired", nil); len(left) > 0 {
			root.set("dependentRequired", left.json())
		}
	}
	var once []string
	for _, name := range except(required, names) {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	return once, nil
}

func except(all, names []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(names, name) })
}

func (ms *members) names(keyword string) (names []string, err error) {
	if raw := ms.get(keyword); raw != nil {
		err = json.Unmarshal(raw, &names)
	}
	return names, err
}

// setNames sets a list of names; none: there is no such member.
func (ms *members) setNames(keyword string, names []string) {
	if len(names) == 0 {
		ms.set(keyword, nil)
		return
	}
	ms.set(keyword, asJSON(names))
}

// entangled says why arguments cannot be taken out of a schema: something says
// more of them, or of how many there are, than members can be taken out of.
func entangled(root members, names []string) error {
	var schema map[string]any
	if err := json.Unmarshal(root.json(), &schema); err != nil {
		return err
	}
	if keyword := counts(schema); keyword != "" {
		return fmt.Errorf("input schema has %s", keyword)
	}
	for ref := range refs(schema) {
		for _, name := range names {
			if at := "#/properties/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name); ref == "#" || ref == at || strings.HasPrefix(ref, at+"/") {
				return fmt.Errorf("input schema refers to its own %s", ref)
			}
		}
	}
	if keyword := tangle(schema, schema, names, map[string]bool{}, true); keyword != "" {
		return fmt.Errorf("input schema names it below %s", keyword)
	}
	return nil
}

// counts finds a keyword about an object's members as a whole.
func counts(schema map[string]any) string {
	for _, keyword := range []string{"minProperties", "maxProperties", "const", "enum"} {
		if schema[keyword] != nil {
			return keyword
		}
	}
	return ""
}

// tangle finds the keyword of a schema below which others, which are about the
// same object, name one of the arguments.
func tangle(v any, root map[string]any, names []string, seen map[string]bool, isRoot bool) string {
	schema, isObject := v.(map[string]any)
	if !isObject {
		return ""
	}
	if !isRoot {
		if keyword := counts(schema); keyword != "" {
			return keyword
		}
		for _, keyword := range []string{"properties", "required", "dependentRequired"} {
			if namesOne(schema[keyword], names) {
				return keyword
			}
		}
	}
	if namesOne(schema["dependentSchemas"], names) || namesOne(schema["dependencies"], names) {
		return "dependentSchemas"
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"} {
		var below []any
		switch is := schema[keyword].(type) {
		case []any:
			below = is
		case map[string]any:
			if below = []any{is}; strings.HasPrefix(keyword, "depend") {
				below = slices.Collect(maps.Values(is))
			}
		}
		for _, b := range below {
			if tangle(b, root, names, seen, false) != "" {
				return keyword
			}
		}
	}
	for _, keyword := range []string{"$ref", "$dynamicRef"} {
		ref, _ := schema[keyword].(string)
		if ref == "" || seen[ref] {
			continue
		}
		seen[ref] = true
		if target, found := pointed(root, ref); !found || tangle(target, root, names, seen, false) != "" {
			return keyword
		}
	}
	return ""
}

// namesOne tells whether a list, the names of an object, or lists in it have one
// of the arguments.
func namesOne(v any, names []string) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { text, _ := item.(string); return slices.Contains(names, text) })
	case map[string]any:
		for name, value := range v {
			if list, isList := value.([]any); slices.Contains(names, name) || isList && namesOne(list, names) {
				return true
			}
		}
	}
	return false
}

// pointed is what a reference inside of a schema leads to.
func pointed(root map[string]any, ref string) (any, bool) {
	path, local := strings.CutPrefix(ref, "#/")
	if !local {
		return nil, false
	}
	var at any = root
	for token := range strings.SplitSeq(path, "/") {
		inside, _ := at.(map[string]any)
		var found bool
		if at, found = inside[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]; !found {
			return nil, false
		}
	}
	return at, true
}

// refs are the references in a schema.
func refs(v any) map[string]bool {
	found := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for name, value := range v {
				if ref, isText := value.(string); isText && (name == "$ref" || name == "$dynamicRef") {
					found[ref] = true
				}
				walk(value)
			}
		}
	}
	walk(v)
	return found
}

// prune takes out the definitions that nothing leads to any more.
func prune(root *members) error {
	raw := root.get("$defs")
	if raw == nil {
		return nil
	}
	defs, err := readMembers(raw)
	if err != nil {
		return err
	}
	rest := slices.Clone(*root)
	rest.set("$defs", nil)
	used := map[string]bool{}
	for queue := []json.RawMessage{rest.json()}; len(queue) > 0; queue = queue[1:] {
		var v any
		if err := json.Unmarshal(queue[0], &v); err != nil {
			return err
		}
		for ref := range refs(v) {
			path, ofDefs := strings.CutPrefix(ref, "#/$defs/")
			if !ofDefs || strings.ContainsAny(path, "%~") { // it may be any
				if !ofDefs && strings.HasPrefix(ref, "#/properties/") {
					continue // what is there was looked at
				}
				return nil
			}
			name, _, _ := strings.Cut(path, "/")
			if def := defs.get(name); !used[name] && def != nil {
				used[name] = true
				queue = append(queue, def)
			}
		}
	}
	defs = slices.DeleteFunc(defs, func(m member) bool { return !used[m.name] })
	if root.set("$defs", nil); len(defs) > 0 {
		root.set("$defs", defs.json())
	}
	return nil
}

// kinds are the types that a keyword bounds; it lets all others pass.
func (l Limit) kinds() (kinds []string, keyword string) {
	switch {
	case l.Minimum != "" || l.Maximum != "":
		return []string{"number", "integer"}, "a number"
	case l.MaxLength > 0 || l.Pattern != "":
		return []string{"string"}, "a text"
	case l.MaxItems > 0:
		return []string{"array"}, "a list"
	}
	return nil, ""
}

// narrow puts the limit into the schema of an argument.
func (l Limit) narrow(a *Action, name string, raw json.RawMessage) (json.RawMessage, error) {
	schema, err := readMembers(raw)
	if err != nil && string(raw) != "true" {
		return nil, fmt.Errorf("argument %q can have no value", name)
	}
	if err := l.narrowType(a, name, &schema); err != nil {
		return nil, err
	}
	for _, bound := range []struct {
		keyword, to string
		keep        int // of the comparison of the bound that there is with the new one
	}{{"minimum", l.Minimum, 1}, {"maximum", l.Maximum, -1}, {"maxLength", digitsOf(l.MaxLength), -1}, {"maxItems", digitsOf(l.MaxItems), -1}} {
		if bound.to != "" && compare(schema.get(bound.keyword), bound.to) != bound.keep {
			schema.set(bound.keyword, json.RawMessage(bound.to))
		}
	}
	if l.Pattern != "" {
		if _, err := regexp.Compile(l.Pattern); err != nil {
			return nil, fmt.Errorf("%q is no regular expression: %w", l.Pattern, err)
		}
		schema.pattern(asJSON(l.Pattern))
	}
	if len(l.Enum) > 0 {
		if err := l.narrowEnum(a, name, &schema); err != nil {
			return nil, err
		}
	}
	for _, pair := range [][2]string{{"minimum", "maximum"}, {"minLength", "maxLength"}, {"minItems", "maxItems"}} {
		if least, most := schema.get(pair[0]), schema.get(pair[1]); least != nil && most != nil && compare(least, string(most)) > 0 {
			return nil, fmt.Errorf("%s %s and %s %s leave argument %q no value", pair[0], least, pair[1], most, name)
		}
	}
	return schema.json(), nil
}

// pattern adds a pattern to what there may be.
func (ms *members) pattern(quoted json.RawMessage) {
	if was := ms.get("pattern"); was == nil || string(was) == string(quoted) {
		ms.set("pattern", quoted)
		return
	}
	var all []json.RawMessage
	_ = json.Unmarshal(ms.get("allOf"), &all) // it was compiled
	ms.set("allOf", asJSON(append(all, (&members{{"pattern", quoted}}).json())))
}

// narrowType sees to it that a keyword bounds all values: what has another type
// would pass it.
func (l Limit) narrowType(a *Action, name string, schema *members) error {
	kinds, words := l.kinds()
	if kinds == nil {
		return nil
	}
	said := typesOf(schema.get("type"))
	possible := said
	for _, p := range a.property(name) {
		possible = append(possible, typesOf(p.Type)...)
	}
	suits := func(kind string) bool { return slices.Contains(kinds, kind) }
	if len(possible) > 0 && !slices.ContainsFunc(possible, suits) {
		return fmt.Errorf("argument %q is not %s", name, words)
	}
	keep := slices.DeleteFunc(slices.Clone(said), func(kind string) bool { return kind != "null" && !suits(kind) })
	switch {
	case len(said) == 0:
		schema.set("type", asJSON([]string{kinds[0], "null"}))
	case !slices.ContainsFunc(keep, suits):
		return fmt.Errorf("argument %q is not %s", name, words)
	case len(keep) < len(said):
		schema.set("type", asJSON(keep))
	}
	return nil
}

func typesOf(raw json.RawMessage) (types []string) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	_ = json.Unmarshal(raw, &types) // it was compiled
	return types
}

// narrowEnum leaves those values, all of which the argument can have now.
func (l Limit) narrowEnum(a *Action, name string, schema *members) error {
	values := make([]json.RawMessage, 0, len(l.Enum))
	for _, text := range l.Enum {
		value := a.typed(name, text)
		if err := a.checkArgument(name, value); err != nil {
			return fmt.Errorf("%q is no value of argument %q: %w", text, name, err)
		}
		if was := schema.get("enum"); was != nil && !hasValue(was, value) { // by another rule
			continue
		}
		values = append(values, value)
	}
	if len(values) == 0 {
		return fmt.Errorf("argument %q has no value left", name)
	}
	schema.set("enum", asJSON(values))
	return nil
}

func hasValue(list, value json.RawMessage) bool {
	var all []json.RawMessage
	_ = json.Unmarshal(list, &all)
	return slices.ContainsFunc(all, func(item json.RawMessage) bool {
		var a, b any // exact save for numbers
		return compare(item, string(value)) == 0 ||
			kindOf(item) != "number" && json.Unmarshal(item, &a) == nil && json.Unmarshal(value, &b) == nil && reflect.DeepEqual(a, b)
	})
}

func digitsOf(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// compare compares two numbers; 2 where one of them is none, or absurd.
func compare(a json.RawMessage, b string) int {
	x, okX := rational(string(a))
	y, okY := rational(b)
	if !okX || !okY {
		return 2
	}
	return x.Cmp(y)
}

func rational(text string) (*big.Rat, bool) {
	if kindOf([]byte(text)) != "number" {
		return nil, false
	}
	if _, absurd := absurdNumber(json.Number(text), nil); absurd {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}
