package catalog

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func numbered(t testing.TB, n int) (*Catalog, string) {
	var b strings.Builder
	for i := range n {
		b.WriteString(component(fmt.Sprintf("c%03d", i)))
	}
	dir := write(t, map[string]string{"all.yaml": b.String()})
	return newTest(t, Options{BaseDir: dir, Locations: []string{"all.yaml", "more/*.yaml"}}), dir
}

// pages follows nextCursor to the end, changing is called between pages.
func pages(t *testing.T, c http.Handler, first string, changing func(page int)) (all []string, cursors []map[string]any) {
	t.Helper()
	answer := ok(t, c, "GET", first, "")
	for n := 1; ; n++ {
		all = append(all, names(answer)...)
		info := answer["pageInfo"].(map[string]any)
		cursors = append(cursors, info)
		if info["nextCursor"] == nil {
			return all, cursors
		}
		if changing != nil {
			changing(n)
		}
		answer = ok(t, c, "GET", "/entities/by-query?limit=10&cursor="+info["nextCursor"].(string), "")
	}
}

func TestPagesCoverEverythingOnce(t *testing.T) {
	c, _ := numbered(t, 55)
	for _, order := range []string{"", "&orderField=metadata.name,desc", "&orderField=spec.type,asc", "&orderField=spec.missing,asc", "&orderField=metadata.name,asc&fullTextFilterTerm=c0"} {
		all, cursors := pages(t, c, "/entities/by-query?limit=10&filter=kind=component"+order, nil)
		if len(cursors) != 6 {
			t.Errorf("%s: %d pages", order, len(cursors))
		}
		slices.Sort(all)
		if n := len(slices.Compact(all)); n != 55 || len(all) != 55 {
			t.Errorf("%s: %d entities, %d different", order, len(all), n)
		}
		if cursors[0]["prevCursor"] != nil {
			t.Errorf("%s: the first page has one before it", order)
		}
	}
}

func TestPagesLeadBack(t *testing.T) {
	c, _ := numbered(t, 35)
	_, cursors := pages(t, c, "/entities/by-query?limit=10&filter=kind=component&orderField=metadata.name,asc", nil)
	var back [][]string
	for cursor := cursors[3]["prevCursor"]; cursor != nil; {
		answer := ok(t, c, "GET", "/entities/by-query?limit=10&cursor="+cursor.(string), "")
		back = append(back, names(answer))
		if answer["pageInfo"].(map[string]any)["nextCursor"] == nil {
			t.Error("a page that was left backwards has none after it")
		}
		cursor = answer["pageInfo"].(map[string]any)["prevCursor"]
	}
	if len(back) != 3 || back[0][0] != "component:c020" || back[2][0] != "component:c000" || len(back[2]) != 10 {
		t.Errorf("backwards: %v", back)
	}
}

func TestPageBounds(t *testing.T) {
	c, _ := numbered(t, 30)
	for params, want := range map[string]int{
		"": 20, "limit=0": 0, "limit=5": 5, "limit=30&offset=28": 2, "offset=1000": 0, "limit=2000000000": 30, "totalItems=exclude": 20,
	} {
		answer := ok(t, c, "GET", "/entities/by-query?filter=kind=component&"+params, "")
		if got := len(names(answer)); got != want {
			t.Errorf("%s: %d items, want %d", params, got, want)
		}
		total := 30.0
		if params == "totalItems=exclude" {
			total = 0
		}
		if answer["totalItems"] != total {
			t.Errorf("%s: totalItems %v", params, answer["totalItems"])
		}
	}
	posted := ok(t, c, "POST", "/entities/by-query", `{"query":{"kind":"component"},"limit":7,"offset":28,"orderBy":[{"field":"metadata.name","order":"desc"}]}`)
	if diff := cmp.Diff([]string{"component:c001", "component:c000"}, names(posted)); diff != "" {
		t.Error(diff)
	}
}

// Entities that come and go between pages neither repeat nor hide others.
func TestPagesUnderChange(t *testing.T) {
	c, dir := numbered(t, 50)
	file := filepath.Join(dir, "all.yaml")
	change := func(page int) {
		var b strings.Builder
		for i := range 50 {
			if i != page { // one that was shown goes
				b.WriteString(component(fmt.Sprintf("c%03d", i)))
			}
		}
		b.WriteString(component(fmt.Sprintf("b%03d", page)))    // before all pages
		b.WriteString(component(fmt.Sprintf("c%03dx", page*3))) // among those shown
		writeFile(t, file, b.String())
		refresh(t, c)
	}
	all, _ := pages(t, c, "/entities/by-query?limit=10&filter=kind=component&orderField=metadata.name,asc", change)
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprintf("component:c%03d", i))
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
}

func TestCursorCarriesTheQuery(t *testing.T) {
	c, _ := numbered(t, 30)
	first := ok(t, c, "POST", "/entities/by-query", `{"query":{"$all":[{"kind":"component"},{"metadata.name":{"$hasPrefix":"c00"}}]},"limit":4,"orderBy":[{"field":"metadata.name","order":"asc"}],"fullTextFilter":{"term":"c00","fields":["metadata.name"]}}`)
	next := first["pageInfo"].(map[string]any)["nextCursor"].(string)
	second := ok(t, c, "POST", "/entities/by-query", `{"cursor":"`+next+`","limit":4,"fields":["metadata.name","kind"],"query":{"kind":"group"}}`)
	if diff := cmp.Diff([]string{"component:c004", "component:c005", "component:c006", "component:c007"}, names(second)); diff != "" {
		t.Error(diff)
	}
	if second["totalItems"] != 10.0 {
		t.Errorf("total %v", second["totalItems"])
	}
	viaGet := ok(t, c, "GET", "/entities/by-query?limit=4&filter=kind=group&cursor="+next, "")
	if diff := cmp.Diff(names(second), names(viaGet)); diff != "" {
		t.Error(diff)
	}
}

func TestBadCursors(t *testing.T) {
	c, _ := numbered(t, 30)
	good := ok(t, c, "GET", "/entities/by-query?orderField=kind", "")["pageInfo"].(map[string]any)["nextCursor"].(string)
	data, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(data)
	changed[len(changed)-3] ^= 1
	wrongKeys := (&cursor{Query: query{Orders: []order{{Field: "kind"}}}, UID: "x"}).String()
	wrongQuery := (&cursor{Query: query{Predicate: []byte(`{"$bad":1}`)}, UID: "x"}).String()
	for name, bad := range map[string]string{
		"text": "x", "spaces": "a b", "json": `{"u":"x"}`, "cut": good[:len(good)-4], "longer": good + "AAAA",
		"changed": base64.RawURLEncoding.EncodeToString(changed), "no sum": base64.RawURLEncoding.EncodeToString(data[cursorSum:]),
		"keys": wrongKeys, "query": wrongQuery, "huge": strings.Repeat("A", maxCursorBytes+1), "null": "\x00",
	} {
		refused(t, c, "GET", "/entities/by-query?cursor="+url.QueryEscape(bad), "", 400)
		if name != "json" && name != "null" {
			refused(t, c, "POST", "/entities/by-query", `{"cursor":"`+bad+`"}`, 400)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	key := "k"
	f.Add((&cursor{UID: "u"}).String())
	f.Add((&cursor{Query: query{Orders: []order{{Field: "kind"}}}, Keys: []*string{&key}, UID: "u", Back: true}).String())
	f.Add("AAAA")
	c := newExample(f)
	ix, err := c.index(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parseCursor(text)
		if err != nil {
			return
		}
		if p, err := ix.turn(at, 10); err == nil && len(p.items) > 10 {
			t.Errorf("%d items", len(p.items))
		}
	})
}
