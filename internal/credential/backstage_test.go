package credential_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// signer signs with one key, and counts.
type signer struct {
	key    *ecdsa.PrivateKey
	mu     sync.Mutex
	signed int
	err    error
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{key: key}
}

func (s *signer) Sign(typ string, claims any) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signed++; s.err != nil {
		return "", s.err
	}
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := by.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (s *signer) JWKS() []byte { return nil }

const portal = "https://backstage.example.com"

// userToken is a token in the shape of Backstage's; its proof is no signature,
// which is nothing to the credential.
func userToken(header, sub string, ends time.Time) string {
	payload := fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":"backstage","iat":%d,"exp":%d,"uip":"cHJvb2Y"}`, portal+"/api/auth", sub, ends.Add(-time.Hour).Unix(), ends.Unix())
	return encode(header) + "." + encode(payload) + ".c2lnbmF0dXJl"
}

const userHeader = `{"typ":"vnd.backstage.user","alg":"ES256","kid":"u1"}`

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func limited(sub string, ends time.Time) string {
	return encode(`{"typ":"vnd.backstage.limited-user","alg":"ES256","kid":"u1"}`) + "." +
		encode(fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, sub, ends.Add(-time.Hour).Unix(), ends.Unix())) + ".cHJvb2Y"
}

func user(token string) principal.Principal {
	return principal.Principal{Kind: principal.User, Issuer: portal, Subject: "user:default/ada", Token: principal.NewToken(token)}
}

// sent is the token that goes to the plugin, or the error.
func sent(t *testing.T, s credential.Source, p principal.Principal) (string, error) {
	t.Helper()
	got, err := s.Credentials(principal.WithCaller(t.Context(), &principal.Caller{Principal: p, Door: "portal"}), nil)
	if err != nil {
		return "", err
	}
	token, ok := strings.CutPrefix(got.Header.Get("Authorization"), "Bearer ")
	if !ok || len(got.Header) != 1 || got.Query != nil {
		t.Fatalf("credentials are %v", got)
	}
	return token, nil
}

// parts verifies a token and gives its header and claims.
func parts(t *testing.T, s *signer, token string) (header, claims map[string]any) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(&s.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || json.Unmarshal(raw, &header) != nil || json.Unmarshal(payload, &claims) != nil {
		t.Fatal(err, token)
	}
	return header, claims
}

// TestBackstage: what the plugin gets, for each who may call.
func TestBackstage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		hour, soon, past := now.Add(time.Hour), now.Add(2*time.Minute), now.Add(-time.Second)
		whole := userToken(userHeader, "user:default/r&d", hour)
		old := userToken(`{"alg":"ES256","kid":"u1"}`, "user:default/ada", hour)
		obo := user(limited("user:default/ada", hour))
		obo.Actor = "plugin:scaffolder"
		elsewhere := user(whole)
		elsewhere.Issuer = "https://idp.example.com"
		service := principal.Principal{Kind: principal.Service, Issuer: portal, Subject: "plugin:scaffolder", Token: principal.NewToken("t")}

		const refused, none = "refused", ""
		for _, c := range []struct {
			name               string
			caller             principal.Principal
			required, possible string // obo, none or refused
			expires            time.Time
		}{
			{"user", user(whole), limited("user:default/r&d", hour), limited("user:default/r&d", hour), now.Add(5 * time.Minute)},
			{"user whose token ends first", user(userToken(userHeader, "user:default/ada", soon)), limited("user:default/ada", soon), limited("user:default/ada", soon), soon},
			{"plugin with a user", obo, limited("user:default/ada", hour), limited("user:default/ada", hour), now.Add(5 * time.Minute)},
			{"user whose token has ended", user(userToken(userHeader, "user:default/ada", past)), refused, refused, time.Time{}},
			{"old user token without a proof", user(old), refused, none, now.Add(5 * time.Minute)},
			{"plugin token as a user's", user(userToken(`{"typ":"vnd.backstage.plugin"}`, "catalog", hour)), refused, refused, time.Time{}},
			{"user with an opaque token", user("opaque"), refused, refused, time.Time{}},
			{"user without a token", principal.Principal{Kind: principal.User, Issuer: portal, Subject: "user:default/ada"}, refused, none, now.Add(5 * time.Minute)},
			{"user of another issuer", elsewhere, refused, none, now.Add(5 * time.Minute)},
			{"service", service, refused, none, now.Add(5 * time.Minute)},
			{"anonymous", principal.Principal{}, refused, none, now.Add(5 * time.Minute)},
		} {
			for behalf, want := range map[credential.OnBehalf]string{credential.Required: c.required, credential.Possible: c.possible, credential.Never: none} {
				keys := newSigner(t)
				source := credential.Backstage(credential.BackstageOptions{PluginID: "stagedoor", Target: "catalog", OnBehalf: behalf, Issuer: portal, Signer: keys})
				token, err := sent(t, source, c.caller)
				var refusal *credential.Refusal
				if want == refused {
					if !errors.As(err, &refusal) || keys.signed != 0 || strings.Contains(refusal.Message, "example.com") {
						t.Errorf("%s, %s: got %q, %v", c.name, behalf, token, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s, %s: %v", c.name, behalf, err)
					continue
				}
				header, claims := parts(t, keys, token)
				ends := c.expires
				if behalf == credential.Never {
					ends = now.Add(5 * time.Minute)
				}
				wanted := map[string]any{"sub": "stagedoor", "aud": "catalog", "iat": float64(now.Unix()), "exp": float64(ends.Unix())}
				if want != none {
					wanted["obo"] = want
				}
				if diff := cmp.Diff(wanted, claims); diff != "" {
					t.Errorf("%s, %s: claims (-want +got)\n%s", c.name, behalf, diff)
				}
				if diff := cmp.Diff(map[string]any{"typ": "vnd.backstage.plugin", "alg": "ES256", "kid": "k1"}, header); diff != "" {
					t.Errorf("%s, %s: header (-want +got)\n%s", c.name, behalf, diff)
				}
				if shown := c.caller.Token.Reveal(); want != shown && len(shown) > 1 && strings.Contains(token+fmt.Sprint(claims), shown) {
					t.Errorf("%s, %s: the caller's own token is passed on", c.name, behalf)
				}
			}
		}
	})
}

// TestBackstageKeeps: a token serves until shortly before its end, each user
// has one of their own, and none outlives the user's.
func TestBackstageKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := newSigner(t)
		source := credential.Backstage(credential.BackstageOptions{PluginID: "stagedoor", Target: "catalog", OnBehalf: credential.Required, Issuer: portal, Signer: keys})
		ends := time.Now().Add(10 * time.Minute)
		ada, bob := user(userToken(userHeader, "user:default/ada", ends)), user(userToken(userHeader, "user:default/bob", ends))
		get := func(p principal.Principal) string {
			t.Helper()
			token, err := sent(t, source, p)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		first := get(ada)
		if get(ada) != first || keys.signed != 1 {
			t.Error("a second call has another token")
		}
		if get(bob) == first || keys.signed != 2 {
			t.Error("two users have one token")
		}
		same, err := source.Credentials(principal.WithCaller(t.Context(), &principal.Caller{Principal: ada}), nil)
		again, err2 := source.Credentials(principal.WithCaller(t.Context(), &principal.Caller{Principal: ada}), nil)
		if err != nil || err2 != nil || same != again {
			t.Error("the same credentials are made anew")
		}
		time.Sleep(4*time.Minute - time.Second)
		if get(ada) != first {
			t.Error("a token is given up early")
		}
		time.Sleep(31 * time.Second)
		if get(ada) == first {
			t.Error("a token is used until its end")
		}
		time.Sleep(4*time.Minute + 30*time.Second)
		_, claims := parts(t, keys, get(ada))
		if got := claims["exp"]; got != float64(ends.Unix()) {
			t.Errorf("exp is %v, the user's is %d", got, ends.Unix())
		}
		time.Sleep(time.Minute)
		if token, err := sent(t, source, ada); err == nil {
			t.Errorf("a token after the user's end: %s", token)
		}
	})
}

// TestBackstageNoKey: a signer that fails is the gateway's fault, not the
// caller's, and is asked again.
func TestBackstageNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := newSigner(t)
		keys.err = errors.New("no key yet")
		source := credential.Backstage(credential.BackstageOptions{PluginID: "stagedoor", Target: "catalog", OnBehalf: credential.Never, Signer: keys})
		var refusal *credential.Refusal
		if _, err := sent(t, source, principal.Principal{}); !errors.Is(err, keys.err) || errors.As(err, &refusal) {
			t.Errorf("got %v", err)
		}
		keys.err = nil
		time.Sleep(time.Second)
		if _, err := sent(t, source, principal.Principal{}); err != nil {
			t.Error(err)
		}
		if got := source.Places(nil); !cmp.Equal(got.Header, []string{"Authorization"}) {
			t.Errorf("places: %v", got)
		}
	})
}

// TestBackstageTogether has many call at once, for the race detector.
func TestBackstageTogether(t *testing.T) {
	keys := newSigner(t)
	source := credential.Backstage(credential.BackstageOptions{PluginID: "stagedoor", Target: "catalog", OnBehalf: credential.Required, Issuer: portal, Signer: keys})
	ends := time.Now().Add(time.Hour)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			name := fmt.Sprintf("user:default/u%d", i%4)
			token, err := sent(t, source, user(userToken(userHeader, name, ends)))
			if err != nil {
				t.Error(err)
				return
			}
			if _, claims := parts(t, keys, token); claims["obo"] != limited(name, ends) {
				t.Errorf("%s has the token of another", name)
			}
		})
	}
	wg.Wait()
}
