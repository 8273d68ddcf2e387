package registry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/internal/suggest"
	"github.com/stagedoor/stagedoor/openapi"
)

// globRunes are those that make a pattern of an id.
const globRunes = `*?[{\`

// glob matches as in a shell, where * does not stop at anything: ids have no
// path separators.
func glob(pattern, name string) bool {
	ok, err := doublestar.Match(pattern, name)
	return ok && err == nil
}

func matchesAny(rules []Rule, a *Action) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool { return r.match(a) })
}

func (r Rule) match(a *Action) bool {
	return r.matchID(a.ID) &&
		r.Attributes.match(a.Attributes) &&
		!slices.ContainsFunc(r.Tags, func(tag string) bool { return !slices.Contains(a.Tags, tag) })
}

// matchID is match as far as an id tells.
func (r Rule) matchID(id string) bool {
	return (r.ID == "" || glob(r.ID, id)) &&
		(r.Plugin == "" || len(id) > len(r.Plugin) && id[len(r.Plugin)] == ':' && strings.HasPrefix(id, r.Plugin))
}

func (set AttributeSet) match(a openapi.Attributes) bool {
	return (set.ReadOnly == nil || *set.ReadOnly == a.ReadOnly) &&
		(set.Destructive == nil || *set.Destructive == a.Destructive) &&
		(set.Idempotent == nil || *set.Idempotent == a.Idempotent) &&
		(set.OpenWorld == nil || *set.OpenWorld == a.OpenWorld)
}

// plugin is the only one that the rule can be about, "" where it is not said.
func (r Rule) plugin() string {
	plugin, _, hasPlugin := strings.Cut(r.ID, ":")
	switch {
	case r.Plugin != "":
		return r.Plugin
	case hasPlugin && !strings.ContainsAny(plugin, globRunes):
		return plugin
	}
	return ""
}

// one tells whether the rule is about the action of one id.
func (r Rule) one() bool { return r.ID != "" && !strings.ContainsAny(r.ID, globRunes) }

// checkRules finds the rules that cannot be what their author meant: includes
// that match nothing, and excludes of one action that is not there. An exclude
// by pattern may wait for actions to come.
func (b *building) checkRules(r *resolved) (faults []Fault) {
	matched := make([]bool, len(r.spec.Include))
	for _, part := range b.parts {
		for _, i := range r.selections[part].matched {
			matched[i] = true
		}
	}
	for i, rule := range r.spec.Include {
		faults = append(faults, b.checkRule(rule, matched[i])...)
	}
	for _, rule := range r.spec.Exclude {
		a := b.find(rule.ID)
		faults = append(faults, b.checkRule(rule, !rule.one() || a != nil && rule.match(a))...)
	}
	return faults
}

func (b *building) checkRule(r Rule, matched bool) []Fault {
	switch {
	case r.ID != "" && !doublestar.ValidatePattern(r.ID):
		return []Fault{{Path: r.Path, Message: fmt.Sprintf("%q is not a glob", r.ID), Hint: `for example "catalog:*" or "billing:get-*"`}}
	case matched || b.mayMeanAbsent(r):
		return nil
	case r.one():
		f := Fault{Path: r.Path, Message: fmt.Sprintf("unknown action %q", r.ID)}
		return []Fault{b.missing(f, r.matchID, func() string { return suggest.Hint(r.ID, b.ids()) })}
	}
	f := Fault{Path: r.Path, Message: "rule matches no action"}
	return []Fault{b.missing(f, r.matchID, func() string { return "stagedoor actions list shows what there is" })}
}

// mayMeanAbsent tells whether a rule could be about a plugin whose actions are
// not known.
func (b *building) mayMeanAbsent(r Rule) bool {
	if plugin := r.plugin(); plugin != "" {
		return b.absent(plugin)
	}
	return len(b.Absent) > 0 || b.MayCome != nil
}
