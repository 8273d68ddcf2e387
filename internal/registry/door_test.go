package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

var ada = principal.Principal{
	Kind: principal.User, Subject: "user:default/ada", Issuer: "https://idp", Client: "cli",
	Groups: []string{"group:default/platform", "eng"}, Scopes: []string{"mcp:write"},
	Claims: map[string]any{
		"org": "acme", "level": json.Number("3"), "staff": true, "roles": []any{"dev", json.Number("7"), false},
		"realm": map[string]any{"roles": []any{"ops"}}, "https://x.example/org": "url", "nothing": nil, "a.b": "whole",
	},
}

func action(id string, attributes openapi.Attributes, scopes ...string) *Action {
	return &Action{ID: id, Plugin: id[:1], Action: openapi.Action{Name: id[2:], Attributes: attributes, Scopes: scopes, Tags: []string{"x"}}}
}

var (
	reads    = action("a:get", openapi.Attributes{ReadOnly: true})
	destroys = action("a:drop", openapi.Attributes{Destructive: true})
)

func TestWho(t *testing.T) {
	anybody := principal.Principal{}
	for name, c := range map[string]struct {
		who  Who
		p    principal.Principal
		want bool
	}{
		"everybody":                {Who{}, ada, true},
		"everybody, anonymous":     {Who{}, anybody, true},
		"subject":                  {Who{Subject: "user:default/ada"}, ada, true},
		"subject, only a part":     {Who{Subject: "user:default/ad"}, ada, false},
		"subject, other case":      {Who{Subject: "user:default/Ada"}, ada, false},
		"glob":                     {Who{Subject: "user:default/*"}, ada, true},
		"glob over a slash":        {Who{Subject: "*"}, ada, true},
		"glob over a slash inside": {Who{Subject: "user:*da"}, ada, true},
		"glob of alternatives":     {Who{Subject: "user:{default,x}/{ada,bob}"}, ada, true},
		"glob of one character":    {Who{Subject: "user:default?ada"}, ada, true},
		"escaped glob":             {Who{Subject: `user:default/\*`}, ada, false},
		"no glob at all":           {Who{Subject: "["}, ada, false},
		"anonymous has no subject": {Who{Subject: "*"}, anybody, false},
		"group":                    {Who{Group: "eng"}, ada, true},
		"group glob":               {Who{Group: "group:*/platform"}, ada, true},
		"another group":            {Who{Group: "ops"}, ada, false},
		"group, anonymous":         {Who{Group: "*"}, anybody, false},
		"client":                   {Who{Client: "cli"}, ada, true},
		"another client":           {Who{Client: "*"}, ada, false},
		"issuer":                   {Who{Issuer: "https://idp"}, ada, true},
		"issuer with a slash":      {Who{Issuer: "https://idp/"}, ada, false},
		"kind":                     {Who{Kind: principal.User}, ada, true},
		"another kind":             {Who{Kind: principal.Service}, ada, false},
		"all of it":                {Who{Group: "eng", Client: "other"}, ada, false},
		"claim":                    {Who{Claims: map[string]string{"org": "acme"}}, ada, true},
		"claim, another value":     {Who{Claims: map[string]string{"org": "acm"}}, ada, false},
		"claim, number":            {Who{Claims: map[string]string{"level": "3"}}, ada, true},
		"claim, boolean":           {Who{Claims: map[string]string{"staff": "true"}}, ada, true},
		"claim, in a list":         {Who{Claims: map[string]string{"roles": "7"}}, ada, true},
		"claim, false in a list":   {Who{Claims: map[string]string{"roles": "false"}}, ada, true},
		"claim, list as a whole":   {Who{Claims: map[string]string{"roles": "dev,7"}}, ada, false},
		"claim, path":              {Who{Claims: map[string]string{"realm.roles": "ops"}}, ada, true},
		"claim, object":            {Who{Claims: map[string]string{"realm": "map[roles:[ops]]"}}, ada, false},
		"claim, name of a URL":     {Who{Claims: map[string]string{"https://x.example/org": "url"}}, ada, true},
		"claim, whole name":        {Who{Claims: map[string]string{"a.b": "whole"}}, ada, true},
		"claim, null":              {Who{Claims: map[string]string{"nothing": ""}}, ada, false},
		"claim, absent":            {Who{Claims: map[string]string{"absent": ""}}, ada, false},
		"claims, one of two":       {Who{Claims: map[string]string{"org": "acme", "level": "4"}}, ada, false},
		"claim, anonymous":         {Who{Claims: map[string]string{"org": ""}}, anybody, false},
	} {
		if got := c.who.Is(&c.p); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestDecide(t *testing.T) {
	allow := func(path string, w Who, actions ...Rule) AccessRule {
		return AccessRule{Path: path, Who: w, Actions: actions}
	}
	deny := func(path string, w Who, actions ...Rule) AccessRule {
		return AccessRule{Path: path, Deny: true, Who: w, Actions: actions}
	}
	except := func(r AccessRule, w Who) AccessRule { r.Unless = &w; return r }
	dangerous := Rule{Attributes: AttributeSet{Destructive: new(true)}}
	for name, c := range map[string]struct {
		door    Door
		p       principal.Principal
		a       *Action
		allowed bool
		rule    string
	}{
		"no rules":                       {Door{}, ada, destroys, true, ""},
		"no rules, anonymous":            {Door{}, principal.Principal{}, destroys, true, ""},
		"rules about other doors":        {Door{Ruled: true}, ada, reads, false, ""},
		"allowed":                        {Door{Rules: []AccessRule{allow("0", Who{Group: "eng"})}}, ada, reads, true, "0"},
		"denied by default":              {Door{Rules: []AccessRule{allow("0", Who{Group: "ops"})}}, ada, reads, false, ""},
		"deny alone":                     {Door{Rules: []AccessRule{deny("0", Who{Group: "ops"})}}, ada, reads, false, ""},
		"deny after allow":               {Door{Rules: []AccessRule{allow("0", Who{}), deny("1", Who{}, dangerous)}}, ada, destroys, false, "1"},
		"deny before allow":              {Door{Rules: []AccessRule{deny("0", Who{}, dangerous), allow("1", Who{})}}, ada, destroys, false, "0"},
		"deny of other actions":          {Door{Rules: []AccessRule{deny("0", Who{}, dangerous), allow("1", Who{})}}, ada, reads, true, "1"},
		"first that allows":              {Door{Rules: []AccessRule{allow("0", Who{Group: "ops"}), allow("1", Who{}), allow("2", Who{})}}, ada, reads, true, "1"},
		"unless":                         {Door{Rules: []AccessRule{allow("0", Who{}), except(deny("1", Who{}, dangerous), Who{Group: "eng"})}}, ada, destroys, true, "0"},
		"unless somebody else":           {Door{Rules: []AccessRule{allow("0", Who{}), except(deny("1", Who{}), Who{Group: "ops"})}}, ada, reads, false, "1"},
		"unless needs all that it says":  {Door{Rules: []AccessRule{allow("0", Who{}), except(deny("1", Who{}), Who{Group: "eng", Client: "other"})}}, ada, reads, false, "1"},
		"allow unless":                   {Door{Rules: []AccessRule{except(allow("0", Who{}), Who{Subject: "user:default/ada"})}}, ada, reads, false, ""},
		"unless, anonymous":              {Door{Rules: []AccessRule{allow("0", Who{}), except(deny("1", Who{}), Who{Subject: "*"})}}, principal.Principal{}, reads, false, "1"},
		"one of the actions":             {Door{Rules: []AccessRule{allow("0", Who{}, Rule{ID: "b:*"}, Rule{ID: "a:get"})}}, ada, reads, true, "0"},
		"another action":                 {Door{Rules: []AccessRule{allow("0", Who{}, Rule{ID: "a:get"})}}, ada, destroys, false, ""},
		"an action whose name goes on":   {Door{Rules: []AccessRule{allow("0", Who{}, Rule{ID: "a:ge"})}}, ada, reads, false, ""},
		"action glob":                    {Door{Rules: []AccessRule{allow("0", Who{}, Rule{ID: "*:g?t"})}}, ada, reads, true, "0"},
		"action by plugin and tag":       {Door{Rules: []AccessRule{allow("0", Who{}, Rule{Plugin: "a", Tags: []string{"x"}})}}, ada, reads, true, "0"},
		"everyone, anonymous":            {Door{Rules: []AccessRule{allow("0", Who{})}}, principal.Principal{}, reads, true, "0"},
		"the actions API has rules, too": {Door{Name: ActionsAPI, Rules: []AccessRule{allow("0", Who{Kind: principal.Service})}}, ada, reads, false, ""},
	} {
		got := c.door.Decide(c.p, c.a)
		if got.Allowed != c.allowed || got.Rule != c.rule {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestScopes(t *testing.T) {
	ladder := Scopes{Read: "mcp:read", Write: "mcp:write", Destructive: "mcp:destructive", Names: map[string]string{"billing.write": "api://x/Billing", "free": ""}}
	writes := action("a:put", openapi.Attributes{}, "billing.write", "billing.write", "free", "other")
	for name, c := range map[string]struct {
		scopes          Scopes
		has             []string
		a               *Action
		needed, missing []string
	}{
		"reads":                     {ladder, []string{"mcp:read"}, reads, []string{"mcp:read"}, nil},
		"who writes reads":          {ladder, []string{"mcp:write"}, reads, []string{"mcp:read"}, nil},
		"who destroys reads":        {ladder, []string{"mcp:destructive"}, reads, []string{"mcp:read"}, nil},
		"who writes destroys not":   {ladder, []string{"mcp:write"}, destroys, []string{"mcp:destructive"}, []string{"mcp:destructive"}},
		"no scopes":                 {ladder, nil, reads, []string{"mcp:read"}, []string{"mcp:read"}},
		"like a scope":              {ladder, []string{"mcp:read:x", "MCP:READ", ""}, reads, []string{"mcp:read"}, []string{"mcp:read"}},
		"of the action, renamed":    {ladder, []string{"mcp:write", "billing.write"}, writes, []string{"mcp:write", "api://x/Billing", "other"}, []string{"api://x/Billing", "other"}},
		"all of the action's":       {ladder, []string{"mcp:destructive", "api://x/Billing", "other"}, writes, []string{"mcp:write", "api://x/Billing", "other"}, nil},
		"nothing is needed":         {Scopes{}, nil, reads, nil, nil},
		"none for reading":          {Scopes{Write: "w"}, nil, reads, nil, nil},
		"one for all":               {Scopes{Read: "x", Write: "x", Destructive: "x"}, []string{"x"}, destroys, []string{"x"}, nil},
		"none on top is no scope":   {Scopes{Read: "r"}, []string{""}, reads, []string{"r"}, []string{"r"}},
		"an action's own is a rung": {ladder, []string{"mcp:write"}, action("a:x", openapi.Attributes{ReadOnly: true}, "mcp:write"), []string{"mcp:read", "mcp:write"}, nil},
	} {
		p := principal.Principal{Kind: principal.User, Scopes: c.has}
		d := Door{Scopes: c.scopes}
		got := d.Decide(p, c.a)
		if !slices.Equal(got.Needed, c.needed) || !slices.Equal(got.Missing, c.missing) || !slices.Equal(d.Missing(p, c.a), c.missing) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if d := (Door{Scopes: ladder}); d.Decide(principal.Principal{}, reads).Missing != nil {
		t.Error("who has no token lacks scopes")
	}
}

// lottery draws principals, rules and actions.
type lottery struct{ *rand.Rand }

func one[T any](l lottery, from ...T) T { return from[l.IntN(len(from))] }

func (l lottery) who() (w Who) {
	switch l.IntN(6) {
	case 0:
		w.Subject = one(l, "ada", "a*", "*", "b/{x,y}", "[", "*/x")
	case 1:
		w.Group = one(l, "g", "g/*", "*", "h?")
	case 2:
		w.Claims = map[string]string{one(l, "org", "roles", "deep.org", "n"): one(l, "x", "y", "1", "true")}
	case 3:
		w.Kind, w.Client = one(l, principal.User, principal.Service, ""), one(l, "", "c")
	case 4:
		w.Issuer = one(l, "i", "j")
	}
	return w
}

func (l lottery) rules() (rules []AccessRule) {
	for i := range l.IntN(6) {
		r := AccessRule{Path: fmt.Sprintf("rules[%d]", i), Deny: l.IntN(3) == 0, Who: l.who()}
		for range l.IntN(3) {
			r.Actions = append(r.Actions, Rule{
				ID: one(l, "", "a:*", "*", "a:get", "b:d*p", "["), Plugin: one(l, "", "", "a"),
				Attributes: AttributeSet{Destructive: one(l, nil, nil, new(true), new(false))},
			})
		}
		if l.IntN(3) == 0 {
			r.Unless = new(l.who())
		}
		rules = append(rules, r)
	}
	return rules
}

func (l lottery) principal() principal.Principal {
	if l.IntN(8) == 0 {
		return principal.Principal{}
	}
	return principal.Principal{
		Kind: one(l, principal.User, principal.Service), Subject: one(l, "ada", "b/x", "z"), Issuer: one(l, "i", "j"), Client: one(l, "", "c"),
		Groups: one(l, nil, []string{"g"}, []string{"g/x", "h1"}), Scopes: one(l, nil, []string{"r"}, []string{"d"}),
		Claims: map[string]any{
			"org": one[any](l, "x", true, nil), "roles": []any{one[any](l, "x", json.Number("1")), "y"}, "deep": map[string]any{"org": "y"}, "n": json.Number("1"),
		},
	}
}

// FuzzSameDecision: what is listed, decided and called is the same, by whatever
// rules; their order changes nothing of it; a rule that denies takes away only,
// one that allows gives only.
func FuzzSameDecision(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	schema, err := compile(json.RawMessage(`{"type":"object"}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		l := lottery{rand.New(rand.NewPCG(seed, 0))}
		door := &Door{Name: "s", Rules: l.rules(), Ruled: l.IntN(5) == 0, Scopes: Scopes{Read: "r", Destructive: "d"}}
		shuffled := &Door{Name: "s", Rules: slices.Clone(door.Rules), Ruled: door.Ruled, Scopes: door.Scopes}
		l.Shuffle(len(door.Rules), func(i, j int) {
			shuffled.Rules[i], shuffled.Rules[j] = shuffled.Rules[j], shuffled.Rules[i]
		})
		for range 20 {
			p := l.principal()
			a := action(one(l, "a:get", "a:drop", "b:drop"), openapi.Attributes{Destructive: l.IntN(2) == 0, ReadOnly: l.IntN(2) == 0})
			a.arguments = schema
			made := door.Decide(p, a)
			sees := door.Sees(p)
			if listed := sees == nil || sees(a); listed != made.Allowed || door.Visible(p, a) != made.Allowed || (sees == nil) == door.Restricts() {
				t.Fatalf("%+v %s: listed %v, decided %+v", p, a.ID, listed, made)
			}
			_, err := (&Call{Principal: p, Door: door, Action: a}).admit()
			if admitted := made.Allowed && len(made.Missing) == 0; (err == nil) != admitted {
				t.Fatalf("%+v %s: decided %+v, called %v", p, a.ID, made, err)
			}
			if e := (*invoke.Error)(nil); err != nil && (!errors.As(err, &e) || e.Kind != invoke.Denied) {
				t.Fatalf("got %v", err)
			}
			if again := shuffled.Decide(p, a); again.Allowed != made.Allowed || !reflect.DeepEqual(again.Missing, made.Missing) {
				t.Fatalf("in another order %+v, not %+v", again, made)
			}
			if made.Allowed && door.Restricts() && (made.Rule == "" || slices.ContainsFunc(door.Rules, func(r AccessRule) bool { return r.Path == made.Rule && r.Deny })) {
				t.Fatalf("allowed by %q", made.Rule)
			}
			l.monotone(t, door, p, a, made.Allowed)
		}
	})
}

// monotone adds a rule to those of a door.
func (l lottery) monotone(t *testing.T, door *Door, p principal.Principal, a *Action, allowed bool) {
	t.Helper()
	more := l.rules()
	if len(more) == 0 || len(door.Rules) == 0 { // the first rule of all takes away
		return
	}
	now := (&Door{Rules: append(slices.Clone(door.Rules), more[0])}).Decide(p, a).Allowed
	if more[0].Deny && now && !allowed || !more[0].Deny && !now && allowed {
		t.Fatalf("%+v changes %v to %v", more[0], allowed, now)
	}
}

// TestSeesIsFast: a list of a thousand tools by ten rules takes well under a
// millisecond.
func TestSeesIsFast(t *testing.T) {
	door := &Door{Name: "s"}
	for i := range 10 {
		door.Rules = append(door.Rules, AccessRule{
			Path: fmt.Sprint(i), Who: Who{Subject: "user:*/ada", Claims: map[string]string{"realm.roles": "ops"}}, Deny: i%2 == 0,
			Actions: []Rule{{ID: fmt.Sprintf("plugin-%d:*", i), Attributes: AttributeSet{ReadOnly: new(false)}}, {ID: "*:never-*-there"}},
		})
	}
	var actions []*Action
	for i := range 1000 {
		actions = append(actions, action(fmt.Sprintf("plugin-%d:get-something-%d", i%100, i), openapi.Attributes{ReadOnly: true}))
	}
	best := time.Hour
	for range 50 {
		begin := time.Now()
		sees := door.Sees(ada)
		for _, a := range actions {
			sees(a)
		}
		best = min(best, time.Since(begin))
	}
	t.Logf("%v for 1000 tools and 10 rules", best)
	if bar := time.Millisecond; best > bar && !racing {
		t.Errorf("it takes %v, more than %v", best, bar)
	}
}

// FuzzGlob: what is quick to match is matched as the library does.
func FuzzGlob(f *testing.F) {
	for _, c := range [][2]string{{"*", ""}, {"a*", "ab"}, {"*a", "aa"}, {"a*b*c", "abbc"}, {"a*a", "a"}, {"", ""}, {"a:get-*", "a:get-x"}, {"*é*", "aéb"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.Contains(pattern, "**") || strings.ContainsAny(pattern, `?[{\/`) || strings.Contains(name, "/") || !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return
		}
		want, err := doublestar.Match(pattern, name)
		if got := glob(pattern, name); err == nil && got != want {
			t.Errorf("%q %q: got %v", pattern, name, got)
		}
	})
}
