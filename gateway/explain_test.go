package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

func TestExplain(t *testing.T) {
	yes := true
	cfg := guarded(t)
	cfg.Servers = map[string]gateway.Server{"all": cfg.Servers["all"]}
	cfg.Rules = []gateway.AccessRule{
		allow(gateway.Grant{Group: "team/*"}),
		deny(gateway.Grant{Actions: []gateway.Rule{{Attributes: gateway.AttributeRule{Destructive: &yes}}}, Unless: &gateway.Exception{Group: "team/admins"}}),
	}
	cfg.ActionsAPI.Support = "on"
	s := cfg.Servers["all"]
	s.Limits.CallsPerMinute = 60
	s.Arguments = []gateway.ArgumentRule{{
		Actions: []gateway.Rule{{ID: "pets:delete-pet"}}, Limit: map[string]gateway.Limit{"id": {MaxLength: 3}},
	}, {Actions: []gateway.Rule{{ID: "pets:get-pet"}}, Bind: map[string]gateway.Scalar{"id": "{claims.pet.id}"}}}
	cfg.Servers["all"] = s
	g, err := gateway.New(t.Context(), cfg, gateway.Offline())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	member := gateway.Who{Subject: "ada", Groups: []string{"team/x"}, Scopes: []string{"mcp:read"}, Claims: map[string][]string{"pet.id": {"7"}}}
	admin := gateway.Who{Subject: "bob", Groups: []string{"team/admins"}, Scopes: []string{"mcp:write"}}
	for name, c := range map[string]struct {
		who          gateway.Who
		server, tool string
		allowed      bool
		want         string
	}{
		"allowed":        {member, "all", "pets_get-pet", true, `{"tool":"pets_get-pet","action":"pets:get-pet","visible":true,"rule":"rules[0]","scopesNeeded":["mcp:read"],"scopesMissing":[],"bound":[{"argument":"id","from":"{claims.pet.id}","value":"7"}],"limited":[]}`},
		"no claim":       {admin, "all", "pets:get-pet", false, `{"tool":"pets_get-pet","action":"pets:get-pet","visible":true,"rule":"rules[0]","scopesNeeded":["mcp:read"],"scopesMissing":[],"bound":[{"argument":"id","from":"{claims.pet.id}","refusal":"claim \"pet.id\" of your token is missing, which this action takes"}],"limited":[]}`},
		"denied":         {member, "all", "pets_delete-pet", false, `{"tool":"pets_delete-pet","action":"pets:delete-pet","visible":false,"rule":"rules[1]","scopesNeeded":["mcp:destructive"],"scopesMissing":["mcp:destructive"],"bound":[],"limited":[{"argument":"id","schema":{"type":"string","maxLength":3}}]}`},
		"scopes missing": {admin, "all", "pets_delete-pet", false, `{"tool":"pets_delete-pet","action":"pets:delete-pet","visible":true,"rule":"rules[0]","scopesNeeded":["mcp:destructive"],"scopesMissing":["mcp:destructive"],"bound":[],"limited":[{"argument":"id","schema":{"type":"string","maxLength":3}}]}`},
		"no rule":        {gateway.Who{}, "all", "pets_get-pet", false, `{"tool":"pets_get-pet","action":"pets:get-pet","visible":false,"scopesNeeded":[],"scopesMissing":[],"bound":[{"argument":"id","from":"{claims.pet.id}","refusal":"claim \"pet.id\" of your token is missing, which this action takes"}],"limited":[]}`},
		"actions API":    {member, "actions-api", "pets:get-pet", false, `{"tool":"pets:get-pet","action":"pets:get-pet","visible":true,"rule":"rules[0]","scopesNeeded":["actions:read"],"scopesMissing":["actions:read"],"bound":[],"limited":[]}`},
	} {
		access, err := g.Explain(c.who, c.server, c.tool)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, _ := json.Marshal(access.Tools[0])
		if string(got) != c.want || access.Tools[0].Allowed() != c.allowed || len(access.Tools) != 1 {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
	if access, err := g.Explain(member, "all", ""); err != nil || len(access.Tools) != 2 || access.Rules != 2 || access.Limits.CallsPerMinute != 60 || access.Anonymous {
		t.Errorf("got %+v, %v", access, err)
	}
	for _, c := range [][3]string{
		{"al", "", `unknown server "al" (did you mean "all"?)`}, {"actions-ap", "", `did you mean "actions-api"?`}, {"all", "pets_get-pat", `all has no tool "pets_get-pat" (did you mean "pets_get-pet"?)`},
	} {
		if _, err := g.Explain(member, c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s %s: %v", c[0], c[1], err)
		}
	}
}

// TestExplainAnonymous: where nobody is asked, it does not matter who calls.
func TestExplainAnonymous(t *testing.T) {
	cfg := petConfig(t, "")
	s := cfg.Servers["all"]
	s.Rules = []gateway.AccessRule{deny(gateway.Grant{Actions: []gateway.Rule{{ID: "pets:delete-pet"}}}), allow(gateway.Grant{Everyone: true})}
	cfg.Servers["all"] = s
	g, err := gateway.New(t.Context(), cfg, gateway.Offline())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	access, err := g.Explain(gateway.Who{Subject: "ada"}, "all", "")
	if err != nil || !access.Anonymous || access.Tools[0].Allowed() || !access.Tools[1].Allowed() || len(access.Tools[1].Missing) > 0 {
		t.Errorf("got %+v, %v", access, err)
	}
}
