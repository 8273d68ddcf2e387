package mcpserver

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/registry"
)

// asker sends requests of one era as one user, past HTTP's details.
type asker struct {
	t       testing.TB
	h       http.Handler
	path    string
	era     era
	user    string
	session string
}

func newAsker(t testing.TB, h http.Handler, path string, e era, user string) *asker {
	a := &asker{t: t, h: h, path: path, era: e, user: user}
	if e == legacy {
		a.session = startSession(t, h, path, "2025-11-25", user)
	}
	return a
}

// ask gives the answer to a request; params are JSON members.
func (a *asker) ask(method, params string) answer {
	a.t.Helper()
	hs := headers{"X-User": a.user}
	if a.era == legacy {
		hs["Mcp-Session-Id"] = a.session
	} else {
		hs["Mcp-Protocol-Version"], hs["Mcp-Method"] = "2026-07-28", method
		var p struct{ Name, URI string }
		if json.Unmarshal([]byte("{"+params+"}"), &p) == nil && method != "completion/complete" && p.Name+p.URI != "" {
			hs["Mcp-Name"] = p.Name + p.URI
		}
		params = strings.TrimPrefix(params+","+modernMeta, ",")
	}
	w := serve(a.h, "POST", a.path, hs, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+`}}`)
	return decode(a.t, w.Body)
}

// all walks the pages of a list and gives the names on each.
func (a *asker) all(method, member, name string) (pages [][]string) {
	a.t.Helper()
	cursor := ""
	for range 1000 {
		got := a.ask(method, cursor)
		if got.Error != nil {
			a.t.Fatalf("%s: %+v", method, got.Error)
		}
		var result map[string]json.RawMessage
		var entries []map[string]any
		if err := json.Unmarshal(got.Result, &result); err != nil {
			a.t.Fatal(err)
		}
		if err := json.Unmarshal(result[member], &entries); err != nil {
			a.t.Fatalf("%s: %v", got.Result, err)
		}
		page := []string{}
		for _, entry := range entries {
			page = append(page, entry[name].(string))
		}
		pages = append(pages, page)
		if a.era == modern && (string(result["ttlMs"]) != "60000" || string(result["cacheScope"]) != `"private"` || string(result["resultType"]) != `"complete"`) {
			a.t.Errorf("%s: %s", method, got.Result)
		}
		if result["nextCursor"] == nil {
			return pages
		}
		cursor = `"cursor":` + string(result["nextCursor"])
	}
	a.t.Fatal("pages without an end")
	return nil
}

func eachEra(t *testing.T, f func(t *testing.T, e era)) {
	t.Helper()
	for e, name := range []string{"legacy", "modern"} {
		t.Run(name, func(t *testing.T) { f(t, era(e)) })
	}
}

func TestPages(t *testing.T) {
	h := newTestHandler(t, Options{})
	eachEra(t, func(t *testing.T, e era) {
		a := newAsker(t, h, "/mcp/offers", e, "")
		for _, tt := range []struct {
			method, member, name string
			want                 [][]string
		}{
			{"tools/list", "tools", "name", [][]string{{"audio", "echo"}, {"note", "owners"}, {"wait"}}},
			{"prompts/list", "prompts", "name", [][]string{{"ask", "embed"}, {"review"}}},
			{"resources/templates/list", "resourceTemplates", "uriTemplate", [][]string{
				{"fails://{kind}", "numbers://{n}"}, {"stagedoor://actions/{+id}", "things://echo/{thing}"},
			}},
		} {
			if diff := cmp.Diff(tt.want, a.all(tt.method, tt.member, tt.name)); diff != "" {
				t.Errorf("%s: %s", tt.method, diff)
			}
		}
		if uris := slices.Concat(a.all("resources/list", "resources", "uri")...); len(uris) != 14 || !slices.IsSorted(uris) {
			t.Errorf("resources %q", uris)
		}
		for _, cursor := range []string{`"x"`, `""`, `1`, `{}`, `"` + strings.Repeat("A", 500) + `"`} {
			for _, method := range []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"} {
				if got := a.ask(method, `"cursor":`+cursor); got.code() != -32602 {
					t.Errorf("%s with cursor %s: %+v", method, cursor, got)
				}
			}
		}
		if got := a.ask("tools/list", `"cursor":null`); got.Error != nil {
			t.Error(got.Error)
		}
	})
}

// nextCursor is that of the list's first page.
func nextCursor(t *testing.T, a *asker, method string) string {
	t.Helper()
	var result struct{ NextCursor string }
	if err := json.Unmarshal(a.ask(method, "").Result, &result); err != nil || result.NextCursor == "" {
		t.Fatal("no cursor", err)
	}
	return result.NextCursor
}

// A cursor is the same each time, also at another replica with the same key
// and in the other era, and is of its list alone.
func TestCursors(t *testing.T) {
	key := []byte("the replicas' shared key")
	one, two := newTestHandler(t, Options{Secret: key}), newTestHandler(t, Options{Secret: key})
	other := newTestHandler(t, Options{})
	cursor := nextCursor(t, newAsker(t, one, "/mcp/offers", legacy, ""), "tools/list")
	if again := nextCursor(t, newAsker(t, two, "/mcp/offers", modern, ""), "tools/list"); again != cursor {
		t.Errorf("%s, then %s", cursor, again)
	}
	if strings.Contains(cursor, "echo") || len(cursor) < 100 {
		t.Errorf("cursor %s", cursor)
	}
	for name, tt := range map[string]struct {
		h            *Handler
		path, method string
		want         int
	}{
		"replica":      {two, "/mcp/offers", "tools/list", 0},
		"other key":    {other, "/mcp/offers", "tools/list", -32602},
		"other list":   {one, "/mcp/offers", "resources/list", -32602},
		"other server": {one, "/mcp/admin", "tools/list", -32602},
	} {
		if got := newAsker(t, tt.h, tt.path, modern, "").ask(tt.method, `"cursor":"`+cursor+`"`); got.code() != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// However the list changes between two pages, the next one goes on after the
// name that the one before ended with.
func TestCursorOfAnOlderList(t *testing.T) {
	h := newTestHandler(t, Options{})
	serverOf := func(names ...string) *registry.Server {
		s := &registry.Server{Door: testDoor, Name: "s", ListPage: 2}
		for _, name := range names {
			s.Tools = append(s.Tools, registry.Tool{Name: name, Action: action("echo", "")})
		}
		return s
	}
	set := func(names ...string) {
		if err := h.SetServers([]*registry.Server{serverOf(names...)}); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	var names []string
	for i := range 26 {
		names = append(names, string(rune('a'+i)))
	}
	some := func() []string {
		return slices.DeleteFunc(slices.Clone(names), func(string) bool { return random.IntN(3) == 0 })
	}
	for range 200 {
		before, after := some(), some()
		set(before...)
		a := newAsker(t, h, "/mcp/s", modern, "")
		if len(before) < 3 {
			continue
		}
		cursor := nextCursor(t, a, "tools/list")
		set(after...)
		var want []string
		for _, name := range after {
			if name > before[1] && len(want) < 2 {
				want = append(want, name)
			}
		}
		var result struct {
			Tools []struct{ Name string }
		}
		if err := json.Unmarshal(a.ask("tools/list", `"cursor":"`+cursor+`"`).Result, &result); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, tool := range result.Tools {
			got = append(got, tool.Name)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q, then %q: after the first page %q, want %q", before, after, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	of := func(change func(*registry.Server)) [3]string {
		s := testServers()[2]
		change(s)
		h := newTestHandler(t, Options{})
		built, err := h.newServer(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return built.versions
	}
	same := of(func(*registry.Server) {})
	for name, tt := range map[string]struct {
		change func(*registry.Server)
		want   [3]bool
	}{
		"nothing":  {func(*registry.Server) {}, [3]bool{}},
		"page":     {func(s *registry.Server) { s.ListPage = 1 }, [3]bool{}},
		"tool":     {func(s *registry.Server) { s.Tools = s.Tools[1:] }, [3]bool{true, false, true}},
		"prompt":   {func(s *registry.Server) { s.Prompts[0].Title = "x" }, [3]bool{false, true, false}},
		"resource": {func(s *registry.Server) { s.Resources[0].Title = "x" }, [3]bool{false, false, true}},
		"template": {func(s *registry.Server) { s.Resources = slices.Delete(s.Resources, 4, 5) }, [3]bool{false, false, true}},
	} {
		other := of(tt.change)
		for i := range same {
			if (same[i] != other[i]) != tt.want[i] {
				t.Errorf("%s: list %d: changed is %v", name, i, !tt.want[i])
			}
		}
	}
}

// hides makes what contains the word invisible to mallory.
func hides(word string) *registry.Door {
	return &registry.Door{Name: "test", Gate: testGate{}, Rules: []registry.AccessRule{
		{Path: "rules[0]"}, {Path: "rules[1]", Deny: true, Who: registry.Who{Subject: "mallory"}, Actions: []registry.Rule{{ID: "*:*" + word + "*"}}},
	}}
}

func TestVisibility(t *testing.T) {
	invoker := &fakeInvoker{}
	h := newTestHandlerBehind(t, hides("echo"), Options{Invoker: invoker})
	eachEra(t, func(t *testing.T, e era) {
		ada, mallory := newAsker(t, h, "/mcp/offers", e, "ada"), newAsker(t, h, "/mcp/offers", e, "mallory")
		if got := slices.Concat(ada.all("tools/list", "tools", "name")...); len(got) != 5 {
			t.Errorf("ada sees %q", got)
		}
		want := [][]string{{"audio", "note"}, {"owners", "wait"}}
		if diff := cmp.Diff(want, mallory.all("tools/list", "tools", "name")); diff != "" {
			t.Errorf("mallory sees %s", diff)
		}
		for _, list := range [][3]string{{"resources/list", "resources", "uri"}, {"resources/templates/list", "resourceTemplates", "uriTemplate"}} {
			all, some := fmt.Sprint(ada.all(list[0], list[1], list[2])), fmt.Sprint(mallory.all(list[0], list[1], list[2]))
			if !strings.Contains(all, "echo") || strings.Contains(some, "echo") || strings.Contains(some, "numbers") {
				t.Errorf("%s: ada sees %s, mallory %s", list[0], all, some)
			}
		}
		before := len(invoker.seen)
		for _, tt := range []struct{ method, params, unknown string }{
			{"tools/call", `"name":"echo","arguments":{}`, `"name":"nope","arguments":{}`},
			{"resources/read", `"uri":"stagedoor://actions/fake:echo"`, `"uri":"stagedoor://actions/fake:nope"`},
			{"resources/read", `"uri":"things://echo/7"`, `"uri":"things://nope/7"`},
			{"prompts/get", `"name":"embed","arguments":{"uri":"things://echo/7"}`, `"name":"embed","arguments":{"uri":"things://nope/7"}`},
			{"completion/complete", `"ref":{"type":"ref/resource","uri":"numbers://{n}"},"argument":{"name":"n","value":""}`, `"ref":{"type":"ref/resource","uri":"nope://{n}"},"argument":{"name":"n","value":""}`},
		} {
			if got := ada.ask(tt.method, tt.params); got.Error != nil {
				t.Errorf("ada: %s %s: %+v", tt.method, tt.params, got.Error)
			}
			got, unknown := mallory.ask(tt.method, tt.params), mallory.ask(tt.method, tt.unknown)
			if got.Error == nil || unknown.Error == nil {
				t.Errorf("mallory: %s %s: %s, %s", tt.method, tt.params, got.Result, unknown.Result)
				continue
			}
			masked := strings.NewReplacer("echo", "X", "nope", "X", "numbers", "X")
			if got.code() != unknown.code() || masked.Replace(got.Error.Message) != masked.Replace(unknown.Error.Message) {
				t.Errorf("hidden and unknown differ: %+v, %+v", got.Error, unknown.Error)
			}
		}
		if calls := len(invoker.seen) - before; calls != 3 { // all ada's
			t.Errorf("%d calls", calls)
		}
		ids := mallory.ask("completion/complete", `"ref":{"type":"ref/resource","uri":"stagedoor://actions/{+id}"},"argument":{"name":"id","value":"fake:"}`)
		if strings.Contains(string(ids.Result), "echo") || !strings.Contains(string(ids.Result), `"total":4`) {
			t.Errorf("completion: %s", ids.Result)
		}
	})
}

// A hidden tool's mirrored headers are not checked, which would tell of it.
func TestVisibilityHidesHeaders(t *testing.T) {
	h := newTestHandler(t, Options{})
	a := action("echo", "")
	a.InputSchema = json.RawMessage(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}`)
	if err := h.SetServers([]*registry.Server{{Door: hides("echo"), Name: "s", Tools: []registry.Tool{{Name: "echo", Action: a}}}}); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]int{"ada": -32020, "mallory": -32602} {
		if got := newAsker(t, h, "/mcp/s", modern, user).ask("tools/call", `"name":"echo","arguments":{"region":"eu"}`); got.code() != want {
			t.Errorf("%s: %+v", user, got)
		}
	}
}

func FuzzCursor(f *testing.F) {
	c, err := newCursors([]byte("key"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("offers tools/list", "echo", "")
	f.Add("", "", c.next("", ""))
	f.Add("a", strings.Repeat("x", 63), "AAAA")
	f.Fuzz(func(t *testing.T, list, key, cursor string) {
		if got, ok := c.key(list, c.next(list, key)); !ok || got != key {
			t.Errorf("%q became %q, %v", key, got, ok)
		}
		if got, ok := c.key(list+"x", c.next(list, key)); ok {
			t.Errorf("cursor of another list gave %q", got)
		}
		if got, ok := c.key(list, cursor); ok && c.next(list, got) != cursor {
			t.Errorf("forged cursor gave %q", got)
		}
	})
}
