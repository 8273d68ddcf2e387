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

// glob matches as in a shell, save that * matches any run of characters:
// subjects and groups have slashes in them.
func glob(pattern, name string) bool {
	if !strings.ContainsAny(pattern, globRunes[1:]) {
		return stars(pattern, name)
	}
	if strings.ContainsAny(name, "/\x00") || strings.ContainsAny(pattern, "/\x00") {
		pattern, name = traded(pattern), traded(name)
	}
	ok, err := doublestar.Match(pattern, name)
	return ok && err == nil
}

// traded trades slashes, at which the library's * stops, for what it does not
// stop at.
func traded(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return 0
		case 0:
			return '/'
		}
		return r
	}, s)
}

// stars is glob for patterns with no other signs, as most are.
func stars(pattern, name string) bool {
	start, rest, isPattern := strings.Cut(pattern, "*")
	if !isPattern {
		return pattern == name
	}
	if !strings.HasPrefix(name, start) {
		return false
	}
	name = name[len(start):]
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], after
	}
}

func matchesAny(rules []Rule, a *Action) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool { return r.match(a) })
}

func (r Rule) match(a *Action) bool {
	return r.Attributes.match(a.Attributes) &&
		r.matchID(a.ID) &&
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

// checkAccess finds the access rules whose actions are not there. Rules at the
// top level are about many servers, and told of once. A rule that denies by
// pattern may wait for actions to come, of a plugin that is there, and so may
// one that says nothing but attributes: what a rule guards against need not be there.
func (b *building) checkAccess(servers []ServerSpec) (faults []Fault) {
	told := map[string]bool{}
	check := func(rules []AccessRule) {
		for _, access := range rules {
			for _, r := range access.Actions {
				if told[r.Path] {
					continue
				}
				told[r.Path] = true
				plugin := r.plugin()
				waits := r.ID == "" && r.Plugin == "" && len(r.Tags) == 0 ||
					access.Deny && !r.one() && len(r.Tags) == 0 && (plugin == "" || b.byPlugin[plugin] != nil)
				faults = append(faults, b.checkRule(r, waits || b.anyMatches(r))...)
			}
		}
	}
	for _, spec := range servers {
		check(spec.Rules)
	}
	check(b.Rules)
	return faults
}

func (b *building) anyMatches(r Rule) bool {
	return slices.ContainsFunc(b.parts, func(p *Part) bool { return slices.ContainsFunc(p.actions, r.match) })
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
