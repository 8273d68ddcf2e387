package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// guarded is a config of pets at which people have to say who they are.
func guarded(t *testing.T) gateway.Config {
	t.Helper()
	cfg := petConfig(t, "")
	cfg.Auth = []gateway.Verifier{{Static: gateway.StaticVerifier{Token: gateway.SecretValue("a-token-of-some-length"), Subject: "ada"}}}
	return cfg
}

func allow(g gateway.Grant) gateway.AccessRule { return gateway.AccessRule{Allow: &g} }
func deny(g gateway.Grant) gateway.AccessRule  { return gateway.AccessRule{Deny: &g} }

// faultsOf are the faults of a config about access.
func faultsOf(cfg gateway.Config) (out []string) {
	for _, f := range cfg.Validate() {
		out = append(out, f.Path+": "+f.Message)
	}
	return out
}

// TestAccessFaults: what in rules, scopes, limits and bound arguments cannot be
// what their author meant.
func TestAccessFaults(t *testing.T) {
	everyone := allow(gateway.Grant{Everyone: true})
	server := func(f func(s *gateway.Server)) func(*gateway.Config) {
		return func(c *gateway.Config) {
			s := c.Servers["all"]
			f(&s)
			c.Servers["all"] = s
		}
	}
	rules := func(rules ...gateway.AccessRule) func(*gateway.Config) {
		return server(func(s *gateway.Server) { s.Rules = rules })
	}
	top := func(rules ...gateway.AccessRule) func(*gateway.Config) {
		return func(c *gateway.Config) { c.Rules = rules }
	}
	arguments := func(rule gateway.ArgumentRule) func(*gateway.Config) {
		return server(func(s *gateway.Server) { s.Arguments = []gateway.ArgumentRule{rule} })
	}
	limit := func(l gateway.Limit) func(*gateway.Config) {
		return arguments(gateway.ArgumentRule{Limit: map[string]gateway.Limit{"id": l}})
	}
	both := gateway.AccessRule{Allow: &gateway.Grant{Everyone: true}, Deny: &gateway.Grant{Group: "x"}}
	for name, c := range map[string]struct {
		change func(*gateway.Config)
		want   []string
	}{
		"nothing":                {func(*gateway.Config) {}, nil},
		"a good rule":            {rules(allow(gateway.Grant{Group: "x"}), deny(gateway.Grant{Actions: []gateway.Rule{{ID: "pets:*"}}, Unless: &gateway.Exception{Subject: "a/*"}})), nil},
		"neither":                {rules(everyone, gateway.AccessRule{}), []string{"servers.all.rules[1]: rule is empty: it needs allow or deny"}},
		"both":                   {rules(both, everyone), []string{"servers.all.rules[0]: rule has both allow and deny"}},
		"empty":                  {rules(allow(gateway.Grant{})), []string{"servers.all.rules[0].allow: rule is empty"}},
		"empty exception":        {rules(everyone, deny(gateway.Grant{Unless: &gateway.Exception{}})), []string{"servers.all.rules[1].deny.unless: exception is empty, and so the rule would be about nobody"}},
		"everyone in particular": {rules(allow(gateway.Grant{Everyone: true, Group: "x"})), []string{"servers.all.rules[0].allow.everyone: a rule about everyone asks for nobody in particular"}},
		"denies only":            {rules(deny(gateway.Grant{Group: "x"})), []string{"servers.all.rules: no rule allows anything at servers.all, and what no rule allows is denied"}},
		"servers of one server":  {rules(allow(gateway.Grant{Servers: []string{"safe"}})), []string{"servers.all.rules[0].allow.servers: the rules of servers.all are about nothing else"}},
		"bad globs":              {rules(allow(gateway.Grant{Group: "["}), allow(gateway.Grant{Unless: &gateway.Exception{Subject: "{a"}})), []string{`servers.all.rules[0].allow.group: "[" is not a glob`, `servers.all.rules[1].allow.unless.subject: "{a" is not a glob`}},
		"kind":                   {rules(allow(gateway.Grant{Kind: "person"})), []string{`servers.all.rules[0].allow.kind: expected one of user, service, got "person"`}},
		"empty action":           {rules(allow(gateway.Grant{Actions: []gateway.Rule{{}}})), []string{"servers.all.rules[0].allow.actions[0]: rule is empty"}},
		"unknown plugin":         {rules(allow(gateway.Grant{Actions: []gateway.Rule{{Plugin: "cats"}}})), []string{`servers.all.rules[0].allow.actions[0].plugin: unknown plugin "cats"`}},
		"top":                    {top(allow(gateway.Grant{Group: "x"}), deny(gateway.Grant{Group: "y", Servers: []string{"s*"}})), nil},
		"top, about no server":   {top(everyone, deny(gateway.Grant{Servers: []string{"sales"}})), []string{`rules[1].deny.servers[0]: "sales" matches no server`}},
		"top, bad glob":          {top(everyone, deny(gateway.Grant{Servers: []string{"["}})), []string{`rules[1].deny.servers[0]: "[" is not a glob`}},
		"top, actions API":       {top(everyone, deny(gateway.Grant{Servers: []string{"actions-api"}})), nil},
		"top, some servers":      {top(allow(gateway.Grant{Servers: []string{"safe"}})), []string{"rules: no rule allows anything at servers.all, and what no rule allows is denied"}},
		"top and own": {func(c *gateway.Config) {
			c.ActionsAPI.Support = "on"
			top(deny(gateway.Grant{Group: "x"}))(c)
			rules(everyone)(c)
		}, []string{"rules: no rule allows anything at servers.safe, and what no rule allows is denied", "rules: no rule allows anything at actionsAPI, and what no rule allows is denied"}},
		"anonymous": {func(c *gateway.Config) { c.Auth = nil; rules(allow(gateway.Grant{Group: "x"}))(c) }, []string{"servers.all.rules[0].allow: callers of servers.all are anonymous (auth: none), and the rule can be about none of them"}},
		"anonymous exception": {func(c *gateway.Config) {
			c.Auth = nil
			rules(everyone, deny(gateway.Grant{Actions: []gateway.Rule{{ID: "pets:delete-pet"}}, Unless: &gateway.Exception{Group: "x"}}))(c)
		}, []string{"servers.all.rules[1].deny.unless: callers of servers.all are anonymous (auth: none), and the exception can be about none of them"}},
		"anonymous, rules for all": {func(c *gateway.Config) {
			c.Auth = nil
			rules(everyone, deny(gateway.Grant{Actions: []gateway.Rule{{ID: "pets:delete-pet"}}}))(c)
		}, nil},
		"anonymous at the top": {func(c *gateway.Config) { c.Auth = nil; top(allow(gateway.Grant{Group: "x"}))(c) }, []string{"rules[0].allow: callers of servers.all are anonymous (auth: none), and the rule can be about none of them"}},
		"anonymous at one of two": {func(c *gateway.Config) {
			top(allow(gateway.Grant{Subject: "x"}), everyone)(c)
			server(func(s *gateway.Server) { s.Auth = []gateway.Verifier{{Use: "none"}} })(c)
		}, nil},
		"anonymous scopes": {func(c *gateway.Config) { c.Auth = nil; server(func(s *gateway.Server) { s.Scopes.Read = "r" })(c) }, []string{"servers.all.scopes: callers of servers.all are anonymous (auth: none), and have no scopes"}},
		"anonymous binding": {func(c *gateway.Config) {
			c.Auth = nil
			arguments(gateway.ArgumentRule{Bind: map[string]gateway.Scalar{"id": "x{subject}"}})(c)
		}, []string{"servers.all.arguments[0].bind.id: callers are anonymous (auth: none), and have no subject"}},
		"scopes": {server(func(s *gateway.Server) {
			s.Scopes = gateway.Scopes{Read: "a b", Write: `a"b`, Destructive: "none", Names: map[string]string{"x": `\`, "y": "ok"}}
		}), []string{`servers.all.scopes.read: "a b" is not a scope: a scope has no spaces, quotes and backslashes`, `servers.all.scopes.write: "a\"b" is not a scope: a scope has no spaces, quotes and backslashes`, `servers.all.scopes.names.x: "\\" is not a scope: a scope has no spaces, quotes and backslashes`}},
		"challenge":              {func(c *gateway.Config) { c.ActionsAPI.Scopes.Challenge = "all" }, []string{`actionsAPI.scopes.challenge: expected one of needed, union, got "all"`}},
		"negative limits":        {server(func(s *gateway.Server) { s.Limits = gateway.CallLimits{CallsPerMinute: -1, Burst: -1, Concurrent: -1} }), []string{"servers.all.limits.callsPerMinute: cannot be negative", "servers.all.limits.burst: cannot be negative", "servers.all.limits.concurrent: cannot be negative"}},
		"burst of nothing":       {server(func(s *gateway.Server) { s.Limits = gateway.CallLimits{Burst: 3} }), []string{"servers.all.limits.burst: is a part of callsPerMinute, which is not set"}},
		"name of the API":        {func(c *gateway.Config) { c.Servers["actions-api"] = c.Servers["all"] }, []string{`servers.actions-api: server name "actions-api" is that of the actions API in rules and records`}},
		"binds nothing":          {arguments(gateway.ArgumentRule{}), []string{"servers.all.arguments[0]: rule is empty: it needs bind or limit"}},
		"binds no name":          {arguments(gateway.ArgumentRule{Bind: map[string]gateway.Scalar{"id": "{org}"}}), []string{`servers.all.arguments[0].bind.id: "{org}" begins no {name}`}},
		"binds and narrows":      {arguments(gateway.ArgumentRule{Bind: map[string]gateway.Scalar{"id": "x"}, Limit: map[string]gateway.Limit{"id": {MaxLength: 3}}}), []string{`servers.all.arguments[0].bind.id: argument "id" is bound and narrowed`}},
		"empty limit":            {limit(gateway.Limit{}), []string{"servers.all.arguments[0].limit.id: limit is empty"}},
		"limit of no number":     {limit(gateway.Limit{Maximum: "many"}), []string{`servers.all.arguments[0].limit.id.maximum: expected a number, got "many"`}},
		"limit of two types":     {limit(gateway.Limit{Maximum: "1", Pattern: "x"}), []string{"servers.all.arguments[0].limit.id: limits are for different types"}},
		"limit by a bad pattern": {limit(gateway.Limit{Pattern: "(?=x)"}), []string{"servers.all.arguments[0].limit.id.pattern: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"}},
		"negative limit":         {limit(gateway.Limit{MaxLength: -1}), []string{"servers.all.arguments[0].limit.id: cannot be negative"}},
	} {
		cfg := guarded(t)
		c.change(&cfg)
		if got := faultsOf(cfg); !slices.Equal(got, c.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if _, err := gateway.New(t.Context(), cfg, gateway.Offline()); (err == nil) != (len(c.want) == 0) { // and it does not panic
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAccessOfActions: rules about actions that are not there are told of, with
// what was probably meant; what only waits is not.
func TestAccessOfActions(t *testing.T) {
	yes := true
	cfg := guarded(t)
	s := cfg.Servers["all"]
	s.Rules = []gateway.AccessRule{
		allow(gateway.Grant{Actions: []gateway.Rule{{ID: "pets:get-pat"}, {ID: "pets:get-*"}, {ID: "pets:put-*"}, {Tags: []string{"reed"}}}}),
		deny(gateway.Grant{Actions: []gateway.Rule{{ID: "pets:drop-*"}, {ID: "pats:*"}, {ID: "["}, {Attributes: gateway.AttributeRule{OpenWorld: &yes}}}}),
	}
	cfg.Servers["all"] = s
	cfg.Rules = []gateway.AccessRule{deny(gateway.Grant{Actions: []gateway.Rule{{ID: "pets:delete-pat"}}}), allow(gateway.Grant{Everyone: true})}
	_, err := gateway.New(t.Context(), cfg, gateway.Offline())
	if err == nil {
		t.Fatal("there are no faults")
	}
	got := strings.Split(err.Error(), "\n")
	want := []string{
		`rules[0].deny.actions[0]: unknown action "pets:delete-pat" (did you mean "pets:delete-pet"?)`,
		`servers.all.rules[0].allow.actions[0]: unknown action "pets:get-pat" (did you mean "pets:get-pet"?)`,
		`servers.all.rules[0].allow.actions[2]: rule matches no action (stagedoor actions list shows what there is)`,
		`servers.all.rules[0].allow.actions[3]: rule matches no action (stagedoor actions list shows what there is)`,
		`servers.all.rules[1].deny.actions[1]: rule matches no action (stagedoor actions list shows what there is)`,
		`servers.all.rules[1].deny.actions[2]: "[" is not a glob (for example "catalog:*" or "billing:get-*")`,
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
