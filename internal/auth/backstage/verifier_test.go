package backstage_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
	"github.com/stagedoor/stagedoor/internal/auth/backstage"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// at is a named server; petsAPI the actions of one plugin, as Backstage calls them.
var (
	at      = auth.Resource{URL: "https://gateway.example.com/mcp/a"}
	petsAPI = auth.Resource{URL: "https://gateway.example.com/api/pets", Plugin: "pets"}
)

var ignored = cmpopts.IgnoreFields(principal.Principal{}, "Claims", "Expires", "Token")

// TestWho: whom each kind of token names.
func TestWho(t *testing.T) {
	p := newPortal(t)
	v := p.verifier(t)
	now := time.Now().Unix()
	scopes := []string{"mcp:destructive", "actions:destructive"}
	groups := []string{"user:default/ada", "group:default/r&d"}
	limited := p.limited("user:default/ada", now, now+600)
	is := func(kind principal.Kind, subject string, actor string, groups ...string) principal.Principal {
		return principal.Principal{Kind: kind, Subject: subject, Issuer: baseURL, Actor: actor, Groups: groups, Scopes: scopes}
	}
	hs := authtest.HMAC([]byte("secret-of-old-backstage-with-length"), map[string]any{"alg": "HS256"}, map[string]any{"sub": "backstage-server", "exp": now + 3600})
	old := p.users.SignBytes(stringify(member{"alg", "ES256"}, member{"kid", "u1"}),
		stringify(member{"sub", "user:default/ada"}, member{"aud", "backstage"}, member{"iat", now}, member{"exp", now + 600}, member{"ent", []string{"group:default/old"}}))
	unnamed := authtest.NewKey(t, "", "ES256")
	for _, c := range []struct {
		name, token string
		at          auth.Resource
		want        principal.Principal
		shown       string // Token; "": the token itself
		expires     int64
	}{
		{"user", p.user(), at, is(principal.User, "user:default/ada", "", groups...), "", now + 3600},
		{"user with ent", p.user(member{"ent", []string{"group:default/own"}}), at, is(principal.User, "user:default/ada", "", "group:default/own"), "", now + 3600},
		{"user who owns nothing", p.user(member{"ent", []string{}}), at, is(principal.User, "user:default/ada", ""), "", now + 3600},
		{"user with further claims", p.user(member{"org", "harbour"}, member{"nonce", "n"}), at, is(principal.User, "user:default/ada", "", groups...), "", now + 3600},
		{"old user", old, at, is(principal.User, "user:default/ada", "", "group:default/old"), "", now + 600},
		{"plugin", plugin(p.scaffolder, "scaffolder"), at, is(principal.Service, "plugin:scaffolder", ""), "", now + 3600},
		{"plugin at another URL", plugin(p.elsewhere, "search"), at, is(principal.Service, "plugin:search", ""), "", now + 3600},
		{"plugin for a user", plugin(p.scaffolder, "scaffolder", member{"obo", limited}), at, is(principal.User, "user:default/ada", "plugin:scaffolder", groups...), limited, now + 600},
		{"plugin whose token ends before the user's", plugin(p.scaffolder, "scaffolder", member{"obo", limited}, member{"exp", now + 60}), at, is(principal.User, "user:default/ada", "plugin:scaffolder", groups...), limited, now + 60},
		{"plugin at the API of a plugin", plugin(p.scaffolder, "scaffolder", member{"aud", "pets"}), petsAPI, is(principal.Service, "plugin:scaffolder", ""), "", now + 3600},
		{"plugin for the gateway at the API of a plugin", plugin(p.scaffolder, "scaffolder"), petsAPI, is(principal.Service, "plugin:scaffolder", ""), "", now + 3600},
		{"plugin with audiences", plugin(p.scaffolder, "scaffolder", member{"aud", []string{"other", "stagedoor"}}), at, is(principal.Service, "plugin:scaffolder", ""), "", now + 3600},
		{"static", "static-token", at, is(principal.Service, "ci", ""), "", 0},
		{"legacy", hs, at, is(principal.Service, "old-service", ""), "", now + 3600},
		{"jwks", p.fromOutside(nil), at, is(principal.Service, "external:idp:robot", ""), "", now + 3600},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), c.token, c.at)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, ignored, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if c.shown == "" {
				c.shown = c.token
			}
			if got.Token.Reveal() != c.shown || c.expires == 0 != got.Expires.IsZero() || c.expires != 0 && got.Expires.Unix() != c.expires {
				t.Errorf("token %s, expires %v", got.Token.Reveal(), got.Expires)
			}
			if _, has := got.Claims["uip"]; has {
				t.Error("claims tell the proof of identity")
			}
		})
	}
	t.Run("key without kid", func(t *testing.T) {
		p := newPortal(t)
		p.users = unnamed
		token := p.users.SignBytes(stringify(member{"typ", "vnd.backstage.user"}, member{"alg", "ES256"}),
			stringify(member{"sub", "user:default/ada"}, member{"aud", "backstage"}, member{"iat", now}, member{"exp", now + 600}))
		if _, err := p.verifier(t).Verify(t.Context(), token, at); err != nil {
			t.Error(err)
		}
	})
}

// fromOutside is a token of the issuer that is no Backstage.
func (p *portal) fromOutside(changes map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{"iss": "https://idp.example.com", "sub": "robot", "aud": "backstage", "exp": now + 3600, "iat": now}
	for name, v := range changes {
		claims[name] = v
		if v == nil {
			delete(claims, name)
		}
	}
	return p.outside.Sign(map[string]any{"typ": "JWT"}, claims)
}

// TestRefused: tokens that do not hold, each for one reason.
func TestRefused(t *testing.T) {
	p := newPortal(t)
	v := p.verifier(t, func(o *backstage.Options) { o.Issuer = baseURL + "/api/auth" })
	now := time.Now().Unix()
	limited := p.limited("user:default/ada", now, now+600)
	forged := authtest.NewKey(t, "u1", "ES256")
	signedBy := func(k *authtest.Key, typ string, changes ...member) string {
		return k.SignBytes(stringify(header(typ, k)...), stringify(changed([]member{
			{"iss", baseURL + "/api/auth"}, {"sub", "user:default/ada"}, {"aud", "backstage"}, {"iat", now}, {"exp", now + 600}, {"ent", []string{}},
		}, changes...)...))
	}
	public, err := p.users.JWK().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	legacy := func(secret string, claims map[string]any) string {
		return authtest.HMAC([]byte(secret), map[string]any{"alg": "HS256"}, claims)
	}
	const secret = "secret-of-old-backstage-with-length"
	whole := p.user()
	parts := strings.Split(whole, ".")
	const invalid, notMine = "invalid", "not mine"
	for name, c := range map[string]struct{ token, want string }{
		"limited user token as a bearer":          {limited, invalid},
		"limited token made of a user's":          {p.limited("user:default/ada", now, now+3600), invalid},
		"user, forged":                            {signedBy(forged, "vnd.backstage.user"), invalid},
		"user, signed by a plugin":                {signedBy(p.scaffolder, "vnd.backstage.user"), invalid},
		"user, HMAC with the public key":          {authtest.HMAC(public, map[string]any{"alg": "HS256", "kid": "u1", "typ": "vnd.backstage.user"}, map[string]any{"sub": "user:default/ada", "aud": "backstage", "iat": now, "exp": now + 60}), invalid},
		"user, alg none":                          {authtest.Unsigned(map[string]any{"alg": "none", "typ": "vnd.backstage.user"}, map[string]any{"sub": "user:default/ada", "aud": "backstage", "iat": now, "exp": now + 60}), notMine},
		"user, ended":                             {p.user(member{"exp", now - 1}), invalid},
		"user without exp":                        {p.user(member{"exp", nil}), invalid},
		"user without iat":                        {p.user(member{"iat", nil}), invalid},
		"user, iat ahead":                         {p.user(member{"iat", now + 600}), invalid},
		"user without sub":                        {p.user(member{"sub", nil}), invalid},
		"user whose sub is empty":                 {p.user(member{"sub", ""}), invalid},
		"user whose sub is no text":               {p.user(member{"sub", 7}), invalid},
		"user whose sub is long":                  {p.user(member{"sub", strings.Repeat("a", 1025)}), invalid},
		"user without aud":                        {p.user(member{"aud", nil}), invalid},
		"user for another audience":               {p.user(member{"aud", "portal"}), invalid},
		"user of another issuer":                  {p.user(member{"iss", "https://elsewhere.example.com/api/auth"}), invalid},
		"user whose ent is no list":               {p.user(member{"ent", "group:default/admins"}), invalid},
		"user whose ent has an object":            {p.user(member{"ent", []any{"a", map[string]any{}}}), invalid},
		"user whose ent is null":                  {signedBy(p.users, "vnd.backstage.user", member{"ent", rawNull}), invalid},
		"user with another payload":               {parts[0] + "." + strings.Split(p.user(member{"sub", "user:default/eve"}), ".")[1] + "." + parts[2], invalid},
		"user's proof as its signature":           {parts[0] + "." + parts[1] + "." + strings.Split(limited, ".")[2], invalid},
		"typ in capitals":                         {signedBy(p.users, "VND.BACKSTAGE.USER"), notMine},
		"typ with application/":                   {signedBy(p.users, "application/vnd.backstage.user"), notMine},
		"no typ, other aud":                       {p.users.SignBytes(stringify(member{"alg", "ES256"}, member{"kid", "u1"}), stringify(member{"sub", "a"}, member{"aud", "other"}, member{"iat", now}, member{"exp", now + 60})), notMine},
		"plugin that is not in the config":        {plugin(p.scaffolder, "catalog"), invalid},
		"plugin in capitals":                      {plugin(p.scaffolder, "Scaffolder"), invalid},
		"plugin with a path":                      {plugin(p.scaffolder, "scaffolder/../auth"), invalid},
		"plugin with the key of another":          {plugin(p.elsewhere, "scaffolder"), invalid},
		"plugin whose URL is another":             {plugin(p.scaffolder, "search"), invalid},
		"plugin, forged by a user's key":          {plugin(p.users, "scaffolder"), invalid},
		"plugin without sub":                      {plugin(p.scaffolder, "scaffolder", member{"sub", nil}), invalid},
		"plugin for another":                      {plugin(p.scaffolder, "scaffolder", member{"aud", "catalog"}), invalid},
		"plugin for a plugin's API elsewhere":     {plugin(p.scaffolder, "scaffolder", member{"aud", "pets"}), invalid},
		"plugin for nobody":                       {plugin(p.scaffolder, "scaffolder", member{"aud", nil}), invalid},
		"plugin for an empty one":                 {plugin(p.scaffolder, "scaffolder", member{"aud", ""}), invalid},
		"plugin, ended":                           {plugin(p.scaffolder, "scaffolder", member{"exp", now - 1}), invalid},
		"plugin without exp":                      {plugin(p.scaffolder, "scaffolder", member{"exp", nil}), invalid},
		"plugin without iat":                      {plugin(p.scaffolder, "scaffolder", member{"iat", nil}), invalid},
		"plugin for a user whose token ended":     {plugin(p.scaffolder, "scaffolder", member{"obo", p.limited("user:default/ada", now-60, now-1)}), invalid},
		"plugin for a user with a whole token":    {plugin(p.scaffolder, "scaffolder", member{"obo", whole}), invalid},
		"plugin for a user of its own making":     {plugin(p.scaffolder, "scaffolder", member{"obo", signedBy(p.scaffolder, "vnd.backstage.limited-user")}), invalid},
		"plugin for a user who is a plugin":       {plugin(p.scaffolder, "scaffolder", member{"obo", plugin(p.scaffolder, "scaffolder")}), invalid},
		"plugin for a user who is a static token": {plugin(p.scaffolder, "scaffolder", member{"obo", "static-token"}), invalid},
		"plugin whose obo is empty":               {plugin(p.scaffolder, "scaffolder", member{"obo", ""}), invalid},
		"plugin whose obo is null":                {plugin(p.scaffolder, "scaffolder", member{"obo", rawNull}), invalid},
		"static, with more":                       {"static-token2", notMine},
		"static, in part":                         {"static-toke", notMine},
		"nothing":                                 {"", notMine},
		"legacy of another secret":                {legacy("another-secret-of-the-same-length-xx", map[string]any{"sub": "backstage-server", "exp": now + 60}), notMine},
		"legacy of another subject":               {legacy(secret, map[string]any{"sub": "somebody", "exp": now + 60}), notMine},
		"legacy with aud":                         {legacy(secret, map[string]any{"sub": "backstage-server", "aud": "x", "exp": now + 60}), notMine},
		"legacy without exp":                      {legacy(secret, map[string]any{"sub": "backstage-server"}), invalid},
		"legacy, ended":                           {legacy(secret, map[string]any{"sub": "backstage-server", "exp": now - 1}), invalid},
		"legacy for a day":                        {legacy(secret, map[string]any{"sub": "backstage-server", "exp": now + 86400}), invalid},
		"jwks of another issuer":                  {p.fromOutside(map[string]any{"iss": "https://elsewhere.example.com"}), notMine},
		"jwks without iss":                        {p.fromOutside(map[string]any{"iss": nil}), notMine},
		"jwks for another audience":               {p.fromOutside(map[string]any{"aud": "other"}), invalid},
		"jwks without aud":                        {p.fromOutside(map[string]any{"aud": nil}), invalid},
		"jwks without exp":                        {p.fromOutside(map[string]any{"exp": nil}), invalid},
		"jwks, ended":                             {p.fromOutside(map[string]any{"exp": now - 1}), invalid},
		"jwks without sub":                        {p.fromOutside(map[string]any{"sub": nil}), invalid},
		"jwks, algorithm that is not taken":       {authtest.NewKey(t, "o1", "PS256").Sign(nil, map[string]any{"iss": "https://idp.example.com", "sub": "robot", "aud": "backstage", "exp": now + 60}), invalid},
		"jwks, HMAC with the public key":          {authtest.HMAC(public, map[string]any{"alg": "HS256", "kid": "o1", "typ": "JWT"}, map[string]any{"iss": "https://idp.example.com", "sub": "robot", "aud": "backstage", "exp": now + 60}), notMine},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), c.token, at)
			wrong, isInvalid := errors.AsType[*auth.InvalidError](err)
			switch {
			case err == nil:
				t.Errorf("taken as %+v", got)
			case c.want == notMine && !errors.Is(err, auth.ErrNotMine), c.want == invalid && (!isInvalid || errors.Is(err, auth.ErrNotMine)):
				t.Errorf("got %v, want %s", err, c.want)
			case isInvalid && (strings.Contains(wrong.Message, "ada") || strings.Contains(wrong.Message, "example.com")):
				t.Errorf("the caller is told %q", wrong.Message)
			}
			if !cmp.Equal(got, principal.Principal{}, cmp.AllowUnexported(principal.Token{})) {
				t.Errorf("an error with a principal: %+v", got)
			}
		})
	}
	if n := p.count("/api/search/.backstage/auth/v1/jwks.json") + p.count("/api/catalog/.backstage/auth/v1/jwks.json"); n != 0 {
		t.Errorf("keys were asked for at %d places that only a token names", n)
	}
}

// TestNoKeysYet: a Backstage has no keys until its first user signs in, and the
// gateway asks again when one comes.
func TestNoKeysYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPortal(t)
		p.empty = true
		v := p.verifier(t)
		early := authtest.NewKey(t, "early", "ES256")
		if _, err := v.Verify(t.Context(), early.SignBytes(stringify(header("vnd.backstage.user", early)...), stringify(
			member{"sub", "user:default/eve"}, member{"aud", "backstage"}, member{"iat", time.Now().Unix()}, member{"exp", time.Now().Unix() + 60})), at); err == nil {
			t.Fatal("a token without a key is taken")
		}
		p.mu.Lock()
		p.empty = false
		p.mu.Unlock()
		time.Sleep(31 * time.Second)
		if got, err := v.Verify(t.Context(), p.user(), at); err != nil || got.Subject != "user:default/ada" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// TestUserinfo: groups are asked for once for a token, whoever asks at the same
// time, and what cannot be had is no refusal of the token.
func TestUserinfo(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // groups, unavailable or invalid
	}{
		"fine":                {text(200, `{"claims":{"sub":"user:default/ada","ent":["group:default/a"]}}`), "group:default/a"},
		"without sub":         {text(200, `{"claims":{"ent":["group:default/a"]}}`), "group:default/a"},
		"no groups":           {text(200, `{"claims":{"sub":"user:default/ada","ent":[]}}`), ""},
		"another user":        {text(200, `{"claims":{"sub":"user:default/eve","ent":["group:default/admins"]}}`), "unavailable"},
		"no ent":              {text(200, `{"claims":{"sub":"user:default/ada"}}`), "unavailable"},
		"ent of another type": {text(200, `{"claims":{"sub":"user:default/ada","ent":"group:default/a"}}`), "unavailable"},
		"no JSON":             {text(200, `<html>`), "unavailable"},
		"too long":            {text(200, `{"claims":{"ent":["`+strings.Repeat("a", 1<<20)+`"]}}`), "unavailable"},
		"redirect":            {text(302, ``), "unavailable"},
		"broken":              {text(500, ``), "unavailable"},
		"busy":                {text(429, ``), "unavailable"},
		"refused":             {text(401, ``), "invalid"},
		"unknown user":        {text(404, `User info not found`), "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPortal(t)
				release := make(chan struct{})
				p.userinfo = func(w http.ResponseWriter, _ string) {
					<-release
					c.answer(w, nil)
				}
				v, token := p.verifier(t), p.user()
				check := func() {
					got, err := v.Verify(t.Context(), token, at)
					_, away := errors.AsType[*auth.UnavailableError](err)
					_, invalid := errors.AsType[*auth.InvalidError](err)
					if had := map[bool]string{away: "unavailable", invalid: "invalid"}[true] + strings.Join(got.Groups, ","); had != c.want {
						t.Errorf("got %q (%v), want %q", had, err, c.want)
					}
				}
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(check)
				}
				synctest.Wait()
				close(release)
				wg.Wait()
				check()
				if n := p.count("/userinfo"); n != 1 {
					t.Errorf("userinfo was asked %d times", n)
				}
				time.Sleep(3 * time.Second)
				check()
				if n := p.count("/userinfo"); (n == 1) != (c.want == "" || strings.HasPrefix(c.want, "group")) {
					t.Errorf("after a while userinfo was asked %d times", n)
				}
			})
		})
	}
}

func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://elsewhere.example.com/")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// TestUserinfoShows: whose token is shown to userinfo, and to nobody else.
func TestUserinfoShows(t *testing.T) {
	p := newPortal(t)
	v := p.verifier(t)
	now := time.Now().Unix()
	whole, limited := p.user(), p.limited("user:default/ada", now, now+600)
	for _, token := range []string{whole, plugin(p.scaffolder, "scaffolder", member{"obo", limited}), "static-token", plugin(p.scaffolder, "scaffolder")} {
		if _, err := v.Verify(t.Context(), token, at); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{whole, limited}, p.shown); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestUserinfoHangs: nobody waits for longer than five seconds.
func TestUserinfoHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := hanging{newPortal(t)}
		v := backstage.New(backstage.Options{BaseURL: baseURL, Keys: auth.NewKeySets(server), Transport: server})
		before := time.Now()
		_, err := v.Verify(t.Context(), server.user(), at)
		if e, ok := errors.AsType[*auth.UnavailableError](err); !ok || e.RetryAfter <= 0 || time.Since(before) > 6*time.Second {
			t.Errorf("after %v: %v", time.Since(before), err)
		}
	})
}

// hanging answers no question about users.
type hanging struct{ *portal }

func (h hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/userinfo") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return h.portal.RoundTrip(r)
}

// TestAway: tokens whose keys cannot be had are neither taken nor refused.
func TestAway(t *testing.T) {
	p := newPortal(t)
	down := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") })
	keys := auth.NewKeySets(down)
	v := backstage.New(backstage.Options{
		BaseURL: baseURL, PluginID: "stagedoor", Plugins: map[string]string{"scaffolder": ""}, Keys: keys, Transport: down,
		External: []backstage.External{backstage.JWKS{Keys: keys.At("https://idp.example.com/jwks")}, backstage.Static("static-token", "ci")},
	})
	for name, token := range map[string]string{"user": p.user(), "plugin": plugin(p.scaffolder, "scaffolder"), "jwks": p.fromOutside(nil)} {
		if _, err := v.Verify(t.Context(), token, at); !isUnavailable(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := v.Verify(t.Context(), "static-token", at); err != nil || got.Subject != "ci" {
		t.Errorf("static: %v, %v", got, err)
	}
}

func isUnavailable(err error) bool {
	_, ok := errors.AsType[*auth.UnavailableError](err)
	return ok
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestJWKSWithoutIssuers: as in Backstage, access of the type jwks may name no
// issuer; what then does not hold may be somebody else's.
func TestJWKSWithoutIssuers(t *testing.T) {
	p := newPortal(t)
	keys := auth.NewKeySets(p)
	v := backstage.New(backstage.Options{BaseURL: baseURL, Keys: keys, Transport: p, External: []backstage.External{backstage.JWKS{Keys: keys.At("https://idp.example.com/jwks")}}})
	if got, err := v.Verify(t.Context(), p.fromOutside(map[string]any{"iss": nil, "aud": nil}), at); err != nil || got.Subject != "external:robot" {
		t.Errorf("got %v, %v", got, err)
	}
	for name, token := range map[string]string{
		"ended":  p.fromOutside(map[string]any{"exp": 1}),
		"forged": authtest.NewKey(t, "o1", "RS256").Sign(nil, map[string]any{"sub": "robot", "exp": time.Now().Unix() + 60}),
	} {
		if _, err := v.Verify(t.Context(), token, at); !errors.Is(err, auth.ErrNotMine) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLegacySecret(t *testing.T) {
	for _, secret := range []string{"", "not base64!", "===", "a"} {
		if _, err := backstage.Legacy(secret, "s"); err == nil {
			t.Errorf("secret %q is taken", secret)
		}
	}
	for _, secret := range []string{"-_8", "+/8=", "+/8"} { // as jose's base64url.decode reads them
		if _, err := backstage.Legacy(secret, "s"); err != nil {
			t.Errorf("secret %q: %v", secret, err)
		}
	}
}

func TestAuthorizationServers(t *testing.T) {
	p := newPortal(t)
	if got := p.verifier(t).AuthorizationServers(); got != nil {
		t.Errorf("clients are sent to %v", got)
	}
	v := p.verifier(t, func(o *backstage.Options) { o.AuthorizationServer = true })
	if diff := cmp.Diff([]string{baseURL + "/api/auth"}, v.AuthorizationServers()); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkUser is a token whose keys and groups are known.
func BenchmarkUser(b *testing.B) {
	p := newPortal(b)
	v, token := p.verifier(b), p.user()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token, at); err != nil {
			b.Fatal(err)
		}
	}
}

// TestKeyWithdrawn: that a signature was verified once is no reason to take it
// after Backstage has withdrawn the key.
func TestKeyWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPortal(t)
		v := p.verifier(t)
		token, byPlugin := p.user(), plugin(p.scaffolder, "scaffolder")
		check := func(valid bool) {
			t.Helper()
			for _, each := range []string{token, byPlugin} {
				if _, err := v.Verify(t.Context(), each, at); (err == nil) != valid || isUnavailable(err) {
					t.Errorf("taken should be %t: %v", valid, err)
				}
			}
		}
		check(true)
		check(true)
		p.mu.Lock()
		p.users, p.scaffolder = authtest.NewKey(t, "u2", "ES256"), authtest.NewKey(t, "p3", "ES256")
		p.mu.Unlock()
		time.Sleep(11 * time.Minute)
		check(false)
		if _, err := v.Verify(t.Context(), p.user(), at); err != nil {
			t.Errorf("the new key: %v", err)
		}
	})
}
