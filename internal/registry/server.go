package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/internal/suggest"
)

// DefaultToolNames is the template of tool names that every model provider
// admits.
const DefaultToolNames = "{plugin}_{action}"

const (
	maxToolName = 64
	globRunes   = "*?[{"
)

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

// server resolves one server's allowlist: what an include rule matches and no
// exclude rule does.
func (s *Snapshot) server(spec ServerSpec) (Server, []Fault) {
	server := Server{
		Name: spec.Name, Title: spec.Title, Version: spec.Version, Description: spec.Description, WebsiteURL: spec.WebsiteURL,
		Icons: spec.Icons, Instructions: spec.Instructions, ListPage: spec.ListPage, NoLegacySSE: spec.NoLegacySSE,
		ConfirmDestructive: spec.ConfirmDestructive, TaskAfter: spec.TaskAfter, Prompts: spec.Prompts,
	}
	faults := s.checkRules(spec)
	template := spec.ToolNames
	if template == "" {
		template = DefaultToolNames
	}
	byName := map[string]*Action{}
	for _, id := range s.ids {
		a := s.actions[id]
		if !matchesAny(spec.Include, a) || matchesAny(spec.Exclude, a) {
			continue
		}
		name := shorten(strings.NewReplacer("{plugin}", a.Plugin, "{action}", a.Name).Replace(template))
		path := "servers." + spec.Name
		if !toolName.MatchString(name) {
			faults = append(faults, Fault{
				Path:    path + ".toolNames",
				Message: fmt.Sprintf("action %q would become the tool %q, which is not a tool name", a.ID, name),
				Hint:    "tool names match " + toolName.String(),
			})
			continue
		}
		if other, taken := byName[name]; taken {
			faults = append(faults, Fault{
				Path:    path,
				Message: fmt.Sprintf("actions %q and %q would both become the tool %q", other.ID, a.ID, name),
				Hint:    `exclude one, or use both {plugin} and {action} in toolNames`,
			})
			continue
		}
		byName[name] = a
		server.Tools = append(server.Tools, Tool{Name: name, Action: a})
	}
	slices.SortFunc(server.Tools, func(a, b Tool) int { return strings.Compare(a.Name, b.Name) })
	resources, more := s.resources(spec)
	server.Resources = resources
	faults = append(faults, more...)
	return server, append(faults, server.checkPrompts(len(s.absent) > 0 || len(more) > 0)...)
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

func matchesAny(rules []Rule, a *Action) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool { return r.match(a) })
}

func (r Rule) match(a *Action) bool {
	return (r.ID == "" || glob(r.ID, a.ID)) &&
		(r.Plugin == "" || r.Plugin == a.Plugin) &&
		r.Attributes.match(a.Attributes) &&
		!slices.ContainsFunc(r.Tags, func(tag string) bool { return !slices.Contains(a.Tags, tag) })
}

// checkRules finds the rules that cannot be what their author meant: includes
// that match nothing, and excludes of one action that is not there. An exclude
// by pattern may wait for actions to come.
func (s *Snapshot) checkRules(spec ServerSpec) (faults []Fault) {
	for _, r := range spec.Include {
		if f, bad := s.checkRule(r, true); bad {
			faults = append(faults, f)
		}
	}
	for _, r := range spec.Exclude {
		if f, bad := s.checkRule(r, r.ID != "" && !strings.ContainsAny(r.ID, globRunes)); bad {
			faults = append(faults, f)
		}
	}
	return faults
}

func (s *Snapshot) checkRule(r Rule, mustMatch bool) (Fault, bool) {
	if r.ID != "" && !doublestar.ValidatePattern(r.ID) {
		return Fault{Path: r.Path, Message: fmt.Sprintf("%q is not a glob", r.ID), Hint: `for example "catalog:*" or "billing:get-*"`}, true
	}
	if !mustMatch || s.mayMeanAbsent(r) || slices.ContainsFunc(s.ids, func(id string) bool { return r.match(s.actions[id]) }) {
		return Fault{}, false
	}
	if r.ID != "" && !strings.ContainsAny(r.ID, globRunes) {
		return Fault{Path: r.Path, Message: fmt.Sprintf("unknown action %q", r.ID), Hint: suggest.Hint(r.ID, s.ids)}, true
	}
	return Fault{Path: r.Path, Message: "rule matches no action", Hint: "stagedoor actions list shows what there is"}, true
}

// mayMeanAbsent tells whether a rule could be about a plugin whose actions are
// not known.
func (s *Snapshot) mayMeanAbsent(r Rule) bool {
	plugin, _, hasPlugin := strings.Cut(r.ID, ":")
	switch {
	case len(s.absent) == 0:
		return false
	case r.Plugin != "":
		return slices.Contains(s.absent, r.Plugin)
	case hasPlugin && !strings.ContainsAny(plugin, globRunes):
		return slices.Contains(s.absent, plugin)
	}
	return true
}
