package auth_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// saying is a verifier that says the same of every token.
type saying struct{ err error }

func (s saying) Verify(context.Context, string, auth.Resource) (principal.Principal, error) {
	return principal.Principal{Kind: principal.User, Subject: "of saying"}, s.err
}
func (saying) AuthorizationServers() []string {
	return []string{"https://a.example", "https://b.example"}
}

// asked is a verifier that takes every token, and notes what it was asked for.
type asked func(auth.Resource)

func (a asked) Verify(_ context.Context, _ string, at auth.Resource) (principal.Principal, error) {
	a(at)
	return principal.Principal{Kind: principal.User, Subject: "ada"}, nil
}
func (asked) AuthorizationServers() []string {
	return []string{"https://b.example", "https://c.example"}
}

func TestChain(t *testing.T) {
	notMine, expired, down := saying{auth.ErrNotMine}, saying{&auth.InvalidError{Message: "token has expired"}}, saying{&auth.UnavailableError{Cause: errors.New("down")}}
	good := saying{}
	const unknown = "token is of nobody who is trusted here"
	for name, tc := range map[string]struct {
		chain auth.Chain
		want  string
	}{
		"empty":               {nil, unknown},
		"nobody's":            {auth.Chain{notMine, notMine}, unknown},
		"second":              {auth.Chain{notMine, good}, ""},
		"bad for one":         {auth.Chain{expired, good}, ""},
		"one is down":         {auth.Chain{down, good}, ""},
		"bad":                 {auth.Chain{notMine, expired, notMine}, "token has expired"},
		"down":                {auth.Chain{notMine, down, notMine}, "unavailable"},
		"bad, and one down":   {auth.Chain{expired, down}, "token has expired"},
		"down, and one bad":   {auth.Chain{down, expired}, "unavailable"},
		"an error of no kind": {auth.Chain{saying{context.Canceled}, notMine}, "context canceled"},
	} {
		p, err := tc.chain.Verify(t.Context(), "token", at)
		if got := told(&quiet{TB: t}, err, "token-of-the-caller"); got != tc.want || (err != nil) != (p.Subject == "") {
			t.Errorf("%s: got %q, %v", name, got, p)
		}
	}
	if got := (auth.Chain{good, asked(nil), good}).AuthorizationServers(); len(got) != 3 {
		t.Errorf("authorization servers %q", got)
	}
}

// quiet lets a test see errors of no kind.
type quiet struct{ testing.TB }

func (*quiet) Helper()               {}
func (*quiet) Errorf(string, ...any) {}

func TestStatic(t *testing.T) {
	v := auth.NewStatic(
		auth.StaticToken{Token: "0123456789abcdef", Subject: "ci", Groups: []string{"ci"}, Scopes: []string{"mcp:read"}, Claims: map[string]any{"org": "a"}},
		auth.StaticToken{Token: "fedcba9876543210fedcba9876543210", Subject: "ops"},
	)
	for token, want := range map[string]string{
		"0123456789abcdef": "ci", "fedcba9876543210fedcba9876543210": "ops",
		"0123456789abcdeF": "", "0123456789abcde": "", "0123456789abcdef0": "", "": "", "fedcba9876543210fedcba98765432100": "",
	} {
		p, err := v.Verify(t.Context(), token, at)
		if p.Subject != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, auth.ErrNotMine) {
			t.Errorf("%q: got %v, %v", token, p, err)
		}
		if want == "ci" && (p.Kind != principal.Service || p.Issuer != "static" || !slices.Contains(p.Groups, "ci") || p.Scopes[0] != "mcp:read" || p.Claims["org"] != "a" || p.Token.Reveal() != token) {
			t.Errorf("got %+v", p)
		}
	}
	if _, err := auth.NewStatic().Verify(t.Context(), "", at); err == nil {
		t.Error("no token at all takes the empty one")
	}
}
