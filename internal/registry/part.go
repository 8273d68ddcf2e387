package registry

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/suggest"
	"github.com/stagedoor/stagedoor/openapi"
)

// Part is what one generation of a plugin brings into a snapshot: its actions,
// with their schemas compiled and the operator's attributes applied. It never
// changes, and many snapshots share it.
type Part struct {
	plugin  Plugin    // without Previous
	prefix  string    // of the ids
	actions []*Action // ordered by id
	byName  map[string]*Action
	unused  []AttributeRule // they match none of the actions
}

// Compile makes a plugin's part. With any fault, which is one of the plugin's
// document, there is none. Attribute rules that match no action are told by
// [Build], with all else in the config that does.
//
// What did not change since Previous is taken over from it: the schemas that are
// the same, the actions that are the same in all, or Previous itself.
func Compile(p Plugin) (*Part, []Fault) {
	last := p.Previous
	p.Previous = nil
	if last != nil && last.plugin.same(p) {
		return last, nil
	}
	part := &Part{plugin: p, prefix: p.Name + ":", byName: make(map[string]*Action, len(p.Actions))}
	var faults []Fault
	fault := func(hint, format string, values ...any) {
		faults = append(faults, Fault{
			Path: "plugins." + p.Name, Message: fmt.Sprintf(format, values...), Hint: hint, Plugins: []string{p.Name},
		})
	}
	schemas, errs := compileAll(p.Actions, last)
	used := make([]bool, len(p.Attributes))
	for i, source := range p.Actions {
		if errs[i] != nil {
			fault("", "action %q: input schema: %v", source.Name, errs[i])
		}
		a := &Action{
			Action: source, ID: part.prefix + source.Name, Plugin: p.Name, StrictOutput: p.StrictOutput, Icons: p.Icons,
			arguments: schemas[i], client: p.Client, checked: &checked{},
		}
		for j, rule := range p.Attributes {
			if glob(rule.Actions, a.Name) {
				used[j] = true
				rule.Attributes.apply(&a.Attributes)
			}
		}
		if was := last.action(a.Name); was != nil && was.same(a) {
			a = was
		}
		if other, taken := part.byName[a.Name]; taken {
			fault("give one of them another name in x-action", "two actions are called %q: %s and %s", a.ID, other.Location, source.Location)
		}
		part.byName[a.Name] = a
		part.actions = append(part.actions, a)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	slices.SortFunc(part.actions, func(a, b *Action) int { return cmp.Compare(a.Name, b.Name) })
	for i, rule := range p.Attributes {
		if !used[i] {
			part.unused = append(part.unused, rule)
		}
	}
	return part, nil
}

// action is the action of a name, nil where there is none; no part has none.
func (p *Part) action(name string) *Action {
	if p == nil {
		return nil
	}
	return p.byName[name]
}

// same tells whether the same part would come of both: they have the very same
// actions.
func (p Plugin) same(other Plugin) bool {
	return p.Name == other.Name && p.Client == other.Client && p.StrictOutput == other.StrictOutput &&
		len(p.Actions) == len(other.Actions) && (len(p.Actions) == 0 || &p.Actions[0] == &other.Actions[0]) &&
		reflect.DeepEqual(p.Attributes, other.Attributes) && slices.EqualFunc(p.Icons, other.Icons, Icon.equal)
}

func (i Icon) equal(other Icon) bool { return reflect.DeepEqual(i, other) }

// same tells whether one can stand for the other.
func (a *Action) same(other *Action) bool {
	return a.ID == other.ID && a.client == other.client && a.StrictOutput == other.StrictOutput &&
		slices.EqualFunc(a.Icons, other.Icons, Icon.equal) && reflect.DeepEqual(a.Action, other.Action)
}

// unusedRules tells of the attribute rules that match no action.
func (b *building) unusedRules(p *Part) (faults []Fault) {
	for _, rule := range p.unused {
		names := make([]string, 0, len(p.actions))
		for _, a := range p.actions {
			names = append(names, a.Name)
		}
		faults = append(faults, b.missing(Fault{
			Path: rule.Path, Message: fmt.Sprintf("%q matches no action of plugin %s", rule.Actions, p.plugin.Name), Plugins: []string{p.plugin.Name},
		}, func(id string) bool {
			name, ours := strings.CutPrefix(id, p.prefix)
			return ours && glob(rule.Actions, name)
		}, func() string { return suggest.Hint(rule.Actions, names) }))
	}
	return faults
}

func (set AttributeSet) apply(a *openapi.Attributes) {
	for _, f := range []struct {
		said *bool
		into *bool
	}{{set.ReadOnly, &a.ReadOnly}, {set.Destructive, &a.Destructive}, {set.Idempotent, &a.Idempotent}, {set.OpenWorld, &a.OpenWorld}} {
		if f.said != nil {
			*f.into = *f.said
		}
	}
	switch { // who only reads destroys nothing
	case set.ReadOnly != nil && *set.ReadOnly && set.Destructive == nil:
		a.Destructive = false
	case set.Destructive != nil && *set.Destructive && set.ReadOnly == nil:
		a.ReadOnly = false
	}
}
