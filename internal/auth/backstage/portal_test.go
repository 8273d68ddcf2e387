package backstage_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
	"github.com/stagedoor/stagedoor/internal/auth/backstage"
)

const baseURL = "https://backstage.example.com"

// rawNull is null where it shall stand, and not be left out.
var rawNull = json.RawMessage("null")

// portal is a Backstage that has nothing but keys and users' groups, for a
// client's transport.
type portal struct {
	users, scaffolder, elsewhere, outside *authtest.Key

	mu       sync.Mutex
	asked    map[string]int // by URL without the scheme
	shown    []string       // tokens at userinfo
	userinfo func(w http.ResponseWriter, token string)
	empty    bool // no user has signed in yet: there are no keys
}

func newPortal(t testing.TB) *portal {
	t.Helper()
	return &portal{
		users: authtest.NewKey(t, "u1", "ES256"), scaffolder: authtest.NewKey(t, "p1", "ES256"), elsewhere: authtest.NewKey(t, "p2", "ES256"),
		outside: authtest.NewKey(t, "o1", "RS256"), asked: map[string]int{},
		userinfo: func(w http.ResponseWriter, _ string) {
			fmt.Fprint(w, `{"claims":{"sub":"user:default/ada","ent":["user:default/ada","group:default/r&d"]}}`)
		},
	}
}

func (p *portal) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	url, _ := strings.CutPrefix(r.URL.String(), "https://")
	p.asked[url]++
	keys := map[string]*authtest.Key{
		"backstage.example.com/api/auth/.well-known/jwks.json":              p.users,
		"backstage.example.com/api/scaffolder/.backstage/auth/v1/jwks.json": p.scaffolder,
		"backstage.example.com/api/search/.backstage/auth/v1/jwks.json":     p.scaffolder, // is not in the config
		"search-2.example.com/.backstage/auth/v1/jwks.json":                 p.elsewhere,
		"idp.example.com/jwks": p.outside,
	}[url]
	if p.empty {
		keys = nil
	}
	userinfo := p.userinfo
	if strings.HasSuffix(url, "/userinfo") {
		p.shown = append(p.shown, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	}
	p.mu.Unlock()
	w := httptest.NewRecorder()
	switch {
	case keys != nil:
		writeJSON(w, map[string]any{"keys": []any{keys.JWK()}})
	case url == "backstage.example.com/api/auth/v1/userinfo":
		userinfo(w, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	case strings.HasSuffix(url, "jwks.json") && p.empty:
		writeJSON(w, map[string]any{"keys": []any{}})
	default:
		http.NotFound(w, r)
	}
	return w.Result(), nil
}

// count is how often a URL that ends so was asked for.
func (p *portal) count(suffix string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for url, times := range p.asked {
		if strings.HasSuffix(url, suffix) {
			n += times
		}
	}
	return n
}

func writeJSON(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

// verifier is one that trusts the portal, with access from outside of each type.
func (p *portal) verifier(t testing.TB, change ...func(*backstage.Options)) auth.Verifier {
	t.Helper()
	keys := auth.NewKeySets(p)
	legacy, err := backstage.Legacy("c2VjcmV0LW9mLW9sZC1iYWNrc3RhZ2Utd2l0aC1sZW5ndGg=", "old-service")
	if err != nil {
		t.Fatal(err)
	}
	o := backstage.Options{
		BaseURL: baseURL, PluginID: "stagedoor", Plugins: map[string]string{"scaffolder": "", "search": "https://search-2.example.com/"},
		External: []backstage.External{
			backstage.Static("static-token", "ci"), legacy,
			backstage.JWKS{Keys: keys.At("https://idp.example.com/jwks"), Issuers: []string{"https://idp.example.com"}, Audiences: []string{"backstage"}, SubjectPrefix: "idp"},
		},
		Scopes: []string{"mcp:destructive", "actions:destructive"}, Keys: keys, Transport: p,
	}
	for _, c := range change {
		c(&o)
	}
	return backstage.New(o)
}

// member is one of a JSON object, in order; a value that is a json.RawMessage
// stands as it is, and nil leaves it out, as undefined does.
type member struct {
	name  string
	value any
}

// stringify writes members as JSON.stringify does.
func stringify(members ...member) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	comma := "{"
	for _, m := range members {
		if m.value == nil {
			continue
		}
		out.WriteString(comma)
		comma = ","
		for i, v := range []any{m.name, m.value} {
			if err := e.Encode(v); err != nil {
				panic(err)
			}
			out.Truncate(out.Len() - 1) // the line's end
			if i == 0 {
				out.WriteByte(':')
			}
		}
	}
	return append(out.Bytes(), '}')
}

// changed are members with others in their places, or added.
func changed(members []member, changes ...member) []member {
	all := append([]member(nil), members...)
next:
	for _, c := range changes {
		for i := range all {
			if all[i].name == c.name {
				all[i] = c
				continue next
			}
		}
		all = append(all, c)
	}
	return all
}

func header(typ string, k *authtest.Key) []member {
	return []member{{"typ", typ}, {"alg", k.Algorithm}, {"kid", k.ID}}
}

// user is a token as issueUserToken of Backstage makes them; ent is left out, as
// is its default.
func (p *portal) user(changes ...member) string {
	now := time.Now().Unix()
	sub, ends := any("user:default/ada"), any(now+3600)
	for _, c := range changes {
		switch c.name {
		case "sub":
			sub = c.value
		case "exp":
			ends = c.value
		}
	}
	proof := strings.Split(p.limited(sub, now, ends), ".")[2]
	return p.users.SignBytes(stringify(header("vnd.backstage.user", p.users)...), stringify(changed([]member{
		{"iss", baseURL + "/api/auth"}, {"sub", sub}, {"aud", "backstage"}, {"iat", now}, {"exp", ends}, {"uip", proof},
	}, changes...)...))
}

func (p *portal) limited(sub any, issued int64, ends any) string {
	return p.users.SignBytes(stringify(header("vnd.backstage.limited-user", p.users)...), stringify(member{"sub", sub}, member{"iat", issued}, member{"exp", ends}))
}

// plugin is a token as PluginTokenHandler of Backstage makes them.
func plugin(by *authtest.Key, sub string, changes ...member) string {
	now := time.Now().Unix()
	return by.SignBytes(stringify(header("vnd.backstage.plugin", by)...), stringify(changed([]member{
		{"sub", sub}, {"aud", "stagedoor"}, {"iat", now}, {"exp", now + 3600},
	}, changes...)...))
}
