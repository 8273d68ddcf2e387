package registry

import (
	"cmp"
	"slices"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

// Door is a way in to actions: a named server, or the actions API. It says who
// may call what by it. It never changes.
type Door struct {
	// Name is the server's, or [ActionsAPI]; what audits and assertions name.
	Name string
	// Rules are in the config's order. Without any, whoever may come in may call
	// everything; with any, what none allows is denied, and deny counts more.
	Rules []AccessRule
	// Ruled says that there are rules, if only about other doors: what none allows
	// is denied here, too. With any in Rules it is so in any case.
	Ruled  bool
	Scopes Scopes
	// Gate finds out who comes in by the door. The registry itself does not ask it:
	// it is here so that who may come in and what they may do change together.
	Gate   principal.Gate
	Limits Limits
}

// Limits bound what one principal may do by a door, on one replica; 0: there is
// no bound.
type Limits struct {
	CallsPerMinute int
	Burst          int // of them, that may come at once; at least 1 where there is a bound
	Concurrent     int // calls under way
}

// ActionsAPI is the name of the door that is no server.
const ActionsAPI = "actions-api"

// Unguarded is the operator's own way in: the command line and the program that
// embeds the gateway. Everything is allowed.
var Unguarded = &Door{Gate: principal.Open} //nolint:gochecknoglobals // it is constant

// AccessRule allows or denies.
type AccessRule struct {
	Path    string // where it stands in the config, "servers.sales.rules[1]"
	Deny    bool   // else it allows
	Who     Who
	Actions []Rule // of which one matches; none: every action
	Unless  *Who   // whom the rule is not about; nil: there is nobody
}

// Who is what a rule asks of a principal: all that it says. Subject and Group
// may be globs, in which * matches any run of characters. Nobody who is
// anonymous has a subject.
type Who struct {
	Subject, Group, Client, Issuer string
	Kind                           principal.Kind
	Claims                         map[string]string // a list has the value in it
}

// Scopes are what tokens need, by what an action may do; "" is none. Who has a
// later one has those before it, too.
type Scopes struct {
	Read, Write, Destructive string
	// Names are what tokens call the scopes that actions themselves ask for; one
	// that is not here is called the same. "" is not needed.
	Names map[string]string
}

// Decision is what a door says of a principal and an action.
type Decision struct {
	Allowed bool     // else the action does not exist for the principal
	Rule    string   // path of the rule that decides; "": none does
	Needed  []string // scopes that the call takes
	Missing []string // those of them that the token has not
}

// Decide is the one place that says who may call what. Lists, calls and
// explanations all ask it.
func (d *Door) Decide(p principal.Principal, a *Action) Decision {
	if d == Unguarded {
		return Decision{Allowed: true}
	}
	made := d.decide(d.Rules, &p, a)
	if made.Needed = d.Scopes.needed(a); !p.IsAnonymous() { // who has no token cannot lack scopes
		made.Missing = d.Scopes.missing(p.Scopes, made.Needed)
	}
	return made
}

// Visible tells whether a principal may know of an action.
func (d *Door) Visible(p principal.Principal, a *Action) bool {
	return !d.Restricts() || d.decide(d.Rules, &p, a).Allowed
}

// Sees is [Door.Visible] for many actions: the principal is looked at once. nil:
// all of them are visible.
func (d *Door) Sees(p principal.Principal) func(a *Action) bool {
	if !d.Restricts() {
		return nil
	}
	about := make([]AccessRule, 0, len(d.Rules))
	for i := range d.Rules {
		if d.Rules[i].concerns(&p) {
			about = append(about, d.Rules[i])
		}
	}
	return func(a *Action) bool { return d.decide(about, nil, a).Allowed }
}

// Missing are the scopes that a principal's token lacks for an action.
func (d *Door) Missing(p principal.Principal, a *Action) []string {
	if d == Unguarded || p.IsAnonymous() {
		return nil
	}
	return d.Scopes.missing(p.Scopes, d.Scopes.needed(a))
}

// Restricts tells whether what is visible depends on who asks.
func (d *Door) Restricts() bool { return d != Unguarded && (d.Ruled || len(d.Rules) > 0) }

// decide asks the rules; without a principal they are those that concern it.
func (d *Door) decide(rules []AccessRule, p *principal.Principal, a *Action) Decision {
	made := Decision{Allowed: !d.Restricts()}
	for i := range rules {
		r := &rules[i]
		switch {
		case len(r.Actions) > 0 && !matchesAny(r.Actions, a) || p != nil && !r.concerns(p):
		case r.Deny:
			return Decision{Rule: r.Path}
		case !made.Allowed:
			made = Decision{Allowed: true, Rule: r.Path}
		}
	}
	return made
}

func (r *AccessRule) concerns(p *principal.Principal) bool {
	return r.Who.Is(p) && (r.Unless == nil || !r.Unless.Is(p))
}

// Is tells whether a principal is meant.
func (w *Who) Is(p *principal.Principal) bool {
	return (w.Subject == "" || !p.IsAnonymous() && glob(w.Subject, p.Subject)) &&
		(w.Group == "" || slices.ContainsFunc(p.Groups, func(group string) bool { return glob(w.Group, group) })) &&
		(w.Client == "" || w.Client == p.Client) &&
		(w.Issuer == "" || w.Issuer == p.Issuer) &&
		(w.Kind == "" || w.Kind == p.Kind) &&
		w.claims(p)
}

func (w *Who) claims(p *principal.Principal) bool {
	for name, want := range w.Claims {
		if !p.HasClaim(name, want) {
			return false
		}
	}
	return true
}

// ladder are the scopes of what actions may do, each with those before it.
func (s *Scopes) ladder() [3]string { return [3]string{s.Read, s.Write, s.Destructive} }

// rung is the place of an action on the ladder.
func rung(a openapi.Attributes) int {
	switch {
	case a.ReadOnly:
		return 0
	case a.Destructive:
		return 2
	}
	return 1
}

// needed are the scopes of an action, without repeats.
func (s *Scopes) needed(a *Action) (needed []string) {
	if scope := s.ladder()[rung(a.Attributes)]; scope != "" {
		needed = append(needed, scope)
	}
	for _, scope := range a.Scopes {
		if name, renamed := s.Names[scope]; renamed {
			scope = name
		}
		if scope != "" && !slices.Contains(needed, scope) {
			needed = append(needed, scope)
		}
	}
	return needed
}

// missing are those needed scopes that the ones a token has do not include
// (2026-07-28, basic/authorization, "Step-Up Authorization Flow", on
// hierarchies).
func (s *Scopes) missing(has, needed []string) (missing []string) {
	for _, scope := range needed {
		if !slices.Contains(has, scope) && !s.above(scope, has) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// above tells whether one of the scopes stands higher on the ladder.
func (s *Scopes) above(scope string, has []string) bool {
	ladder, at := s.ladder(), -1
	for i, name := range ladder {
		if name == scope {
			at = i // of two that are called the same, the higher one
		}
	}
	return at >= 0 && slices.ContainsFunc(ladder[at+1:], func(higher string) bool { return higher != "" && slices.Contains(has, higher) })
}

// Least is the scope that a token needs for anything at all, for those who have
// none yet; "": none.
func (s *Scopes) Least() string { return cmp.Or(s.Read, s.Write, s.Destructive) }

// Scopes are all that calls of the server's tools may need, and what everybody
// needs, without repeats: those of the hierarchy first, the least of them in
// front.
func (s *Server) Scopes() (all []string) {
	needed := []string{s.Door.Scopes.Least()}
	for _, t := range s.Tools {
		needed = append(needed, s.Door.Scopes.needed(t.Action)...)
	}
	ladder := s.Door.Scopes.ladder()
	rungs := slices.DeleteFunc(ladder[:], func(scope string) bool { return !slices.Contains(needed, scope) })
	for _, scope := range slices.Concat(rungs, needed) {
		if scope != "" && !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	return all
}
