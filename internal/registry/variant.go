package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/internal/suggest"
	"github.com/stagedoor/stagedoor/openapi"
)

// making is a variant of an action that is being made: what one server's
// argument rules leave of it.
type making struct {
	*Action  // as the plugin has it
	root     members
	bound    map[string]bound
	limits   map[string][]limitAt
	defaults map[string]json.RawMessage // of the gateway, for what is left out
	path     string                     // of the last rule that is about it
	faults   []Fault
}

type limitAt struct {
	Limit
	path string
}

// variant is an action as the server's rules leave it: the action itself where
// none is about it.
func (spec ServerSpec) variant(a *Action) (*Action, []Fault) {
	v := &making{Action: a, bound: map[string]bound{}, limits: map[string][]limitAt{}, defaults: a.Request.Defaults}
	var properties map[string]json.RawMessage
	for i := range spec.Arguments {
		r := &spec.Arguments[i]
		if len(r.Actions) > 0 && !matchesAny(r.Actions, a) {
			continue
		}
		if properties == nil {
			properties = a.properties()
		}
		v.collect(r, properties)
	}
	if len(v.bound)+len(v.limits) == 0 {
		return a, v.faults
	}
	made := *a
	made.ruled = &ruledArguments{plain: a, limited: slices.Sorted(maps.Keys(v.limits))}
	for _, name := range slices.Sorted(maps.Keys(v.bound)) {
		made.ruled.bound = append(made.ruled.bound, v.bound[name])
	}
	if len(v.faults) == 0 {
		if err := v.make(&made); err != nil {
			v.fault(v.path, "", "arguments of action %q cannot be bound or narrowed: %v", a.ID, err)
		}
	}
	return &made, v.faults // with faults, nobody gets to see it
}

func (v *making) fault(path, hint, format string, values ...any) {
	v.faults = append(v.faults, Fault{Path: path, Message: fmt.Sprintf(format, values...), Hint: hint, Plugins: []string{v.Plugin}})
}

// collect notes what a rule says of the action's arguments. Who names the action
// by its whole id means arguments that it has.
func (v *making) collect(r *ArgumentRule, properties map[string]json.RawMessage) {
	named := slices.ContainsFunc(r.Actions, func(rule Rule) bool { return rule.one() && rule.match(v.Action) })
	has := func(path, name string) bool {
		_, is := properties[name]
		if is {
			v.path = path
		} else if named {
			v.fault(path, suggest.Hint(name, slices.Sorted(maps.Keys(properties))), "action %q has no argument %q", v.ID, name)
		}
		return is
	}
	for _, name := range slices.Sorted(maps.Keys(r.Bind)) {
		path := r.Path + ".bind." + name
		if !has(path, name) {
			continue
		}
		if _, taken := v.bound[name]; taken || len(v.limits[name]) > 0 {
			v.fault(path, "leave one of them", "argument %q of action %q is bound or narrowed by another rule already", name, v.ID)
			continue
		}
		v.bind(path, name, r.Bind[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Limit)) {
		path := r.Path + ".limit." + name
		if !has(path, name) {
			continue
		}
		if _, taken := v.bound[name]; taken {
			v.fault(path, "leave one of them", "argument %q of action %q is bound already", name, v.ID)
			continue
		}
		v.limits[name] = append(v.limits[name], limitAt{r.Limit[name], path})
	}
}

// bind checks what an argument is bound to, as far as it is known already.
func (v *making) bind(path, name, source string) {
	text, err := ParseBound(source)
	v.bound[name] = bound{name: name}
	if err != nil {
		v.fault(path, "for example {claims.org}; braces are written {{ and }}", "%v", err)
		return
	}
	b := bound{name: name, source: source, text: text, schema: v.property(name)}
	var types []string
	for _, p := range b.schema {
		types = append(types, typesOf(p.Type)...)
	}
	_, alone := text.alone()
	switch names := text.Names(); {
	case len(names) == 0:
		b.literal = v.typed(name, text.Fill(nil))
		if err := v.checkArgument(name, b.literal); err != nil {
			v.fault(path, "", "action %q: %v", v.ID, err)
		}
	case !alone && len(types) > 0 && !slices.Contains(types, "string"):
		v.fault(path, "", "argument %q of action %q is no text, and what has more than a {name} in it is one", name, v.ID)
	}
	v.bound[name] = b
}

// make writes the schema of the variant and compiles it.
func (v *making) make(made *Action) (err error) {
	if v.root, err = readMembers(v.InputSchema); err != nil {
		return err
	}
	for _, name := range made.ruled.limited {
		v.limit(name)
	}
	if len(v.bound) > 0 {
		err = without(&v.root, slices.Sorted(maps.Keys(v.bound)))
	}
	if err != nil || len(v.faults) > 0 {
		return err
	}
	if made.arguments, err = compile(v.root.json()); err != nil {
		return err
	}
	if v.tidy(made.arguments) {
		if made.arguments, err = compile(v.root.json()); err != nil {
			return err
		}
	}
	made.InputSchema = v.root.json()
	made.Examples = made.examples(v.Examples)
	return nil
}

// limit narrows one argument.
func (v *making) limit(name string) {
	if err := entangled(members{{"$defs", orNone(v.root.get("$defs"))}, {"properties", v.root.get("properties")}}, []string{name}); err != nil {
		v.fault(v.limits[name][0].path, "", "argument %q of action %q cannot be narrowed: %v", name, v.ID, err)
		return
	}
	properties, _ := readMembers(v.root.get("properties")) // they were read before
	for _, l := range v.limits[name] {
		schema, err := l.narrow(v.Action, name, properties.get(name))
		if err != nil {
			v.fault(l.path, "", "action %q: %v", v.ID, err)
			return
		}
		properties.set(name, schema)
	}
	v.root.set("properties", properties.json())
}

func orNone(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("{}")
	}
	return raw
}

// tidy takes the values out that are over the limits now: examples, and
// defaults, without which an argument has to be given. It tells whether there
// were any.
func (v *making) tidy(compiled *jsonschema.Schema) (changed bool) {
	properties, _ := readMembers(v.root.get("properties"))
	required, _ := v.root.names("required")
	for _, name := range slices.Sorted(maps.Keys(v.limits)) {
		schema, err := readMembers(properties.get(name))
		if err != nil {
			continue
		}
		fits := func(raw json.RawMessage) bool { return raw == nil || valid(compiled.Properties[name], raw) }
		if !fits(schema.get("default")) || !fits(v.defaults[name]) {
			schema.set("default", nil)
			if changed = true; !slices.Contains(required, name) {
				required = append(required, name)
			}
		}
		var examples []json.RawMessage
		_ = json.Unmarshal(schema.get("examples"), &examples)
		if left := slices.DeleteFunc(slices.Clone(examples), func(raw json.RawMessage) bool { return !fits(raw) }); len(left) < len(examples) {
			changed = true
			if schema.set("examples", asJSON(left)); len(left) == 0 {
				schema.set("examples", nil)
			}
		}
		properties.set(name, schema.json())
	}
	if changed {
		v.root.set("properties", properties.json())
		v.root.setNames("required", required)
	}
	return changed
}

func valid(schema *jsonschema.Schema, raw json.RawMessage) bool {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return false
	}
	if _, absurd := absurdNumber(v, nil); absurd {
		return false
	}
	return schema == nil || schema.Validate(v) == nil
}

// examples are those whose calls can be made with what is left of the
// arguments.
func (a *Action) examples(of []openapi.Example) (left []openapi.Example) {
	for _, example := range of {
		if input, err := readMembers(example.Input); err == nil {
			for _, b := range a.ruled.bound {
				input.set(b.name, nil)
			}
			example.Input = input.json()
			if _, err := a.decodeArguments(example.Input); err != nil {
				continue
			}
		} else if len(example.Input) > 0 {
			continue
		}
		left = append(left, example)
	}
	return left
}

// checkArguments finds what argument rules say of actions and arguments that the
// server does not have.
func (b *building) checkArguments(r *resolved, tools []Tool) (faults []Fault) {
	for _, rule := range r.spec.Arguments {
		about := slices.DeleteFunc(slices.Clone(tools), func(t Tool) bool { return len(rule.Actions) > 0 && !matchesAny(rule.Actions, t.Action) })
		for _, one := range rule.Actions {
			matched := slices.ContainsFunc(about, func(t Tool) bool { return one.match(t.Action) })
			if a := b.find(one.ID); !matched && a != nil {
				faults = append(faults, Fault{
					Path: one.Path, Message: fmt.Sprintf("action %q is not one of the server's", a.ID), Hint: "include it under actions", Plugins: []string{a.Plugin},
				})
				continue
			}
			faults = append(faults, b.checkRule(one, matched)...)
		}
		if len(about) == 0 || b.mayMeanMore(rule.Actions) {
			continue
		}
		for _, place := range []struct {
			key   string
			names []string
		}{{".bind.", slices.Sorted(maps.Keys(rule.Bind))}, {".limit.", slices.Sorted(maps.Keys(rule.Limit))}} {
			for _, name := range place.names {
				if !slices.ContainsFunc(about, func(t Tool) bool { return t.Action.ruled.about(name) }) {
					faults = append(faults, nowhere(rule.Path+place.key+name, name, about))
				}
			}
		}
	}
	return faults
}

// mayMeanMore tells whether rules may be about actions that are not known. What
// names all of its actions is told of with each of them.
func (b *building) mayMeanMore(rules []Rule) bool {
	if len(rules) == 0 {
		return len(b.Absent) > 0 || b.MayCome != nil
	}
	return slices.ContainsFunc(rules, b.mayMeanAbsent) || !slices.ContainsFunc(rules, func(r Rule) bool { return !r.one() })
}

// about tells whether an argument is bound or narrowed.
func (r *ruledArguments) about(name string) bool {
	return r != nil && (slices.Contains(r.limited, name) || slices.ContainsFunc(r.bound, func(b bound) bool { return b.name == name }))
}

func nowhere(path, name string, tools []Tool) Fault {
	known, plugins := map[string]bool{}, map[string]bool{}
	for _, t := range tools {
		plugins[t.Action.Plugin] = true
		for other := range t.Action.properties() {
			known[other] = true
		}
	}
	return Fault{
		Path: path, Message: fmt.Sprintf("no action that the rule is about has an argument %q", name),
		Hint: suggest.Hint(name, slices.Sorted(maps.Keys(known))), Plugins: slices.Sorted(maps.Keys(plugins)),
	}
}

// variants are the variants of a server's actions, by what they were made of.
func (r *resolved) variants(spec ServerSpec) map[*Action]*Action {
	if len(spec.Arguments) == 0 || !reflect.DeepEqual(spec.Arguments, r.spec.Arguments) {
		return nil
	}
	made := map[*Action]*Action{}
	for _, t := range r.server.Tools {
		if t.Action.ruled != nil {
			made[t.Action.ruled.plain] = t.Action
		}
	}
	return made
}
