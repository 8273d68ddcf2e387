package gateway

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// accessRules are the rules of one door: those at the top level that are about
// it, and its own. ruled tells whether there are any that could have been: what
// none allows is denied then.
func (c Config) accessRules(door, path string, own []AccessRule) (out []registry.AccessRule, ruled bool) {
	for i, r := range c.Rules {
		if g, _ := r.grant(); g != nil && g.isAbout(door) {
			out = append(out, r.rule(fmt.Sprintf("rules[%d]", i)))
		}
	}
	for i, r := range own {
		if g, _ := r.grant(); g != nil { // else it is a fault
			out = append(out, r.rule(fmt.Sprintf("%s[%d]", path, i)))
		}
	}
	return out, len(c.Rules)+len(own) > 0
}

// rulesBeside are the rules at the top level and those of the actions API.
func (c Config) rulesBeside() (out []registry.AccessRule) {
	for _, list := range []struct {
		path  string
		rules []AccessRule
	}{{"rules", c.Rules}, {"actionsAPI.rules", c.ActionsAPI.Rules}} {
		for i, r := range list.rules {
			if g, _ := r.grant(); g != nil {
				out = append(out, r.rule(fmt.Sprintf("%s[%d]", list.path, i)))
			}
		}
	}
	return out
}

// isAbout tells whether a rule at the top level is about a door.
func (g Grant) isAbout(door string) bool {
	return len(g.Servers) == 0 || slices.ContainsFunc(g.Servers, func(glob string) bool { return matches(glob, door) })
}

func matches(glob, name string) bool {
	ok, err := doublestar.Match(glob, name)
	return ok && err == nil
}

// grant is what the rule says, and under which key.
func (r AccessRule) grant() (g *Grant, key string) {
	if r.Deny != nil {
		return r.Deny, "deny"
	}
	return r.Allow, "allow"
}

func (r AccessRule) rule(path string) registry.AccessRule {
	g, key := r.grant()
	out := registry.AccessRule{
		Path: path, Deny: r.Deny != nil, Actions: rules(path+"."+key+".actions", g.Actions),
		Who: g.asked().who(),
	}
	if g.Unless != nil {
		out.Unless = new(g.Unless.who())
	}
	return out
}

func (e Exception) who() registry.Who {
	w := registry.Who{Subject: e.Subject, Group: e.Group, Client: e.Client, Issuer: e.Issuer, Kind: principal.Kind(e.Kind)}
	for name, value := range e.Claims {
		if w.Claims == nil {
			w.Claims = map[string]string{}
		}
		w.Claims[name] = string(value)
	}
	return w
}

// scopes are a door's, with the names that hold where the config says none.
func (s Scopes) scopes(prefix string) registry.Scopes {
	name := func(said, usual string) string {
		if said == "none" {
			return ""
		}
		return cmp.Or(said, prefix+":"+usual)
	}
	out := registry.Scopes{Read: name(s.Read, "read"), Write: name(s.Write, "write"), Destructive: name(s.Destructive, "destructive")}
	for scope, as := range s.Names {
		if out.Names == nil {
			out.Names = map[string]string{}
		}
		if out.Names[scope] = cmp.Or(as, scope); as == "none" {
			out.Names[scope] = ""
		}
	}
	return out
}

// limits are a door's.
func (l CallLimits) limits() registry.Limits {
	return registry.Limits{CallsPerMinute: l.CallsPerMinute, Burst: max(1, cmp.Or(l.Burst, l.CallsPerMinute/10)), Concurrent: l.Concurrent}
}

// argumentRules are a server's, without those that are known to be wrong.
func argumentRules(path string, in []ArgumentRule, known Faults) (out []registry.ArgumentRule) {
	for i, r := range in {
		at := fmt.Sprintf("%s[%d]", path, i)
		if known.about(at) {
			continue
		}
		rule := registry.ArgumentRule{Path: at, Actions: rules(at+".actions", r.Actions), Bind: map[string]string{}, Limit: map[string]registry.Limit{}}
		for name, value := range r.Bind {
			rule.Bind[name] = string(value)
		}
		for name, l := range r.Limit {
			limit := registry.Limit{
				Minimum: string(l.Minimum), Maximum: string(l.Maximum), MaxLength: l.MaxLength, MaxItems: l.MaxItems, Pattern: l.Pattern,
			}
			for _, value := range l.Enum {
				limit.Enum = append(limit.Enum, string(value))
			}
			rule.Limit[name] = limit
		}
		out = append(out, rule)
	}
	return out
}
