package registryapi_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/registryapi"
)

// words is a gate whose tokens say who has them: subject, and scopes.
type words struct{}

func (words) Authenticate(r *http.Request) (principal.Principal, *principal.Refusal) {
	said := strings.Fields(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if len(said) == 0 || said[0] == "nobody" {
		return principal.Principal{}, &principal.Refusal{Status: http.StatusUnauthorized, Challenge: "Bearer", Message: "credentials are missing or not valid"}
	}
	return principal.Principal{Kind: principal.User, Subject: said[0], Scopes: said[1:]}, nil
}

func (words) StepUp(_ principal.Principal, needed, _ []string) *principal.Refusal {
	return &principal.Refusal{Status: http.StatusForbidden, Challenge: `Bearer error="insufficient_scope", scope="` + strings.Join(needed, " ") + `"`, Message: "scopes are missing"}
}

// TestGuard: beside publishers' tokens, those of principals count, with the scope
// for what they do.
func TestGuard(t *testing.T) {
	f := newFixture(t)
	f.statuses = []publication.Status{{Name: "billing", Source: "https://inner"}, {Name: "crm", Source: "https://inner"}}
	team := publisher("team", token)
	team.Is = func(p principal.Principal) bool { return p.Subject == "ada" }
	h := registryapi.New(registryapi.Options{
		Registrar: f.registrar, Logger: slog.New(slog.DiscardHandler),
		Publishers: func() []registryapi.Publisher { return []registryapi.Publisher{team} },
		Guard: func() registryapi.Guard {
			return registryapi.Guard{Gate: words{}, Publish: "registry:publish", Operate: "operator:read"}
		},
	})
	ask := func(method, path, bearer, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	const put = registryapi.Path + "/billing?baseURL=https%3A%2F%2Fbilling.internal%2Fapi"
	for bearer, want := range map[string]struct{ put, list, inner int }{
		"":                      {401, 401, 0},
		"nobody":                {401, 401, 0},
		token:                   {200, 200, 1},
		"ada registry:publish":  {200, 200, 1},
		"ada":                   {403, 403, 0},
		"eve registry:publish":  {403, 403, 0},
		"eve operator:read":     {403, 200, 2},
		"ada operator:read":     {403, 200, 2},
		"ada registry:publishx": {403, 403, 0},
	} {
		w := ask(http.MethodPut, put, bearer, doc)
		if w.Code != want.put && (want.put != 200 || w.Code/100 != 2) {
			t.Errorf("%q registers: %d %s", bearer, w.Code, w.Body)
		}
		if w = ask(http.MethodGet, registryapi.Path, bearer, ""); w.Code != want.list || strings.Count(w.Body.String(), "inner") != want.inner {
			t.Errorf("%q lists: %d %s", bearer, w.Code, w.Body)
		}
		if w.Code > 400 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%q: no challenge", bearer)
		}
	}
}
