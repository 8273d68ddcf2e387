package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// door is a way in, as the config has it.
type door struct {
	name, path string // "sales", "servers.sales"
	auth       []Verifier
	scopes     Scopes
	rules      []AccessRule
	limits     CallLimits
	arguments  []ArgumentRule
}

// doors are all ways in to actions, servers by name first.
func (c Config) doors() (out []door) {
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		s := c.Servers[name]
		out = append(out, door{name, "servers." + name, s.Auth, s.Scopes, s.Rules, s.Limits, s.Arguments})
	}
	if a := c.ActionsAPI; c.hasActionsAPI() {
		out = append(out, door{registry.ActionsAPI, "actionsAPI", a.Auth, a.Scopes, a.Rules, a.Limits, nil})
	}
	return out
}

// verifiers are a door's own, or those at the top level.
func (c Config) verifiers(own []Verifier) []Verifier {
	if len(own) == 0 {
		return c.Auth
	}
	return own
}

// kindsOf names kinds of verifiers, each once.
func kindsOf(list []Verifier) []string {
	kinds := []string{}
	for _, v := range list {
		for _, kind := range []struct {
			name string
			is   bool
		}{
			{v.Use, v.Use != ""}, {"static", v.Static.Token.IsSet()}, {"jwt", v.JWT.Issuer != ""}, {"introspection", v.Introspection.URL != ""},
			{"backstage", v.Backstage.BaseURL != ""},
		} {
			if kind.is && !slices.Contains(kinds, kind.name) {
				kinds = append(kinds, kind.name)
			}
		}
	}
	return kinds
}

// anonymous tells whether nobody is asked who they are.
func (c Config) anonymous(own []Verifier) bool {
	list := c.verifiers(own)
	return len(list) == 0 || len(list) == 1 && list[0].Use == "none"
}

// validateAccess finds what is wrong with rules, scopes, bound arguments and
// limits, as far as no document has to be read for it.
func (c Config) validateAccess(fs *Faults) {
	doors := c.doors()
	if _, taken := c.Servers[registry.ActionsAPI]; taken {
		fs.add("servers."+registry.ActionsAPI, "", "server name %q is that of the actions API in rules and records", registry.ActionsAPI)
	}
	for i, r := range c.Rules {
		r.validate(fs, fmt.Sprintf("rules[%d]", i), c.knows)
		c.validateTop(fs, r, fmt.Sprintf("rules[%d]", i), doors)
	}
	for _, d := range doors {
		c.validateDoor(fs, d)
	}
}

func (c Config) validateDoor(fs *Faults, d door) {
	for i, r := range d.rules {
		path := fmt.Sprintf("%s.rules[%d]", d.path, i)
		r.validate(fs, path, c.knows)
		if g, key := r.grant(); g != nil {
			if len(g.Servers) > 0 {
				fs.add(path+"."+key+".servers", "leave it out, or move the rule to the top level", "the rules of %s are about nothing else", d.path)
			}
			if c.anonymous(d.auth) {
				g.validateAnonymous(fs, path+"."+key, d.path)
			}
		}
	}
	c.validateAllowed(fs, d)
	d.scopes.validate(fs, d.path+".scopes")
	if c.anonymous(d.auth) && !d.scopes.isZero() {
		fs.add(d.path+".scopes", "say under auth how callers prove who they are", "callers of %s are anonymous (auth: none), and have no scopes", d.path)
	}
	d.limits.validate(fs, d.path+".limits")
	for i, r := range d.arguments {
		r.validate(fs, fmt.Sprintf("%s.arguments[%d]", d.path, i), c.knows, c.anonymous(d.auth))
	}
}

// validateAllowed finds a door at which there are rules, and none that allows
// anything. That of the actions API may be shut by rules about servers.
func (c Config) validateAllowed(fs *Faults, d door) {
	about, ruled := c.accessRules(d.name, d.path+".rules", d.rules)
	if !ruled || slices.ContainsFunc(about, func(r registry.AccessRule) bool { return !r.Deny }) || d.name == registry.ActionsAPI && len(about) == 0 {
		return
	}
	path := d.path + ".rules"
	if len(d.rules) == 0 {
		path = "rules"
	}
	fs.add(path, "allow: {everyone: true} allows what no rule denies", "no rule allows anything at %s, and what no rule allows is denied", d.path)
}

// validateTop checks what only rules at the top level have.
func (c Config) validateTop(fs *Faults, r AccessRule, path string, doors []door) {
	g, key := r.grant()
	if g == nil {
		return
	}
	names := make([]string, 0, len(doors))
	for _, d := range doors {
		names = append(names, d.name)
	}
	for i, glob := range g.Servers {
		if at := fmt.Sprintf("%s.%s.servers[%d]", path, key, i); !registry.ValidGlob(glob) {
			fs.add(at, "", "%q is not a glob", glob)
		} else if !slices.ContainsFunc(names, func(name string) bool { return matches(glob, name) }) {
			fs.add(at, suggest.Hint(glob, names), "%q matches no server", glob)
		}
	}
	about := slices.DeleteFunc(slices.Clone(doors), func(d door) bool { return !g.isAbout(d.name) })
	if len(about) > 0 && !slices.ContainsFunc(about, func(d door) bool { return !c.anonymous(d.auth) }) {
		g.validateAnonymous(fs, path+"."+key, about[0].path)
	}
}

func (r AccessRule) validate(fs *Faults, path string, known func(plugin string) bool) {
	switch {
	case r.Allow == nil && r.Deny == nil:
		fs.add(path, "for example allow: {group: platform}", "rule is empty: it needs allow or deny")
		return
	case r.Allow != nil && r.Deny != nil:
		fs.add(path, "make two rules of it", "rule has both allow and deny")
	}
	for _, one := range []struct {
		key   string
		grant *Grant
	}{{"allow", r.Allow}, {"deny", r.Deny}} {
		if one.grant != nil {
			one.grant.validate(fs, path+"."+one.key, known)
		}
	}
}

// asked is what the rule asks of principals.
func (g Grant) asked() Exception {
	return Exception{Subject: g.Subject, Group: g.Group, Client: g.Client, Issuer: g.Issuer, Kind: g.Kind, Claims: g.Claims}
}

func (g Grant) validate(fs *Faults, path string, known func(plugin string) bool) {
	asks := !g.asked().isZero()
	switch {
	case !asks && !g.Everyone && len(g.Servers)+len(g.Actions) == 0 && g.Unless == nil:
		fs.add(path, "everyone: true makes a rule about everybody", "rule is empty")
	case asks && g.Everyone:
		fs.add(path+".everyone", "leave it out", "a rule about everyone asks for nobody in particular")
	}
	g.asked().validate(fs, path)
	for i, r := range g.Actions {
		r.validate(fs, fmt.Sprintf("%s.actions[%d]", path, i), known)
	}
	if g.Unless != nil {
		if g.Unless.isZero() {
			fs.add(path+".unless", "for example {group: admins}", "exception is empty, and so the rule would be about nobody")
		}
		g.Unless.validate(fs, path+".unless")
	}
}

func (e Exception) isZero() bool {
	return e.Subject == "" && e.Group == "" && e.Client == "" && e.Issuer == "" && e.Kind == "" && len(e.Claims) == 0
}

func (e Exception) validate(fs *Faults, path string) {
	if e.Kind != "" {
		oneOf(fs, path+".kind", e.Kind, "user", "service")
	}
	for _, glob := range []struct{ key, pattern string }{{"subject", e.Subject}, {"group", e.Group}} {
		if !registry.ValidGlob(glob.pattern) {
			fs.add(path+"."+glob.key, "* matches anything, and \\ makes the character after it mean itself", "%q is not a glob", glob.pattern)
		}
	}
}

// validateAnonymous finds what can be true of nobody, where nobody is asked who
// they are.
func (g Grant) validateAnonymous(fs *Faults, path, door string) {
	const hint = "say under auth how callers prove who they are"
	if !g.asked().isZero() {
		fs.add(path, hint, "callers of %s are anonymous (auth: none), and the rule can be about none of them", door)
	}
	if g.Unless != nil && !g.Unless.isZero() {
		fs.add(path+".unless", hint, "callers of %s are anonymous (auth: none), and the exception can be about none of them", door)
	}
}

// scopeToken is RFC 6749, appendix A.4.
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)

func validateScope(fs *Faults, path, scope string) {
	if scope != "" && !scopeToken.MatchString(scope) {
		fs.add(path, "for example mcp:read", "%q is not a scope: a scope has no spaces, quotes and backslashes", scope)
	}
}

func (s Scopes) isZero() bool {
	return s.Read == "" && s.Write == "" && s.Destructive == "" && len(s.Names) == 0 && s.Challenge == ""
}

func (s Scopes) validate(fs *Faults, path string) {
	for _, scope := range []struct{ key, name string }{{"read", s.Read}, {"write", s.Write}, {"destructive", s.Destructive}} {
		validateScope(fs, path+"."+scope.key, scope.name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Names)) {
		validateScope(fs, path+".names", name)
		validateScope(fs, path+".names."+name, s.Names[name])
	}
	if s.Challenge != "" {
		oneOf(fs, path+".challenge", s.Challenge, "needed", "union")
	}
}

func (l CallLimits) validate(fs *Faults, path string) {
	for _, limit := range []struct {
		key   string
		value int
	}{{"callsPerMinute", l.CallsPerMinute}, {"burst", l.Burst}, {"concurrent", l.Concurrent}} {
		if limit.value < 0 {
			fs.add(path+"."+limit.key, "", "cannot be negative")
		}
	}
	if l.Burst > 0 && l.CallsPerMinute == 0 {
		fs.add(path+".burst", "", "is a part of callsPerMinute, which is not set")
	}
}

func (r ArgumentRule) validate(fs *Faults, path string, known func(plugin string) bool, anonymous bool) {
	if len(r.Bind)+len(r.Limit) == 0 {
		fs.add(path, `for example bind: {tenantId: "{claims.org}"}`, "rule is empty: it needs bind or limit")
	}
	for i, a := range r.Actions {
		a.validate(fs, fmt.Sprintf("%s.actions[%d]", path, i), known)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Bind)) {
		at := path + ".bind." + name
		text, err := registry.ParseBound(string(r.Bind[name]))
		switch {
		case err != nil:
			fs.add(at, "there are {subject}, {issuer}, {client} and {claims.NAME}; braces are written {{ and }}", "%v", err)
		case len(text.Names()) > 0 && anonymous:
			fs.add(at, "say under auth how callers prove who they are", "callers are anonymous (auth: none), and have no %s", text.Names()[0])
		}
		if _, both := r.Limit[name]; both {
			fs.add(at, "leave one of them", "argument %q is bound and narrowed", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Limit)) {
		r.Limit[name].validate(fs, path+".limit."+name)
	}
}

func (l Limit) validate(fs *Faults, path string) {
	kinds := 0
	for _, set := range []bool{l.Minimum != "" || l.Maximum != "", l.MaxLength != 0 || l.Pattern != "", l.MaxItems != 0} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds == 0 && len(l.Enum) == 0:
		fs.add(path, "for example {maximum: 100}", "limit is empty")
	case kinds > 1:
		fs.add(path, "minimum and maximum are for numbers, maxLength and pattern for texts, maxItems for lists", "limits are for different types")
	}
	for _, bound := range []struct {
		key   string
		value Scalar
	}{{"minimum", l.Minimum}, {"maximum", l.Maximum}} {
		if bound.value != "" && !isNumber(string(bound.value)) {
			fs.add(path+"."+bound.key, "", "expected a number, got %q", bound.value)
		}
	}
	if l.MaxLength < 0 || l.MaxItems < 0 {
		fs.add(path, "", "cannot be negative")
	}
	if _, err := regexp.Compile(l.Pattern); err != nil {
		fs.add(path+".pattern", "RE2 knows no lookaround and no backreferences", "%v", err)
	}
}

// isNumber tells whether a text is a number of JSON that is not absurd.
func isNumber(text string) bool {
	var n json.Number
	return !strings.HasPrefix(text, `"`) && json.Unmarshal([]byte(text), &n) == nil && len(text) <= 64 && !strings.ContainsAny(text, "eE")
}
