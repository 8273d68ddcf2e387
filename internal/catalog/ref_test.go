package catalog

import (
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for _, c := range []struct{ text, kind, want, fails string }{
		{"component:default/a", "", "component:default/a", ""},
		{"Component:Default/A", "", "component:default/a", ""},
		{"api:a", "", "api:here/a", ""},
		{"a", "Group", "group:here/a", ""},
		{"other/a", "Group", "group:other/a", ""},
		{"user:other/a", "Group", "user:other/a", ""},
		{"x/y:z", "group", "group:x/y:z", ""}, // the slash comes first: no kind
		{"a", "", "", "no kind"},
		{"", "group", "", "not of the form"},
		{":a", "group", "", "not of the form"},
		{"a:", "group", "", "not of the form"},
		{"a:/b", "group", "", "not of the form"},
		{"a:b/", "group", "", "not of the form"},
		{"/b", "group", "", "not of the form"},
	} {
		r, err := ParseRef(c.text, c.kind, "here")
		switch {
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%q: %v, %v; want an error with %q", c.text, r, err, c.fails)
		case c.fails == "" && (err != nil || r.String() != c.want):
			t.Errorf("%q: %v, %v; want %s", c.text, r, err, c.want)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, seed := range []string{"component:default/a", "a", ":", "/", "a:b/c/d:e", "ä:ö/ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRef(text, "group", "default")
		if err != nil {
			return
		}
		if r.Kind == "" || r.Namespace == "" || r.Name == "" {
			t.Errorf("%q: empty part in %+v", text, r)
		}
		if again, err := ParseRef(r.String(), "", ""); err != nil || again.String() != r.String() {
			t.Errorf("%q: %s reads as %v, %v", text, r, again, err)
		}
	})
}
