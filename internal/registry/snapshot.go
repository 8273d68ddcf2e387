package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/internal/suggest"
	"github.com/stagedoor/stagedoor/openapi"
)

// Snapshot is all actions of all plugins and all servers at one moment. It
// never changes; a reload builds another one beside it.
type Snapshot struct {
	actions map[string]*Action
	ids     []string // sorted
	servers []Server // sorted by name
	absent  []string // plugins that could not be read
}

// Build compiles the actions' schemas and resolves the servers' allowlists.
// It reports all faults that it finds; with any there is no snapshot. Of rules
// that may mean actions of the absent plugins it says nothing.
func Build(plugins []Plugin, servers []ServerSpec, absent ...string) (*Snapshot, []Fault) {
	s := &Snapshot{actions: map[string]*Action{}, absent: absent}
	var faults []Fault
	for _, p := range plugins {
		faults = append(faults, s.addPlugin(p)...)
	}
	s.ids = slices.Sorted(maps.Keys(s.actions))
	for _, spec := range servers {
		server, more := s.server(spec)
		s.servers = append(s.servers, server)
		faults = append(faults, more...)
	}
	slices.SortFunc(s.servers, func(a, b Server) int { return strings.Compare(a.Name, b.Name) })
	if len(faults) > 0 {
		return nil, faults
	}
	return s, nil
}

// Actions lists all actions, ordered by id.
func (s *Snapshot) Actions() []*Action {
	out := make([]*Action, 0, len(s.ids))
	for _, id := range s.ids {
		out = append(out, s.actions[id])
	}
	return out
}

// Action is the action of an id, or an error with what was probably meant.
func (s *Snapshot) Action(id string) (*Action, error) {
	if a, ok := s.actions[id]; ok {
		return a, nil
	}
	return nil, &UnknownActionError{ID: id, Hint: suggest.Hint(id, s.ids)}
}

// Servers lists the servers, ordered by name.
func (s *Snapshot) Servers() []Server { return s.servers }

// UnknownActionError says that no action has the id.
type UnknownActionError struct{ ID, Hint string }

func (e *UnknownActionError) Error() string {
	message := fmt.Sprintf("unknown action %q", e.ID)
	if e.Hint != "" {
		message += " (" + e.Hint + ")"
	}
	return message
}

func (s *Snapshot) addPlugin(p Plugin) (faults []Fault) {
	used := make([]bool, len(p.Attributes))
	schemas, errs := compileAll(p.Actions)
	for i, source := range p.Actions {
		if errs[i] != nil {
			faults = append(faults, Fault{Path: "plugins." + p.Name, Message: fmt.Sprintf("action %q: input schema: %v", source.Name, errs[i])})
		}
		a := &Action{
			Action: source, ID: p.Name + ":" + source.Name, Plugin: p.Name, StrictOutput: p.StrictOutput, Icons: p.Icons,
			arguments: schemas[i], client: p.Client, checked: &checked{},
		}
		for j, rule := range p.Attributes {
			if glob(rule.Actions, a.Name) {
				used[j] = true
				rule.Attributes.apply(&a.Attributes)
			}
		}
		if other, taken := s.actions[a.ID]; taken {
			faults = append(faults, Fault{
				Path:    "plugins." + p.Name,
				Message: fmt.Sprintf("two actions are called %q: %s and %s", a.ID, other.Location, a.Location),
				Hint:    "give one of them another name in x-action",
			})
		}
		s.actions[a.ID] = a
	}
	for i, rule := range p.Attributes {
		if !used[i] {
			faults = append(faults, Fault{
				Path:    rule.Path,
				Message: fmt.Sprintf("%q matches no action of plugin %s", rule.Actions, p.Name),
				Hint:    suggest.Hint(rule.Actions, names(p.Actions)),
			})
		}
	}
	return faults
}

func names(actions []openapi.Action) []string {
	out := make([]string, 0, len(actions))
	for _, a := range actions {
		out = append(out, a.Name)
	}
	return out
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

func (set AttributeSet) match(a openapi.Attributes) bool {
	return (set.ReadOnly == nil || *set.ReadOnly == a.ReadOnly) &&
		(set.Destructive == nil || *set.Destructive == a.Destructive) &&
		(set.Idempotent == nil || *set.Idempotent == a.Idempotent) &&
		(set.OpenWorld == nil || *set.OpenWorld == a.OpenWorld)
}

// glob matches as in a shell, where * does not stop at anything: ids have no
// path separators.
func glob(pattern, name string) bool {
	ok, err := doublestar.Match(pattern, name)
	return ok && err == nil
}
