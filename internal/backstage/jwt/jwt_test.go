package jwt_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stagedoor/stagedoor/internal/backstage/jwt"
)

// issued are tokens that Backstage's own code made (plugin-auth-backend 0.30.1),
// and what its backend-defaults 0.18.0 makes of them for other plugins.
func issued(t *testing.T) (all []struct {
	Name          string
	Key           jose.JSONWebKey
	User, Limited string
}) {
	t.Helper()
	text, err := os.ReadFile("testdata/backstage.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all) < 10 {
		t.Fatal(len(all), err)
	}
	return all
}

// TestLimited: our limited tokens are those of Backstage, byte for byte, and
// their signature is right.
func TestLimited(t *testing.T) {
	for _, c := range issued(t) {
		t.Run(c.Name, func(t *testing.T) {
			u, err := jwt.Read(c.User)
			if err != nil {
				t.Fatal(err)
			}
			got, err := u.Limited()
			if err != nil || got != c.Limited {
				t.Fatalf("got  %s (%v)\nwant %s", got, err, c.Limited)
			}
			signed, err := jose.ParseSignedCompact(got, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := signed.Verify(c.Key.Key); err != nil {
				t.Error(err)
			}
			limited, err := jwt.Read(got)
			if err != nil || limited.Type() != jwt.LimitedUser || limited.Subject() != u.Subject() || !limited.Expires().Equal(u.Expires()) || limited.IsUser() {
				t.Errorf("limited is %+v, %v", limited, err)
			}
			if again, err := limited.Limited(); err != nil || again != got {
				t.Errorf("the limited token of a limited token is %q, %v", again, err)
			}
			if !u.IsUser() || u.Claim("aud") != jwt.UserAudience || u.Expires().Sub(time.Unix(1795398693, 0)).Abs() > 24*time.Hour {
				t.Errorf("user's token says %s", u.Payload)
			}
		})
	}
}

// compact is a token with these members and no right signature.
func compact(header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(payload)) + ".c2ln"
}

func TestNoLimited(t *testing.T) {
	const claims = `"sub":"user:default/a","iat":1,"exp":2,"uip":"c2ln"`
	for name, c := range map[string]struct {
		header, payload string
		want            error
	}{
		"plugin":                       {`{"typ":"vnd.backstage.plugin"}`, `{` + claims + `}`, jwt.ErrNotUser},
		"JWT":                          {`{"typ":"JWT"}`, `{"aud":"backstage",` + claims + `}`, jwt.ErrNotUser},
		"no typ, other aud":            {`{}`, `{"aud":"other",` + claims + `}`, jwt.ErrNotUser},
		"no typ, aud in a list":        {`{}`, `{"aud":["backstage"],` + claims + `}`, jwt.ErrNotUser},
		"typ in other letters":         {`{"Typ":"vnd.backstage.user"}`, `{` + claims + `}`, jwt.ErrNotUser},
		"old":                          {`{"alg":"ES256"}`, `{"aud":"backstage",` + claims + `}`, jwt.ErrNoProof},
		"no uip":                       {`{"typ":"vnd.backstage.user"}`, `{"sub":"a","iat":1,"exp":2}`, jwt.ErrNoProof},
		"uip is no text":               {`{"typ":"vnd.backstage.user"}`, `{"sub":"a","iat":1,"exp":2,"uip":{}}`, jwt.ErrNoProof},
		"no sub but SUB":               {`{"typ":"vnd.backstage.user"}`, `{"SUB":"a","iat":1,"exp":2,"uip":"c2ln"}`, jwt.ErrNoProof},
		"no alg":                       {`{"typ":"vnd.backstage.user"}`, `{` + claims + `}`, jwt.ErrNoProof},
		"uip with more than it should": {`{"typ":"vnd.backstage.user","alg":"ES256"}`, `{"sub":"a","iat":1,"exp":2,"uip":"a.b"}`, jwt.ErrNoProof},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := jwt.Read(compact(c.header, c.payload))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := u.Limited(); !errors.Is(err, c.want) || got != "" {
				t.Errorf("got %q, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":             "",
		"opaque":            "a-static-token",
		"two parts":         "e30.e30",
		"four parts":        "e30.e30.c2ln.c2ln",
		"no base64url":      "e30.e3=.c2ln",
		"no JSON":           compact("{", "{}"),
		"a list":            compact("{}", "[]"),
		"null":              compact("null", "{}"),
		"text after":        compact("{}", "{} {}"),
		"JWE of five parts": "e30.e30.e30.e30.e30",
	} {
		if u, err := jwt.Read(text); err == nil {
			t.Errorf("%s: read as %+v", name, u)
		}
	}
}

func TestExpires(t *testing.T) {
	for exp, want := range map[string]int64{"2": 2, "2.9": 2, "1e3": 1000, `"2"`: 0, "null": 0, "-1": 0, "0": 0, "1e300": 0, "[]": 0} {
		u, err := jwt.Read(compact("{}", `{"exp":`+exp+`}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Expires(); want == 0 && !got.IsZero() || want != 0 && got.Unix() != want {
			t.Errorf("exp %s: %v", exp, got)
		}
	}
	if u, err := jwt.Read(compact("{}", "{}")); err != nil || !u.Expires().IsZero() {
		t.Errorf("no exp: %v", u.Expires())
	}
}

// FuzzLimited: whatever a token says, what is made of it is a token of three
// parts with the same subject, or an error.
func FuzzLimited(f *testing.F) {
	for _, c := range []string{compact(`{"typ":"vnd.backstage.user","alg":"ES256","kid":"k"}`, `{"sub":"a&b","iat":1,"exp":2,"uip":"c2ln"}`), "a.b.c", ""} {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		u, err := jwt.Read(string(text))
		if err != nil {
			return
		}
		limited, err := u.Limited()
		if err != nil {
			return
		}
		again, err := jwt.Read(limited)
		if err != nil || again.Type() != jwt.LimitedUser || !bytes.Equal(again.Payload["sub"], u.Payload["sub"]) || strings.Count(limited, ".") != 2 {
			t.Errorf("%s became %s, %v", text, limited, err)
		}
	})
}
