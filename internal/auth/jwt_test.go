package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
	"github.com/stagedoor/stagedoor/internal/principal"
)

const catalog = "https://stagedoor.example.com/mcp/catalog"

// at is the resource of most tests.
var at = auth.Resource{URL: catalog}

func jwtOf(i *authtest.Issuer, edit ...func(*auth.JWTOptions)) auth.Verifier {
	o := auth.JWTOptions{Issuer: i.URL, Keys: auth.NewKeySets(nil).Of(i.URL)}
	for _, e := range edit {
		e(&o)
	}
	return auth.NewJWT(o)
}

// verdict is what a caller would be told; "": the token holds.
func verdict(t testing.TB, v auth.Verifier, token string) string {
	t.Helper()
	_, err := v.Verify(t.Context(), token, at)
	return told(t, err, token)
}

func told(t testing.TB, err error, token string) string {
	t.Helper()
	var invalid *auth.InvalidError
	var unavailable *auth.UnavailableError
	if err != nil && len(token) > 100 && strings.Contains(err.Error(), token) {
		t.Errorf("error has the token: %v", err)
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, auth.ErrNotMine):
		return "not mine"
	case errors.As(err, &invalid):
		return invalid.Message
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	t.Errorf("error of no kind: %v", err)
	return err.Error()
}

func TestJWTTellsWhoItIs(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := jwtOf(issuer, func(o *auth.JWTOptions) { o.Groups = "realm.roles"; o.GrantScopes = []string{"mcp:write"} })
	token := issuer.Token(catalog, map[string]any{"realm": map[string]any{"roles": []string{"dev", "ops"}}, "tenant": 7})
	for range 2 { // the second time from what is remembered
		p, err := v.Verify(t.Context(), token, at)
		if err != nil {
			t.Fatal(err)
		}
		if p.Kind != principal.User || p.Subject != "ada" || p.Issuer != issuer.URL || p.Client != "agent" || strings.Join(p.Groups, " ") != "dev ops" ||
			strings.Join(p.Scopes, " ") != "mcp:read mcp:write" || p.Token.Reveal() != token || time.Until(p.Expires) < 59*time.Minute {
			t.Errorf("got %+v, until %s", p, p.Expires)
		}
		if got := principal.ClaimTexts(p.Claims, "tenant"); len(got) != 1 || got[0] != "7" {
			t.Errorf("tenant is %q", got)
		}
	}
}

// TestRS07Forgeries: nothing but a signature by a key of the issuer, with an
// algorithm that the config names, makes a token.
func TestRS07Forgeries(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	rsaKey, ecKey := authtest.NewKey(t, "rsa", "RS256"), authtest.NewKey(t, "key-1", "ES256")
	issuer.Publish(rsaKey, authtest.NewKey(t, "long", "ES384"), ecKey)
	v := jwtOf(issuer)
	claims := issuer.Claims(catalog, nil)
	der, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	modulus := rsaKey.Public().(*rsa.PublicKey).N.Bytes()
	stranger := authtest.NewKey(t, "key-1", "ES256")
	good := ecKey.Sign(nil, claims)
	parts := strings.Split(good, ".")
	jwk, err := json.Marshal(stranger.JWK())
	if err != nil {
		t.Fatal(err)
	}
	embedded := map[string]any{"jwk": json.RawMessage(jwk), "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u"}
	payload := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	jwe, err := encrypted(rsaKey.Public(), good)
	if err != nil {
		t.Fatal(err)
	}
	const signature, algorithm, unknown = "token has a wrong signature", "token has an algorithm that is not taken", "token is signed with an unknown key"
	for name, tc := range map[string]struct{ token, want string }{
		"good":                       {good, ""},
		"good, of the RSA key":       {rsaKey.Sign(nil, claims), ""},
		"good, kid-less":             {ecKey.Sign(map[string]any{"kid": nil}, claims), ""},
		"of another key, same kid":   {stranger.Sign(nil, claims), signature},
		"of another key, no kid":     {stranger.Sign(map[string]any{"kid": nil}, claims), unknown},
		"of another key, embedded":   {stranger.Sign(embedded, claims), signature},
		"unknown kid":                {ecKey.Sign(map[string]any{"kid": "key-2"}, claims), unknown},
		"kid of another type of key": {ecKey.Sign(map[string]any{"kid": "rsa"}, claims), unknown},
		"kid of another curve":       {ecKey.Sign(map[string]any{"kid": "long"}, claims), unknown},
		"kid as injection":           {ecKey.Sign(map[string]any{"kid": "../../key-1' or 1=1"}, claims), unknown},
		"kid too long":               {ecKey.Sign(map[string]any{"kid": strings.Repeat("k", 300)}, claims), "not mine"},
		"kid no text":                {ecKey.Sign(map[string]any{"kid": 1}, claims), "not mine"},
		"alg none":                   {authtest.Unsigned(map[string]any{"alg": "none"}, claims), "not mine"},
		"alg none, old signature":    {payload(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2], algorithm},
		"alg nOnE":                   {payload(`{"alg":"nOnE"}`) + "." + parts[1] + "." + parts[2], algorithm},
		"no alg":                     {payload(`{"typ":"JWT"}`) + "." + parts[1] + "." + parts[2], algorithm},
		"HS256 with the PEM":         {authtest.HMAC(public, map[string]any{"alg": "HS256", "kid": "rsa"}, claims), algorithm},
		"HS256 with the DER":         {authtest.HMAC(der, map[string]any{"alg": "HS256", "kid": "rsa"}, claims), algorithm},
		"HS256 with the modulus":     {authtest.HMAC(modulus, map[string]any{"alg": "HS256", "kid": "rsa"}, claims), algorithm},
		"HMAC that says RS256":       {authtest.HMAC(public, map[string]any{"alg": "RS256", "kid": "rsa"}, claims), signature},
		"alg of the key's family":    {rsaKey.Sign(map[string]any{"alg": "PS256"}, claims), unknown}, // the JWK says RS256
		"alg not of the config":      {rsaKey.Sign(map[string]any{"alg": "RS512"}, claims), algorithm},
		"crit":                       {ecKey.Sign(map[string]any{"crit": []string{"exp"}, "exp": 1}, claims), "not mine"},
		"crit, empty":                {ecKey.Sign(map[string]any{"crit": []string{}}, claims), "not mine"},
		"b64":                        {ecKey.Sign(map[string]any{"b64": false}, claims), "not mine"},
		"JWE":                        {jwe, "not mine"},
		"nested":                     {ecKey.SignBytes([]byte(`{"alg":"ES256","kid":"key-1","cty":"JWT"}`), []byte(good)), "not mine"},
		"alg twice":                  {ecKey.SignBytes([]byte(`{"alg":"none","alg":"ES256","kid":"key-1"}`), []byte(`{}`)), "not mine"},
		"iss twice":                  {ecKey.SignBytes([]byte(`{"alg":"ES256"}`), []byte(`{"iss":"`+issuer.URL+`","iss":"`+issuer.URL+`"}`)), "not mine"},
		"empty":                      {"", "not mine"},
		"dots":                       {"..", "not mine"},
		"no signature":               {parts[0] + "." + parts[1] + ".", "not mine"},
		"two signatures":             {good + "." + parts[2], "not mine"},
		"JSON serialization":         {`{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`, "not mine"},
		"cut off":                    {good[:len(good)-4], signature},
		"other payload":              {parts[0] + "." + payload(`{"iss":"`+issuer.URL+`","aud":"`+catalog+`","sub":"root","exp":99999999999}`) + "." + parts[2], signature},
		"padded base64":              {parts[0] + "=." + parts[1] + "." + parts[2], "not mine"},
		"too long":                   {ecKey.Sign(nil, issuer.Claims(catalog, map[string]any{"x": strings.Repeat("x", 32<<10)})), "not mine"},
	} {
		if got := verdict(t, v, tc.token); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	if n := issuer.Requests("/jwks"); n > 3 {
		t.Errorf("keys were fetched %d times", n)
	}
}

func encrypted(public crypto.PublicKey, payload string) (string, error) {
	e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: public}, nil)
	if err != nil {
		return "", err
	}
	object, err := e.Encrypt([]byte(payload))
	if err != nil {
		return "", err
	}
	return object.CompactSerialize()
}

// TestClaims has RS08 (audience), RS25 (issuer), RS26 (ID tokens, typ) and the
// times of RS07.
func TestClaims(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := jwtOf(issuer, func(o *auth.JWTOptions) {
		o.Required = map[string]string{"realm.tid": "7", "roles": "agent", "ok": "true"}
	})
	base := map[string]any{"realm": map[string]any{"tid": 7}, "roles": []string{"x", "agent"}, "ok": true}
	now := time.Now().Unix()
	const expired, early, client, audience, lacks = "token has expired", "token is not valid yet", "token is not an access token",
		"token is not for this server", "token lacks a claim that is needed here"
	for name, tc := range map[string]struct {
		typ    any
		claims map[string]any
		want   string
	}{
		"good":                     {"at+jwt", nil, ""},
		"aud list":                 {"at+jwt", map[string]any{"aud": []string{"https://other", catalog}}, ""},
		"aud absent":               {"at+jwt", map[string]any{"aud": nil}, audience},
		"aud empty":                {"at+jwt", map[string]any{"aud": []string{}}, audience},
		"aud of another server":    {"at+jwt", map[string]any{"aud": "https://stagedoor.example.com/mcp/billing"}, audience},
		"aud with a slash":         {"at+jwt", map[string]any{"aud": catalog + "/"}, audience},
		"aud a prefix":             {"at+jwt", map[string]any{"aud": "https://stagedoor.example.com/mcp"}, audience},
		"aud longer":               {"at+jwt", map[string]any{"aud": catalog + "s"}, audience},
		"aud in capitals":          {"at+jwt", map[string]any{"aud": strings.ToUpper(catalog)}, audience},
		"aud an object":            {"at+jwt", map[string]any{"aud": map[string]any{catalog: true}}, audience},
		"exp past":                 {"at+jwt", map[string]any{"exp": now - 1}, expired},
		"exp now":                  {"at+jwt", map[string]any{"exp": now}, expired},
		"exp absent":               {"at+jwt", map[string]any{"exp": nil}, "token has no exp"},
		"exp text":                 {"at+jwt", map[string]any{"exp": "9999999999"}, "token has an exp that is no time"},
		"exp huge":                 {"at+jwt", map[string]any{"exp": json.RawMessage("1e300")}, "token has an exp that is no time"},
		"exp with fraction":        {"at+jwt", map[string]any{"exp": json.RawMessage("4102444800.5")}, ""},
		"nbf ahead":                {"at+jwt", map[string]any{"nbf": now + 60}, early},
		"nbf a little ahead":       {"at+jwt", map[string]any{"nbf": now + 15}, ""},
		"iat ahead":                {"at+jwt", map[string]any{"iat": now + 60}, early},
		"iss of another":           {"at+jwt", map[string]any{"iss": "https://idp.example.com"}, "not mine"},
		"iss with a slash":         {"at+jwt", map[string]any{"iss": issuer.URL + "/"}, "not mine"},
		"iss absent":               {"at+jwt", map[string]any{"iss": nil}, "not mine"},
		"sub absent":               {"at+jwt", map[string]any{"sub": nil}, "token does not say whose it is"},
		"sub empty":                {"at+jwt", map[string]any{"sub": ""}, "token does not say whose it is"},
		"sub a number":             {"at+jwt", map[string]any{"sub": 7}, "token does not say whose it is"},
		"required other":           {"at+jwt", map[string]any{"realm": map[string]any{"tid": 8}}, lacks},
		"required absent":          {"at+jwt", map[string]any{"ok": nil}, lacks},
		"required not in the list": {"at+jwt", map[string]any{"roles": []string{"agents"}}, lacks},
		"typ media type":           {"application/at+jwt", nil, ""},
		"typ in capitals":          {"AT+JWT", nil, ""},
		"typ JWT":                  {"JWT", nil, ""},
		"typ absent":               {nil, nil, ""},
		"typ of a logout":          {"logout+jwt", nil, "token has a typ that is not taken"},
		"typ DPoP":                 {"dpop+jwt", nil, "token has a typ that is not taken"},
		"typ Backstage user":       {"vnd.backstage.user", nil, "token has a typ that is not taken"},
		"typ Backstage limited":    {"vnd.backstage.limited-user", nil, "token has a typ that is not taken"},
		"ID token by nonce":        {"JWT", map[string]any{"nonce": "n"}, client},
		"ID token by at_hash":      {nil, map[string]any{"at_hash": "h"}, client},
		"ID token by c_hash":       {"JWT", map[string]any{"c_hash": "h"}, client},
		"ID token by s_hash":       {"JWT", map[string]any{"s_hash": "h"}, client},
		"ID token by Keycloak":     {"JWT", map[string]any{"typ": "ID"}, client},
		"refresh by Keycloak":      {"JWT", map[string]any{"typ": "Refresh"}, client},
		"ID token by Cognito":      {"JWT", map[string]any{"token_use": "id"}, client},
		"access token with nonce":  {"at+jwt", map[string]any{"nonce": "n"}, ""},
	} {
		claims := issuer.Claims(catalog, base)
		for k, c := range tc.claims {
			claims[k] = c
			if c == nil {
				delete(claims, k)
			}
		}
		if got := verdict(t, v, issuer.Newest().Sign(map[string]any{"typ": tc.typ}, claims)); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestBackstageTypIsNeverTaken: not even where the config lists it.
func TestBackstageTypIsNeverTaken(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := jwtOf(issuer, func(o *auth.JWTOptions) { o.Types = []string{"vnd.backstage.user", "JWT"} })
	if got := verdict(t, v, issuer.Newest().Sign(map[string]any{"typ": "vnd.backstage.user"}, issuer.Claims(catalog, nil))); got != "token has a typ that is not taken" {
		t.Errorf("got %q", got)
	}
	if got := verdict(t, v, issuer.Token(catalog, nil)); got != "token has a typ that is not taken" { // at+jwt
		t.Errorf("got %q", got)
	}
}

func TestKindScopesAndGroups(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	for name, tc := range map[string]struct {
		mapping auth.Mapping
		claims  map[string]any
		want    string // kind subject client groups scopes
	}{
		"scope":         {auth.Mapping{}, map[string]any{"scope": " a  b a"}, "user ada agent [] [a b a]"},
		"scp list":      {auth.Mapping{}, map[string]any{"scope": nil, "scp": []string{"a", "b"}}, "user ada agent [] [a b]"},
		"scp text":      {auth.Mapping{}, map[string]any{"scope": nil, "scp": "a b"}, "user ada agent [] [a b]"},
		"scopes":        {auth.Mapping{}, map[string]any{"scope": nil, "scopes": []string{"a"}}, "user ada agent [] [a]"},
		"no scope":      {auth.Mapping{GrantScopes: []string{"g"}}, map[string]any{"scope": nil}, "user ada agent [] [g]"},
		"mapped scopes": {auth.Mapping{Scopes: "x.roles"}, map[string]any{"x": map[string]any{"roles": []string{"r"}}}, "user ada agent [] [r]"},
		"groups":        {auth.Mapping{}, map[string]any{"groups": []any{"a b", 7, nil, map[string]any{}}}, "user ada agent [a b 7] [mcp:read]"},
		"group":         {auth.Mapping{Groups: "team"}, map[string]any{"team": "core"}, "user ada agent [core] [mcp:read]"},
		"whole name":    {auth.Mapping{Groups: "https://example.com/groups"}, map[string]any{"https://example.com/groups": []string{"g"}}, "user ada agent [g] [mcp:read]"},
		"subject":       {auth.Mapping{Subject: "email"}, map[string]any{"sub": nil, "email": "ada@example.com"}, "user ada@example.com agent [] [mcp:read]"},
		"azp":           {auth.Mapping{}, map[string]any{"client_id": nil, "azp": "web"}, "user ada web [] [mcp:read]"},
		"service":       {auth.Mapping{}, map[string]any{"sub": "agent"}, "service agent agent [] [mcp:read]"},
		"Auth0":         {auth.Mapping{}, map[string]any{"sub": "x@clients", "client_id": nil, "azp": "x", "gty": "client-credentials"}, "service x@clients x [] [mcp:read]"},
		"Entra":         {auth.Mapping{}, map[string]any{"client_id": nil, "azp": "x", "idtyp": "app"}, "service ada x [] [mcp:read]"},
	} {
		v := jwtOf(issuer, func(o *auth.JWTOptions) { o.Mapping = tc.mapping })
		p, err := v.Verify(t.Context(), issuer.Token(catalog, tc.claims), at)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := string(p.Kind) + " " + p.Subject + " " + p.Client + " [" + strings.Join(p.Groups, " ") + "] [" + strings.Join(p.Scopes, " ") + "]"; got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

// TestWhatIsRememberedIsBound: a token that was verified for one server is
// another one's no more than before, and ends when it ends.
func TestWhatIsRememberedIsBound(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := jwtOf(issuer)
	token := issuer.Token(catalog, nil)
	if got := verdict(t, v, token); got != "" {
		t.Fatal(got)
	}
	_, err := v.Verify(t.Context(), token, auth.Resource{URL: "https://stagedoor.example.com/mcp/billing"})
	if got := told(t, err, token); got != "token is not for this server" {
		t.Errorf("got %q", got)
	}
	// A key of the same id in the place of the old one takes the token with it.
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer.Publish(authtest.Of("key-1", "ES256", stranger))
	other := auth.NewJWT(auth.JWTOptions{Issuer: issuer.URL, Keys: auth.NewKeySets(nil).Of(issuer.URL)})
	if got := verdict(t, other, token); got != "token has a wrong signature" {
		t.Errorf("got %q", got)
	}
}
