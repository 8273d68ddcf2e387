package registry

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

// TestSoftFaults: what is about actions that are not there is no reason to be
// without a snapshot; about what was there earlier it is told so; about what may
// come nothing is said.
func TestSoftFaults(t *testing.T) {
	const soft, gone, hard, none = "soft", "gone", "hard", ""
	document, _ := ParseText("stagedoor://actions/b:{x}")
	one, _ := ParseText("stagedoor://actions/a:was")
	include := func(r Rule) func(*ServerSpec, *Plugin) {
		return func(s *ServerSpec, _ *Plugin) { r.Path = "x"; s.Include = append(s.Include, r) }
	}
	for name, tt := range map[string]struct {
		change func(*ServerSpec, *Plugin)
		o      Options
		want   string
		hint   string
	}{
		"nothing":             {func(*ServerSpec, *Plugin) {}, Options{}, none, ""},
		"id":                  {include(Rule{ID: "a:get-thign"}), Options{}, soft, `did you mean "a:get-thing"?`},
		"id was there":        {include(Rule{ID: "a:was"}), Options{Gone: []string{"a:was"}}, gone, "earlier document"},
		"another was there":   {include(Rule{ID: "a:wsa"}), Options{Gone: []string{"a:was"}}, soft, ""},
		"glob":                {include(Rule{ID: "a:w*"}), Options{}, soft, "actions list"},
		"glob was there":      {include(Rule{ID: "a:w*"}), Options{Gone: []string{"a:was"}}, gone, "earlier document"},
		"plugin was there":    {include(Rule{Plugin: "a", Tags: []string{"zzz"}}), Options{Gone: []string{"a:was"}}, gone, ""},
		"plugin begins alike": {include(Rule{Plugin: "a", Tags: []string{"zzz"}}), Options{Gone: []string{"ab:was"}}, soft, ""},
		"tag":                 {include(Rule{Tags: []string{"zzz"}}), Options{}, soft, ""},
		"tag may come":        {include(Rule{Tags: []string{"zzz"}}), Options{MayCome: func(string) bool { return false }}, none, ""},
		"plugin may come":     {include(Rule{ID: "b:*"}), Options{MayCome: func(p string) bool { return p == "b" }}, none, ""},
		"another may come":    {include(Rule{ID: "b:*"}), Options{MayCome: func(p string) bool { return p == "c" }}, soft, ""},
		"it came":             {include(Rule{ID: "a:zzz"}), Options{MayCome: func(string) bool { return true }}, soft, ""},
		"absent":              {include(Rule{ID: "b:zzz"}), Options{Absent: []string{"b"}}, none, ""},
		"no glob":             {include(Rule{ID: "a:["}), Options{Gone: []string{"a:["}}, hard, ""},
		"exclude":             {func(s *ServerSpec, _ *Plugin) { s.Exclude = []Rule{{Path: "x", ID: "a:was"}} }, Options{Gone: []string{"a:was"}}, gone, ""},
		"exclude by glob":     {func(s *ServerSpec, _ *Plugin) { s.Exclude = []Rule{{Path: "x", ID: "a:w*"}} }, Options{}, none, ""},
		"attributes":          {func(_ *ServerSpec, p *Plugin) { p.Attributes = []AttributeRule{{Path: "x", Actions: "was"}} }, Options{}, soft, ""},
		"attributes of what was there": {func(_ *ServerSpec, p *Plugin) { p.Attributes = []AttributeRule{{Path: "x", Actions: "w*"}} },
			Options{Gone: []string{"a:was"}}, gone, ""},
		"attributes of another's": {func(_ *ServerSpec, p *Plugin) { p.Attributes = []AttributeRule{{Path: "x", Actions: "w*"}} },
			Options{Gone: []string{"b:was"}}, soft, ""},
		"resource":           {func(s *ServerSpec, _ *Plugin) { s.Resources = []ResourceSpec{{Path: "x", URI: "y:1", Action: "a:was"}} }, Options{}, soft, ""},
		"resource was there": {func(s *ServerSpec, _ *Plugin) { s.Resources = []ResourceSpec{{Path: "x", URI: "y:1", Action: "a:was"}} }, Options{Gone: []string{"a:was"}}, gone, ""},
		"resource, not read": {func(s *ServerSpec, _ *Plugin) {
			s.Resources = []ResourceSpec{{Path: "x", URI: "y:1", Action: "a:put-thing"}}
		}, Options{}, hard, ""},
		"prompt":           {prompts(document), Options{}, soft, ""},
		"prompt was there": {prompts(document), Options{Gone: []string{"b:was"}}, gone, ""},
		"prompt may come":  {prompts(document), Options{MayCome: func(p string) bool { return p == "b" }}, none, ""},
		"prompt of a":      {prompts(one), Options{Absent: []string{"b"}}, soft, ""},
		"tool name":        {func(s *ServerSpec, _ *Plugin) { s.ToolNames = "{action}!" }, Options{}, hard, ""},
	} {
		p, spec := plugin(t, "a", nil), ServerSpec{Name: "s", Include: []Rule{{ID: "a:*"}}}
		tt.change(&spec, &p)
		s, faults := snapshot([]Plugin{p}, []ServerSpec{spec}, tt.o)
		got := none
		for _, f := range faults {
			switch {
			case f.Gone && f.Soft:
				got = gone
			case f.Soft:
				got = soft
			default:
				got = hard
			}
			if !strings.Contains(f.Hint, tt.hint) {
				t.Errorf("%s: hint %q", name, f.Hint)
			}
		}
		if got != tt.want || (s == nil) != (tt.want == hard) || tt.want != none && tt.want != hard && (len(faults) != 1 || !strings.HasPrefix(faults[0].Path, "x")) {
			t.Errorf("%s: got %q, %+v", name, got, faults)
		}
	}
}

func prompts(resource Text) func(*ServerSpec, *Plugin) {
	return func(s *ServerSpec, _ *Plugin) {
		s.Prompts = []Prompt{{Path: "x", Name: "p", Messages: []PromptMessage{{Resource: &resource}}}}
	}
}

// TestFaultsNameTheirPlugins: whoever brought a fault about is named, so that
// only its new document has to be refused.
func TestFaultsNameTheirPlugins(t *testing.T) {
	for name, tt := range map[string]struct {
		spec ServerSpec
		want string
	}{
		"collision":     {ServerSpec{Include: []Rule{{ID: "{a,b}:get-*"}}, ToolNames: "{action}"}, "a b"},
		"of one plugin": {ServerSpec{Include: []Rule{{ID: "a:*"}}, ToolNames: "{plugin}"}, "a a"}, // twice the one
		"tool name":     {ServerSpec{Include: []Rule{{ID: "b:get-*"}}, ToolNames: "{action}!"}, "b"},
		"resource": {ServerSpec{Include: []Rule{{ID: "*"}}, Resources: []ResourceSpec{
			{Action: "b:get-thing", URI: "x:1", Arguments: map[string]string{"nope": "1"}},
		}}, "b"},
		"rule": {ServerSpec{Include: []Rule{{ID: "c:*"}}}, ""},
	} {
		tt.spec.Name = "s"
		_, faults := snapshot([]Plugin{plugin(t, "a", nil), plugin(t, "b", nil)}, []ServerSpec{tt.spec}, Options{})
		var got []string
		for _, f := range faults {
			got = append(got, f.Plugins...)
		}
		if strings.Join(got, " ") != tt.want || len(faults) == 0 {
			t.Errorf("%s: got %+v", name, faults)
		}
	}
	p := plugin(t, "a", nil)
	p.Actions[0].InputSchema = json.RawMessage(`{"type":5}`)
	p.Actions[1].Name = p.Actions[2].Name
	part, faults := Compile(p)
	if part != nil || len(faults) != 2 || !slices.Equal(faults[0].Plugins, []string{"a"}) || !slices.Equal(faults[1].Plugins, []string{"a"}) {
		t.Errorf("got %+v", faults)
	}
	one, _ := Compile(plugin(t, "a", nil))
	if s, faults := Build([]*Part{one, one}, nil, Options{}); s != nil || len(faults) != 1 || faults[0].Soft {
		t.Errorf("a part given twice: %+v", faults)
	}
}

// TestCompileTakesOver: what did not change keeps its schemas, and the actions
// that are the same keep who they are.
func TestCompileTakesOver(t *testing.T) {
	p := plugin(t, "a", nil)
	first, faults := Compile(p)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for name, tt := range map[string]struct {
		change        func(*Plugin)
		part, actions bool
		schemas       int // of how many actions the compiled one stays
	}{
		"nothing":    {func(*Plugin) {}, true, true, 3},
		"read again": {func(p *Plugin) { p.Actions = slices.Clone(p.Actions) }, false, true, 3},
		"client":     {func(p *Plugin) { p.Client = &invoke.Client{} }, false, false, 3},
		"strict":     {func(p *Plugin) { p.StrictOutput = true }, false, false, 3},
		"icons":      {func(p *Plugin) { p.Icons = []Icon{{Src: "x"}} }, false, false, 3},
		"attributes": {func(p *Plugin) {
			p.Attributes = []AttributeRule{{Actions: "*", Attributes: AttributeSet{OpenWorld: new(false)}}}
		}, false, false, 3},
		"schema": {func(p *Plugin) {
			p.Actions = slices.Clone(p.Actions)
			p.Actions[0].InputSchema = json.RawMessage(`{"type":"object"}`)
		}, false, false, 2},
	} {
		next := p
		next.Previous = first
		tt.change(&next)
		part, faults := Compile(next)
		if len(faults) > 0 {
			t.Fatal(name, faults)
		}
		schemas, same := 0, slices.Equal(part.actions, first.actions)
		for _, a := range part.actions {
			if a.arguments == first.action(a.Name).arguments {
				schemas++
			}
		}
		if (part == first) != tt.part || same != tt.actions || schemas != tt.schemas || part.plugin.Previous != nil {
			t.Errorf("%s: the same part %v, the same actions %v, %d schemas", name, part == first, same, schemas)
		}
	}
}
