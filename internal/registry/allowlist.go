package registry

import "github.com/bmatcuk/doublestar/v4"

// Allowlist picks actions: what an include rule matches and no exclude rule
// does.
type Allowlist struct{ Include, Exclude []Rule }

// Admits tells whether the action is on the list.
func (l Allowlist) Admits(a *Action) bool {
	return matchesAny(l.Include, a) && !matchesAny(l.Exclude, a)
}

// Match tells whether all that the rule says is true of the action.
func (r Rule) Match(a *Action) bool { return r.match(a) }

// ValidGlob tells whether a rule's ID can be read.
func ValidGlob(pattern string) bool { return doublestar.ValidatePattern(pattern) }

// checkList finds the rules of a list that cannot be what their author meant, as
// [building.checkRules] does for those of a server.
func (b *building) checkList(l Allowlist) (faults []Fault) {
	for _, rule := range l.Include {
		faults = append(faults, b.checkRule(rule, b.anyMatches(rule))...)
	}
	for _, rule := range l.Exclude {
		faults = append(faults, b.checkRule(rule, !rule.one() || b.anyMatches(rule))...)
	}
	return faults
}
