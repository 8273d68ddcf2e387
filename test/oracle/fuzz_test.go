package oracle_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

// FuzzRequest builds the requests of the whole matrix and of a document of
// bodies from any arguments: none panics or takes long, and each is the
// template's request and a request that HTTP can carry.
func FuzzRequest(f *testing.F) {
	client := builder(f)
	all := matrix(f)
	for _, seed := range []string{
		`"blue"`, `["a","b"]`, `{"R":"1"}`, `{"name":"x","tags":[""],"size":{"w":1}}`, `"../x"`, `[".."]`, `{"..":"/"}`, `"%2e%2e"`, `"a\r\nb"`,
		`["\\",";","=&"]`, `{"a=b":"c;d"}`, `[[["x"]],{"y":null}]`, `1e400`, `-0.0`, `"\u2028é\ud83c\udfad"`, `{"":[{"":""}]}`, `[null]`, `true`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return
		}
		start := time.Now()
		for c, a := range all {
			if req := build(t, client, a, map[string]any{"color": v}); req != nil {
				holdsTemplate(t, c, a, req)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%d requests took %v", len(all), took)
		}
	})
}

// holdsTemplate wants the operation's own method and path, and a query and
// headers that are what they say.
func holdsTemplate(t *testing.T, c cell, a *openapi.Action, req *http.Request) {
	t.Helper()
	method, template, _ := strings.Cut(a.Operation, " ")
	uri := req.URL.RequestURI()
	sent, err := url.ParseRequestURI(uri)
	if err != nil {
		t.Fatalf("%s: %q: %v", c.name(), uri, err)
	}
	want, got := strings.Split("/base"+template, "/"), strings.Split(sent.EscapedPath(), "/")
	if req.Method != method || len(want) != len(got) || sent.Host != "" || sent.Fragment != "" || strings.ContainsFunc(uri, isControl) {
		t.Fatalf("%s: %s %q", c.name(), req.Method, uri)
	}
	for i, segment := range want {
		if segment != "{color}" && segment != got[i] || got[i] == "." || got[i] == ".." {
			t.Fatalf("%s: %q", c.name(), uri)
		}
	}
	if c.in != "query" && sent.RawQuery != "" || strings.Contains(sent.RawQuery, "#") {
		t.Fatalf("%s: the query of %q", c.name(), uri)
	}
	if _, err := url.ParseQuery(strings.ReplaceAll(sent.RawQuery, ";", "")); err != nil {
		t.Fatalf("%s: %q: %v", c.name(), uri, err)
	}
	for name, values := range req.Header {
		if len(values) != 1 || strings.ContainsFunc(values[0], isControl) && !strings.Contains(values[0], "\t") {
			t.Fatalf("%s: %s: %q", c.name(), name, values)
		}
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
