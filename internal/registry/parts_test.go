package registry

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

// company is a config whose plugins and servers change at random.
type company struct {
	*rand.Rand
	plugins map[string]Plugin
	servers map[string]ServerSpec
	options Options
}

var (
	companyPlugins = []string{"a", "a-b", "b", "c"}
	companyActions = []string{"get-thing", "put-thing", "b_get", "get", "thing"}
	companyRules   = []Rule{
		{ID: "*"}, {ID: "a:*"}, {ID: "{a,b}:get-*"}, {ID: "b:get-thing"}, {ID: "c:thing"}, {Plugin: "c"}, {Plugin: "a-b", Tags: []string{"x"}},
		{Tags: []string{"x"}}, {Attributes: AttributeSet{ReadOnly: new(true)}}, {ID: "*:*thing", Attributes: AttributeSet{Destructive: new(false)}}, {ID: "zzz:*"}, {ID: "["},
	}
)

func pick[T any](c *company, from []T) T { return from[c.IntN(len(from))] }

// some picks n of them at most.
func some[T any](c *company, from []T, n int) (out []T) {
	for range c.IntN(n + 1) {
		out = append(out, pick(c, from))
	}
	return out
}

func (c *company) attributes() (set AttributeSet) {
	for _, into := range []**bool{&set.ReadOnly, &set.Destructive, &set.Idempotent} {
		if c.IntN(3) == 0 {
			*into = new(c.IntN(2) == 0)
		}
	}
	return set
}

// document is what a plugin publishes next: another order, other actions, or
// other words for them.
func (c *company) document() (actions []openapi.Action) {
	names := slices.Clone(companyActions)
	c.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:1+c.IntN(len(names))] {
		a := openapi.Action{
			Name: name, Description: pick(c, []string{"", "Other words."}), Tags: some(c, []string{"x", "y"}, 1),
			Attributes:  openapi.Attributes{ReadOnly: c.IntN(3) > 0, Destructive: c.IntN(2) == 0},
			InputSchema: json.RawMessage(pick(c, []string{`{"type":"object","required":["id"],"properties":{"id":{"type":"string"}}}`, `{"type":"object","properties":{"id":{"type":"integer"}}}`})),
			Location:    openapi.Location{Line: len(actions)},
		}
		switch c.IntN(40) {
		case 0:
			a.Name = names[0] // perhaps twice
		case 1:
			a.InputSchema = json.RawMessage(`{"$ref":"file:///etc/passwd"}`)
		}
		actions = append(actions, a)
	}
	return actions
}

func (c *company) server(name string) ServerSpec {
	s := ServerSpec{
		Name: name, Title: pick(c, []string{"", "T"}), Include: append(some(c, companyRules[:len(companyRules)-1], 3), Rule{Path: "last", ID: "a:*"}), Exclude: some(c, companyRules, 1),
		ToolNames: pick(c, []string{"", "{plugin}.{action}", "{action}"}),
	}
	if c.IntN(20) == 0 {
		s.ToolNames = "{action}!"
	}
	for i := range c.IntN(3) {
		s.Resources = append(s.Resources, ResourceSpec{
			Path: fmt.Sprintf("resources[%d]", i), URITemplate: fmt.Sprintf("x%d://{id}", i), Name: "x",
			Action: pick(c, companyPlugins) + ":" + pick(c, companyActions), Arguments: map[string]string{"id": "{id}"},
		})
	}
	for i := range c.IntN(3) {
		r := ArgumentRule{Path: fmt.Sprintf("arguments[%d]", i), Actions: some(c, companyRules, 2)}
		if c.IntN(2) == 0 {
			r.Bind = map[string]string{pick(c, []string{"id", "id", "other"}): pick(c, []string{"5", "{subject}", "x"})}
		} else {
			r.Limit = map[string]Limit{"id": pick(c, []Limit{{Maximum: "9"}, {MaxLength: 3}, {Enum: []string{"5"}}})}
		}
		s.Arguments = append(s.Arguments, r)
	}
	for i := range c.IntN(3) {
		s.Rules = append(s.Rules, AccessRule{Path: fmt.Sprintf("rules[%d]", i), Deny: c.IntN(2) == 0, Actions: some(c, companyRules, 2)})
	}
	for i, uri := range some(c, []string{"x0://{v}", "x1://1", "stagedoor://actions/b:{v}", "stagedoor://actions/a:get", "{v}"}, 2) {
		text, _ := ParseText(uri)
		s.Prompts = append(s.Prompts, Prompt{Path: fmt.Sprintf("prompts[%d]", i), Name: fmt.Sprint(i), Messages: []PromptMessage{{Resource: &text}}})
	}
	return s
}

// change changes one thing, and gives the plugin that it was about, "" for
// anything else.
func (c *company) change() (plugin string) {
	name := pick(c, companyPlugins)
	p, known := c.plugins[name]
	switch what := c.IntN(12); {
	case what < 6 && known: // the usual case
		p.Actions = c.document()
	case what == 6 && known:
		p.Attributes = []AttributeRule{{Path: "attributes", Actions: pick(c, []string{"*", "get*", "nope"}), Attributes: c.attributes()}}
	case what == 7 && known:
		p.StrictOutput, p.Icons = !p.StrictOutput, []Icon{{Src: fmt.Sprint(c.IntN(3))}}
	case what == 8 && known:
		p.Client = &invoke.Client{}
	case what == 9:
		delete(c.plugins, name)
		return name
	case what > 9 && known:
		server := pick(c, []string{"s", "t", "u"})
		if c.servers[server] = c.server(server); c.IntN(4) == 0 {
			delete(c.servers, server)
		}
		c.options.Absent = some(c, companyPlugins, 1)
		c.options.Gone = some(c, []string{"a:gone", "b:get-thing", "zzz:x"}, 1)
		c.options.MayCome = nil
		if comes := pick(c, companyPlugins); c.IntN(3) == 0 {
			c.options.MayCome = func(plugin string) bool { return plugin == comes }
		}
		return ""
	default:
		p = Plugin{Name: name, Actions: c.document(), Client: &invoke.Client{}}
	}
	c.plugins[name] = p
	return name
}

// shown is all of a snapshot that anybody can see.
func shown(s *Snapshot) any {
	type tool struct{ name, id string }
	type server struct {
		Server
		tools     []tool
		resources []string
	}
	var actions []any
	for _, a := range s.Actions() {
		found, err := s.Action(a.ID)
		_, number := a.decodeArguments(json.RawMessage(`{"id":5}`))
		_, text := a.decodeArguments(json.RawMessage(`{"id":"5"}`))
		actions = append(actions, a.Action, a.ID, a.Plugin, a.StrictOutput, a.Icons, fmt.Sprintf("%p", a.client), found == a, err, fmt.Sprint(number, text))
	}
	var servers []server
	for _, given := range s.Servers() {
		is := server{Server: *given}
		is.Tools, is.Resources = nil, nil
		for _, t := range given.Tools {
			is.tools = append(is.tools, tool{t.Name, t.Action.ID + string(t.Action.InputSchema) + fmt.Sprint(t.Action.Bindings(principal.Principal{}), t.Action.Limited())})
			plain := t.Action
			if plain.ruled != nil {
				plain = plain.ruled.plain
			}
			if found, _ := s.Action(t.Action.ID); found != plain {
				is.tools = append(is.tools, tool{"not the snapshot's", t.Action.ID})
			}
		}
		for _, r := range given.Resources {
			ours := slices.ContainsFunc(given.Tools, func(t Tool) bool { return t.Action == r.Action })
			is.resources = append(is.resources, fmt.Sprint(r.Template, r.Name, string(r.Call(map[string]string{"id": "5"})), r.Action.ID, ours))
		}
		servers = append(servers, is)
	}
	return []any{actions, servers}
}

// build compiles and builds with what was before, and from scratch.
func (c *company) build(last map[string]*Part, previous *Snapshot) (again, fresh *Snapshot, faults, freshFaults []Fault) {
	var parts, freshParts []*Part
	var specs []ServerSpec
	for _, name := range companyPlugins {
		p, ok := c.plugins[name]
		if !ok {
			continue
		}
		freshPart, wrong := Compile(p)
		p.Previous = last[name]
		part, more := Compile(p)
		if faults, freshFaults = append(faults, more...), append(freshFaults, wrong...); part != nil && freshPart != nil {
			last[name] = part
			parts, freshParts = append(parts, part), append(freshParts, freshPart)
		}
	}
	for _, name := range []string{"t", "s", "u"} {
		if spec, ok := c.servers[name]; ok {
			specs = append(specs, spec)
		}
	}
	o := c.options
	fresh, wrong := Build(freshParts, specs, o)
	o.Previous = previous
	again, more := Build(parts, specs, o)
	return again, fresh, append(faults, more...), append(freshFaults, wrong...)
}

// FuzzBuildAgain: whatever changes, one after the other, a snapshot that was
// made from the one before is the same as one made from nothing; the one
// before stays what it was; and a server about which nothing changed stays.
func FuzzBuildAgain(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		c := &company{Rand: rand.New(rand.NewPCG(seed, 0)), plugins: map[string]Plugin{}, servers: map[string]ServerSpec{}}
		for range 4 {
			c.change()
		}
		last := map[string]*Part{}
		var previous *Snapshot
		var before any
		for step := range 40 {
			plugin := c.change()
			s, fresh, faults, freshFaults := c.build(last, previous)
			if !reflect.DeepEqual(faults, freshFaults) {
				t.Fatalf("step %d: faults\n%+v\nfrom scratch\n%+v", step, faults, freshFaults)
			}
			if (s == nil) != (fresh == nil) || (s == nil) != slices.ContainsFunc(faults, func(f Fault) bool { return !f.Soft && !strings.HasPrefix(f.Path, "plugins.") }) {
				t.Fatalf("step %d: snapshots %v and %v with faults %+v", step, s, fresh, faults)
			}
			if s == nil {
				continue
			}
			now := shown(s)
			if want := shown(fresh); !reflect.DeepEqual(now, want) {
				t.Fatalf("step %d: got\n%+v\nfrom scratch\n%+v", step, now, want)
			}
			if previous != nil && !reflect.DeepEqual(shown(previous), before) {
				t.Fatalf("step %d: the snapshot before was changed", step)
			}
			c.unmoved(t, plugin, previous, s)
			previous, before = s, now
		}
	})
}

// unmoved holds servers of the same rules that show nothing of the plugin which
// changed to be the very same.
func (c *company) unmoved(t *testing.T, plugin string, previous, s *Snapshot) {
	t.Helper()
	if previous == nil {
		return
	}
	for _, is := range s.servers {
		was := previous.resolved[is.Name]
		if was == nil || !reflect.DeepEqual(was.spec, s.resolved[is.Name].spec) {
			continue
		}
		same := slices.Equal(was.server.Tools, is.Tools) // the same actions, that is
		if touched := func(t Tool) bool { return t.Action.Plugin == plugin }; same && was.server != is &&
			!slices.ContainsFunc(is.Tools, touched) && len(was.server.Resources) == len(is.Resources) {
			t.Errorf("server %s was made again for nothing", is.Name)
		}
	}
}
