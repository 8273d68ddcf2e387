package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/suggest"
)

// Snapshot is all actions of all plugins and all servers at one moment. It
// never changes; the next one is built beside it.
type Snapshot struct {
	parts    []*Part // ordered by the ids of their actions
	byPlugin map[string]*Part
	servers  []*Server // ordered by name
	resolved map[string]*resolved
}

// Options are what [Build] knows beside parts and servers.
type Options struct {
	// Previous is the snapshot before, nil: none. What did not change is taken over
	// from it: a server that would show the same is the same *Server.
	Previous *Snapshot
	// Absent are plugins whose actions are not known right now. Of what may mean
	// them nothing is said.
	Absent []string
	// MayCome tells whether a plugin that has no part may bring one yet; nil: none
	// may.
	MayCome func(plugin string) bool
	// Gone are ids that actions had earlier. What is about them is soft, even where
	// nothing else would be.
	Gone []string
	// Beside is an allowlist beside those of the servers, whose rules have to match
	// something, too.
	Beside Allowlist
	// Rules are access rules beside those of the servers, whose actions have to be
	// there, too.
	Rules []AccessRule
}

// building is a snapshot that is being built.
type building struct {
	*Snapshot
	Options
}

// Build makes a snapshot of the parts of all plugins and resolves the servers'
// allowlists. It reports all faults that it finds; with one that is not soft,
// there is no snapshot.
func Build(parts []*Part, servers []ServerSpec, o Options) (*Snapshot, []Fault) {
	b := building{&Snapshot{byPlugin: make(map[string]*Part, len(parts)), resolved: make(map[string]*resolved, len(servers))}, o}
	var faults []Fault
	for _, p := range parts {
		if b.byPlugin[p.plugin.Name] != nil {
			faults = append(faults, Fault{Path: "plugins." + p.plugin.Name, Message: "plugin has two parts", Plugins: []string{p.plugin.Name}})
		}
		b.byPlugin[p.plugin.Name] = p
		faults = append(faults, b.unusedRules(p)...)
	}
	b.parts = slices.SortedFunc(maps.Values(b.byPlugin), func(p, q *Part) int { return strings.Compare(p.prefix, q.prefix) })
	for _, spec := range servers {
		resolved, more := b.server(spec)
		b.resolved[spec.Name] = resolved
		b.servers = append(b.servers, resolved.server)
		faults = append(faults, more...)
	}
	faults = append(faults, b.checkList(o.Beside)...)
	faults = append(faults, b.checkAccess(servers)...)
	slices.SortFunc(b.servers, func(s, t *Server) int { return strings.Compare(s.Name, t.Name) })
	if slices.ContainsFunc(faults, func(f Fault) bool { return !f.Soft }) {
		return nil, faults
	}
	return b.Snapshot, faults
}

// Actions lists all actions, ordered by id.
func (s *Snapshot) Actions() []*Action {
	n := 0
	for _, p := range s.parts {
		n += len(p.actions)
	}
	all := make([]*Action, 0, n)
	for _, p := range s.parts {
		all = append(all, p.actions...)
	}
	return all
}

// Action is the action of an id, or an error with what was probably meant.
func (s *Snapshot) Action(id string) (*Action, error) {
	if a := s.find(id); a != nil {
		return a, nil
	}
	return nil, &UnknownActionError{ID: id, Hint: suggest.Hint(id, s.ids())}
}

// find gives nil where no action has the id.
func (s *Snapshot) find(id string) *Action {
	plugin, name, _ := strings.Cut(id, ":")
	return s.byPlugin[plugin].action(name)
}

func (s *Snapshot) ids() []string {
	var ids []string
	for _, a := range s.Actions() {
		ids = append(ids, a.ID)
	}
	return ids
}

// Servers lists the servers, ordered by name. They are not to be changed.
func (s *Snapshot) Servers() []*Server { return s.servers }

// UnknownActionError says that no action has the id.
type UnknownActionError struct{ ID, Hint string }

func (e *UnknownActionError) Error() string {
	message := fmt.Sprintf("unknown action %q", e.ID)
	if e.Hint != "" {
		message += " (" + e.Hint + ")"
	}
	return message
}

// missing makes a soft fault of something that is about no action. meant tells
// which ids it could be about; a hint is looked for among what there is, unless
// one of those is gone.
func (b *building) missing(f Fault, meant func(id string) bool, hint func() string) Fault {
	f.Soft, f.Gone = true, slices.ContainsFunc(b.Gone, meant)
	if f.Hint = "it was there in an earlier document of the plugin"; !f.Gone {
		f.Hint = hint()
	}
	return f
}

// absent tells whether a plugin's actions are not known.
func (b *building) absent(plugin string) bool {
	return slices.Contains(b.Absent, plugin) || b.MayCome != nil && b.byPlugin[plugin] == nil && b.MayCome(plugin)
}
