package invoke

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stagedoor/stagedoor/openapi"
)

func TestCutJSON(t *testing.T) {
	for _, tt := range []struct{ text, want, path string }{
		{`[{"a":1},{"a":2},{"a`, `[{"a":1},{"a":2}]`, ""},
		{`[1, 2, 34`, `[1, 2]`, ""}, // 34 may go on
		{`["a","b\"c","d`, `["a","b\"c"]`, ""},
		{`{"total":9,"items":[{"tags":["x","y"]},{"tags":["z","`, `{"total":9,"items":[{"tags":["x","y"]}]}`, "items"},
		{`{"data":{"list":[[1],[2],[3`, `{"data":{"list":[[1],[2]]}}`, "data.list"},
		{`{"features":[{"id":1,"line":[[0,1],[2,3],[4`, `{"features":[{"id":1,"line":[[0,1],[2,3]]}]}`, "features[0].line"},
		{`{"a":[1,2],"b":{"c":3,"d":"long`, `{"a":[1,2],"b":{"c":3}}`, "b"},
		{`{"a":[1,2],"b":"long`, `{"a":[1,2]}`, ""},
		{`{"x]":[true,false,nul`, `{"x]":[true,false]}`, "x]"},
		{`{"a":[],"items":[`, `{"a":[]}`, ""},
		{`"just a string`, "", ""},
		{`{"a":"long`, "", ""},
		{`[[[[`, "", ""},
		{`123`, "", ""},
		{``, "", ""},
		{`]`, "", ""},
		{`[1,2}`, "", ""},
		{`[1,,2,3`, "", ""}, // it was broken before
		{`{"` + strings.Repeat("k", 1000) + `":[1,2`, `{"` + strings.Repeat("k", 1000) + `":[1]}`, ""},
		{strings.Repeat(`{"a":[1,`, 20000), "", ""},
	} {
		got, path, _, ok := cutJSON([]byte(tt.text))
		if ok != (tt.want != "") || ok && (string(got) != tt.want || path != tt.path) {
			t.Errorf("%s\ngot  %s at %q, %v\nwant %s at %q", tt.text, got, path, ok, tt.want, tt.path)
		}
	}
}

// FuzzCutJSON: the beginning of JSON is cut to JSON, and the cut is not longer
// than what there was but for what closes it.
func FuzzCutJSON(f *testing.F) {
	f.Add(`{"a":[{"b":"c\"d"},[1,2.5e3],null],"é":{}}`, 20)
	f.Add(`[[[1],[2]],"x"]`, 9)
	f.Fuzz(func(t *testing.T, text string, at int) {
		if at < 0 || at > len(text) {
			return
		}
		out, _, last, ok := cutJSON([]byte(text[:at]))
		switch {
		case !ok:
		case !json.Valid(out), last.count < 1:
			t.Errorf("%q at %d became %q, %d items", text, at, out, last.count)
		case json.Valid([]byte(text)) && !strings.HasPrefix(text, strings.TrimRight(string(out), "]}")):
			t.Errorf("%q at %d became %q", text, at, out)
		}
	})
}

// TestCutAnswers: an answer over the cap gives what fits, and says so.
func TestCutAnswers(t *testing.T) {
	var items []string
	for i := range 200 {
		items = append(items, fmt.Sprintf(`{"id": %d, "name": "item %d é"}`, i, i))
	}
	list := "[" + strings.Join(items, ", ") + "]"
	a := withQuery("pageSize id filter $top name")
	for name, tt := range map[string]struct{ contentType, body, note string }{
		"list":   {"application/json", list, "it has the first "},
		"page":   {"application/json", `{"total":200,"items":` + list + `,"next":"x"}`, "items has its first "},
		"text":   {"text/plain", strings.Join(items, "\n"), "the text above is its first "},
		"a line": {"text/plain", strings.Repeat("é", 2000), "the text above is its first "},
		"untyped": {
			"", list, "it has the first ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ask(t, reply(200, tt.contentType, tt.body), Options{MaxResponse: 1001}, a)
			if err != nil {
				t.Fatal(err)
			}
			if r.Cut == nil || r.Cut.Reason != "size" || !strings.Contains(r.Cut.Note, tt.note) ||
				!strings.HasSuffix(r.Cut.Note, "Ask for less with $top, filter, pageSize.") {
				t.Fatalf("%+v", r.Cut)
			}
			if size := len(r.JSON) + len(r.Text); size < 700 || size > 1001 || !utf8.ValidString(string(r.JSON)+r.Text) {
				t.Errorf("%d bytes: %s%s", size, r.JSON, r.Text)
			}
			if r.Text != "" && !strings.HasPrefix(tt.body, r.Text) || name == "text" && !strings.HasSuffix(r.Text, "\n") {
				t.Errorf("text %q", r.Text)
			}
			if r.JSON != nil && !json.Valid(r.JSON) {
				t.Errorf("%s is not JSON", r.JSON)
			}
		})
	}
}

// TestCutObjects: an object has members.
func TestCutObjects(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for body, note := range map[string]string{
		`{"a":1,"b":2,"c":"` + long:            "cut: it has the first 2 members, and",
		`{"a":1,"b":{"c":3,"d":"` + long:       "cut: b has its first 1 members, and",
		`[` + `{"a":1,"b":{"c":3,"d":"` + long: "cut: [0].b has its first 1 members, and",
	} {
		r, err := ask(t, reply(200, "application/json", body), Options{MaxResponse: 1000}, plain("x"))
		if err != nil || r.Cut.Items != -1 || r.Cut.Path != "" || !strings.Contains(r.Cut.Note, note) {
			t.Errorf("got %+v %v, want %s", r, err, note)
		}
	}
}

// TestCutSecrets: a secret that stands across the cut does not show its
// beginning.
func TestCutSecrets(t *testing.T) {
	for before := 960; before < 1010; before++ {
		body := strings.Repeat("x", before) + secret + strings.Repeat("y", 2000)
		r, err := ask(t, reply(200, "text/plain", body), Options{MaxResponse: 1000, Credentials: credentials}, plain("x"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(r.Text, secret[:3]) {
			t.Errorf("after %d: %q", before, r.Text[before-10:])
		}
	}
}

// TestSelectNeverRunsOverAPart: what jq counts may be in the rest.
func TestSelectNeverRunsOverAPart(t *testing.T) {
	a := actionsOf(t, `
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /x:
    get:
      x-action: {name: count, output: {select: length}}
      parameters: [{name: limit, in: query, schema: {}}]
      responses: {}
`)["count"]
	for _, contentType := range []string{"application/json", "text/plain"} {
		_, err := ask(t, reply(200, contentType, "["+strings.Repeat("1,", 1000)+"1]"), Options{MaxResponse: 1000}, a)
		var e *Error
		if !errors.As(err, &e) || e.Kind != TooLarge || e.Message != "the answer is larger than 1000 bytes. Ask for less with limit." {
			t.Errorf("got %v", err)
		}
	}
	_, err := ask(t, reply(200, "image/png", "\x89PNG\x00"), Options{}, a)
	var e *Error
	if !errors.As(err, &e) || e.Kind != Unavailable || e.Message != "the plugin answered with binary data (image/png)" {
		t.Errorf("got %v", err)
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		fmt.Fprint(w, "1\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	if _, err = ask(t, endless, Options{Timeout: 50 * time.Millisecond}, a); !errors.As(err, &e) || e.Kind != Timeout {
		t.Errorf("got %v", err)
	}
	r, err := ask(t, reply(200, "application/x-ndjson", "1\n2\n"), Options{}, a)
	if err != nil || string(r.JSON) != "2" {
		t.Errorf("got %v %v", r, err)
	}
}

// withQuery is an action that reads, with query parameters.
func withQuery(names string) *openapi.Action {
	a := plain("x")
	a.Attributes.ReadOnly = true
	for _, name := range strings.Fields(names) {
		a.Request.Parameters = append(a.Request.Parameters, openapi.Parameter{Name: name, In: openapi.InQuery, Value: openapi.Value{Argument: name}})
	}
	return a
}

func TestLessArguments(t *testing.T) {
	for _, tt := range []struct{ names, want string }{
		{"id name first_name q maxResults cursor offset limit", "cursor, limit, maxResults, offset, q"},
		{"per_page page[size] PageToken fields[articles] filter-by", "PageToken, fields[articles], filter-by, page[size], per_page"},
		{"$top $skip $select startAt resultsPerPage", "$select, $skip, $top, resultsPerPage, startAt"},
		{"a b c limit skip top first last since until", "first, last, limit, since, skip, top"},
		{"spendingLimit homepage customField token number orderFields startDate pager", ""},
	} {
		want := "Ask for less with " + tt.want + "."
		if tt.want == "" {
			want = askForLess(plain("x"))
		}
		if got := askForLess(withQuery(tt.names)); got != want {
			t.Errorf("%s: got %s", tt.names, got)
		}
	}
	writes := withQuery("limit")
	writes.Attributes.ReadOnly = false
	inBody := plain("x")
	inBody.Attributes.ReadOnly, inBody.InputSchema = true, json.RawMessage(`{"properties":{"limit":{}}}`)
	for _, a := range []*openapi.Action{writes, inBody} {
		if got := askForLess(a); strings.Contains(got, "limit") {
			t.Errorf("got %s", got)
		}
	}
}
