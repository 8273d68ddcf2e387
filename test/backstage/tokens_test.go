package backstage_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
	verifier "github.com/stagedoor/stagedoor/internal/auth/backstage"
	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// key signs as the gateway does.
type key struct{ *authtest.Key }

func (k key) Sign(typ string, claims any) (string, error) {
	header, err := json.Marshal(map[string]string{"typ": typ, "alg": k.Algorithm, "kid": k.ID})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	return k.SignBytes(header, payload), err
}

func (k key) JWKS() []byte {
	jwks, err := json.Marshal(map[string]any{"keys": []any{k.JWK()}})
	if err != nil {
		panic(err) // of a key that was made here
	}
	return jwks
}

// tokens is what is at the gateway's place: the plugin stagedoor, which has
// nothing but a key, and the plugin pets, which notes by which tokens it is
// asked.
type tokens struct {
	key key

	mu   sync.Mutex
	seen []string
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/api/stagedoor/.backstage/auth/v1/jwks.json":
		_, _ = w.Write(s.key.JWKS())
	case "/api/pets/.backstage/actions/v1/actions":
		s.mu.Lock()
		s.seen = append(s.seen, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		s.mu.Unlock()
		_, _ = io.WriteString(w, `{"actions":[]}`)
	default:
		http.NotFound(w, r)
	}
}

// last is the token by which pets was asked last.
func (s *tokens) last(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		t.Fatal("Backstage has not asked")
	}
	return s.seen[len(s.seen)-1]
}

func listenTokens(t *testing.T) *tokens {
	t.Helper()
	backstage(t)
	s := &tokens{key: key{authtest.NewKey(t, t.Name(), "ES256")}}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("STAGEDOOR_TEST_GATEWAY_PORT"))
	if err != nil {
		t.Fatal(err)
	}
	running := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = running.Serve(listener) }() // ends with Close
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestTokens: the tokens of Backstage are taken for whose they are, and its
// plugins take ours for the user's.
func TestTokens(t *testing.T) {
	place := listenTokens(t)
	url, static := backstage(t)
	v := verifier.New(verifier.Options{
		BaseURL: url, Issuer: url + "/api/auth", PluginID: "stagedoor", Plugins: map[string]string{"mcp-actions": "", "scaffolder": ""}, Keys: auth.NewKeySets(nil),
		External: []verifier.External{verifier.Static(static, "stagedoor")},
	})
	api := auth.Resource{Plugin: "pets"}
	user := principal.Principal{Kind: principal.User, Subject: "user:default/guest", Issuer: url, Groups: []string{"user:default/guest", "group:depot/night-shift"}}
	behalf := user
	behalf.Actor = "plugin:mcp-actions"
	service := principal.Principal{Kind: principal.Service, Subject: "plugin:mcp-actions", Issuer: url}
	var whole string
	eventually(t, "night-shift", func() string { // when the catalog has the guest, who signs in again
		whole = guestToken(t)
		p, err := v.Verify(t.Context(), whole, api)
		return fmt.Sprint(p.Groups, err)
	})
	list := func(token string) string {
		askAs(t, token, http.MethodPost, "/api/mcp-actions/v1", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`)
		return place.last(t)
	}
	callers := map[string]principal.Principal{}
	for _, c := range []struct {
		name, token string
		want        principal.Principal
	}{
		{"user", whole, user},
		{"user by way of a plugin", list(whole), behalf},
		{"service by way of a plugin", list(static), service},
		{"service", static, principal.Principal{Kind: principal.Service, Subject: "stagedoor", Issuer: url}},
	} {
		got, err := v.Verify(t.Context(), c.token, api)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(principal.Principal{}, "Claims", "Expires", "Token"), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
		if _, err := v.Verify(t.Context(), c.token, auth.Resource{Plugin: "billing"}); strings.Contains(c.name, "plugin") == (err == nil) {
			t.Errorf("%s, elsewhere: %v", c.name, err)
		}
		callers[c.name] = got
	}
	for _, c := range []struct {
		caller string
		behalf credential.OnBehalf
		want   string // what the plugin sees of the caller
	}{
		{"user", credential.Required, `{"type":"user","userEntityRef":"user:default/guest","actor":{"type":"service","subject":"plugin:stagedoor"}}`},
		{"user by way of a plugin", credential.Required, `{"type":"user","userEntityRef":"user:default/guest","actor":{"type":"service","subject":"plugin:stagedoor"}}`},
		{"service by way of a plugin", credential.Possible, `{"type":"service","subject":"plugin:stagedoor"}`},
		{"user", credential.Never, `{"type":"service","subject":"plugin:stagedoor"}`},
	} {
		sent := func(target string) string {
			t.Helper()
			source := credential.Backstage(credential.BackstageOptions{PluginID: "stagedoor", Target: target, OnBehalf: c.behalf, Issuer: url, Signer: place.key})
			got, err := source.Credentials(principal.WithCaller(t.Context(), &principal.Caller{Principal: callers[c.caller]}), nil)
			if err != nil {
				t.Fatalf("%s, %s: %v", c.caller, c.behalf, err)
			}
			return strings.TrimPrefix(got.Header.Get("Authorization"), "Bearer ")
		}
		seen := decode(t, askAs(t, sent("depot"), http.MethodPost, "/api/depot/.backstage/actions/v1/actions/depot:see-caller/invoke", `{}`))
		if diff := cmp.Diff(map[string]any{"output": decode(t, []byte(c.want))}, seen); diff != "" {
			t.Errorf("%s, %s: a plugin sees (-want +got)\n%s", c.caller, c.behalf, diff)
		}
		if c.behalf != credential.Required {
			continue
		}
		who := decode(t, askAs(t, sent("auth"), http.MethodPost, "/api/auth/.backstage/actions/v1/actions/auth:who-am-i/invoke", `{}`))
		if got := look(t, ".output.userInfo.userEntityRef", who); got != `"user:default/guest"` {
			t.Errorf("%s, %s: who-am-i gives %v", c.caller, c.behalf, who)
		}
	}
}
