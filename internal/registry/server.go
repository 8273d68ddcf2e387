package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// DefaultToolNames is the template of tool names that every model provider
// admits.
const DefaultToolNames = "{plugin}_{action}"

const maxToolName = 64

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

// resolved is a server with what it was made of, so that the next snapshot does
// again only what changed.
type resolved struct {
	server     *Server
	spec       ServerSpec
	selections map[*Part]*selection
	resources  []*Resource // for each of the spec's; nil: of no action that is known
	unmet      []unmet
}

// selection is what a server's allowlist takes of a part.
type selection struct {
	tools   []Tool
	matched []int // include rules that match an action, excluded or not
	faults  []Fault
}

// server resolves one server's allowlist: what an include rule matches and no
// exclude rule does.
func (b *building) server(spec ServerSpec) (*resolved, []Fault) {
	was := &resolved{server: &Server{}}
	if b.Previous != nil && b.Previous.resolved[spec.Name] != nil {
		was = b.Previous.resolved[spec.Name]
	}
	next := &resolved{spec: spec, selections: make(map[*Part]*selection, len(b.parts))}
	tools, faults := b.tools(next, was)
	faults = append(b.checkRules(next), faults...)
	faults = append(faults, b.checkArguments(next, tools)...)
	resources, more := b.resources(next, was, tools)
	faults = append(faults, more...)
	if slices.Equal(tools, was.server.Tools) && slices.Equal(next.resources, was.resources) && spec.same(was.spec) {
		next.server, next.unmet = was.server, was.unmet
	} else {
		next.server = spec.server(tools, resources)
		next.unmet = next.server.unmet()
	}
	if len(more) == 0 {
		faults = append(faults, b.checkPrompts(next)...)
	}
	return next, faults
}

// same tells whether both say the same. Gates are the same only if they are one:
// what they hold changes all the time.
func (spec ServerSpec) same(other ServerSpec) bool {
	gate := other.Gate
	if other.Gate = spec.Gate; gate != spec.Gate {
		return false
	}
	spec.Gate, other.Gate = nil, nil
	return reflect.DeepEqual(spec, other)
}

func (spec ServerSpec) server(tools []Tool, resources []Resource) *Server {
	return &Server{
		Name: spec.Name, Title: spec.Title, Version: spec.Version, Description: spec.Description, WebsiteURL: spec.WebsiteURL,
		Icons: spec.Icons, Instructions: spec.Instructions, ListPage: spec.ListPage, NoLegacySSE: spec.NoLegacySSE,
		ConfirmDestructive: spec.ConfirmDestructive, TaskAfter: spec.TaskAfter, Prompts: spec.Prompts,
		Door:  &Door{Name: spec.Name, Rules: spec.Rules, Ruled: spec.Ruled, Scopes: spec.Scopes, Gate: spec.Gate, Limits: spec.Limits},
		Tools: tools, Resources: resources,
	}
}

// tools selects the tools, of parts that are new only: the others' are taken
// over.
func (b *building) tools(next, was *resolved) (tools []Tool, faults []Fault) {
	sameRules := next.spec.ToolNames == was.spec.ToolNames &&
		reflect.DeepEqual(next.spec.Include, was.spec.Include) && reflect.DeepEqual(next.spec.Exclude, was.spec.Exclude) &&
		reflect.DeepEqual(next.spec.Arguments, was.spec.Arguments)
	variants := was.variants(next.spec)
	var added []Tool
	for _, part := range b.parts {
		s := was.selections[part]
		if s == nil || !sameRules {
			s = next.spec.pick(part, variants)
			added = append(added, s.tools...)
		}
		next.selections[part] = s
		faults = append(faults, s.faults...)
	}
	slices.SortFunc(added, Tool.compare)
	tools = added
	if sameRules {
		tools = merge(next.kept(was), added)
	}
	return tools, append(faults, collisions("servers."+next.spec.Name, tools)...)
}

// kept are the tools of the parts that are still there.
func (r *resolved) kept(was *resolved) []Tool {
	dropped := map[string]bool{}
	for part, s := range was.selections {
		if r.selections[part] == nil && len(s.tools) > 0 {
			dropped[part.plugin.Name] = true
		}
	}
	if len(dropped) == 0 {
		return was.server.Tools
	}
	kept := make([]Tool, 0, len(was.server.Tools))
	for _, t := range was.server.Tools {
		if !dropped[t.Action.Plugin] {
			kept = append(kept, t)
		}
	}
	return kept
}

// pick applies the allowlist and the argument rules to a part. Variants that
// were made already are taken over.
func (spec ServerSpec) pick(part *Part, variants map[*Action]*Action) *selection {
	s := &selection{}
	about := func(r Rule) bool { plugin := r.plugin(); return plugin == "" || plugin == part.plugin.Name }
	matched := make([]bool, len(spec.Include))
	exclude := slices.DeleteFunc(slices.Clone(spec.Exclude), func(r Rule) bool { return !about(r) })
	included := make([]bool, len(part.actions))
	for i, r := range spec.Include {
		if !about(r) {
			continue
		}
		for j, a := range part.actions {
			if r.match(a) {
				matched[i], included[j] = true, true
			}
		}
		if matched[i] {
			s.matched = append(s.matched, i)
		}
	}
	template := strings.ReplaceAll(cmp.Or(spec.ToolNames, DefaultToolNames), "{plugin}", part.plugin.Name)
	for j, a := range part.actions {
		if !included[j] || matchesAny(exclude, a) {
			continue
		}
		name := shorten(strings.ReplaceAll(template, "{action}", a.Name))
		if !toolName.MatchString(name) {
			s.faults = append(s.faults, Fault{
				Path:    "servers." + spec.Name + ".toolNames",
				Message: fmt.Sprintf("action %q would become the tool %q, which is not a tool name", a.ID, name),
				Hint:    "tool names match " + toolName.String(), Plugins: []string{a.Plugin},
			})
			continue
		}
		shown := variants[a]
		if shown == nil {
			var faults []Fault
			shown, faults = spec.variant(a)
			s.faults = append(s.faults, faults...)
		}
		s.tools = append(s.tools, Tool{Name: name, Action: shown})
	}
	return s
}

// compare orders tools by name. Those of one name, which cannot stay, are
// ordered by id.
func (t Tool) compare(other Tool) int {
	return cmp.Or(cmp.Compare(t.Name, other.Name), cmp.Compare(t.Action.ID, other.Action.ID))
}

// merge makes one list of two that are in order.
func merge(a, b []Tool) []Tool {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	all := make([]Tool, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].compare(b[0]) < 0 {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// collisions finds tools of one name in a list that is in order.
func collisions(path string, tools []Tool) (faults []Fault) {
	for i, t := range tools {
		if i == 0 || tools[i-1].Name != t.Name {
			continue
		}
		first := tools[slices.IndexFunc(tools, func(other Tool) bool { return other.Name == t.Name })]
		faults = append(faults, Fault{
			Path:    path,
			Message: fmt.Sprintf("actions %q and %q would both become the tool %q", first.Action.ID, t.Action.ID, t.Name),
			Hint:    `exclude one, or use both {plugin} and {action} in toolNames`,
			Plugins: slices.Compact([]string{first.Action.Plugin, t.Action.Plugin}),
		})
	}
	return faults
}

// shorten cuts a name that is too long and gives it a hash of the whole, so
// that it stays unique and the same for ever.
func shorten(name string) string {
	if len(name) <= maxToolName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:maxToolName-9] + "_" + hex.EncodeToString(sum[:4])
}
