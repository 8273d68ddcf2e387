package registryapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestRegistrationsAreRecorded: who changed what, and what came of it. Renewals
// are no news.
func TestRegistrationsAreRecorded(t *testing.T) {
	f := newFixture(t)
	put := func(plugin, bearer, document string) *http.Request {
		req := f.request("PUT", "/"+plugin, strings.NewReader(document))
		req.Header.Set("Authorization", "Bearer "+bearer)
		return req
	}
	renewal := f.request("PUT", "/billing", nil)
	registered := f.send(put("billing", token, "openapi: 3.1.0"))
	if len(f.records) != 1 || f.records[0].Outcome != "accepted" || f.records[0].Status != http.StatusCreated || f.records[0].Plugin != "billing" {
		t.Errorf("registered: %+v", f.records)
	}
	renewal.Header.Set("If-None-Match", registered.header.Get("Etag"))
	stale := f.request("PUT", "/billing", nil)
	stale.Header.Set("If-None-Match", `"0123"`)
	withdrawal := f.request("DELETE", "/billing", nil)
	for _, test := range []struct {
		name string
		req  *http.Request
		want string // subject, plugin, decision, outcome, status
	}{
		{"renewed", renewal, ""},
		{"document is asked for", stale, ""},
		{"again", put("billing", token, "openapi: 3.1.0"), ""},
		{"no publisher", put("billing", "nobody", "x"), "? PUT  unauthenticated unauthenticated 401"},
		{"another's name", put("shop", token, "x"), "team PUT shop denied denied 403"},
		{"held", put("billing", foreign, "x"), "other PUT billing denied denied 409"},
		{"no name", put("Billing", token, "x"), "team PUT  invalid invalid_request 400"},
		{"withdrawn", withdrawal, "team DELETE billing allowed withdrawn 204"},
		{"listed", f.request("GET", "", nil), ""},
	} {
		f.records = nil
		f.send(test.req)
		got := ""
		for _, c := range f.records {
			subject := "?"
			if c.Principal != nil {
				subject = c.Principal.Subject
			}
			got += fmt.Sprint(subject, " ", c.Method, " ", c.Plugin, " ", c.Decision(), " ", c.Outcome, " ", c.Status)
			if c.Ref == "" || c.Door != "registry" || (c.Err == nil) != (c.Status < 400) {
				t.Errorf("%s: %+v", test.name, c)
			}
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
