package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// assertions gives an assertion that a plugin got, and a gateway whose keys are
// at a socket.
func assertions(t *testing.T) (token, jwks string) {
	t.Helper()
	plugin := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { token = r.Header.Get("Stagedoor-Assertion") }))
	t.Cleanup(plugin.Close)
	p := gateway.DefaultPlugin()
	p.Document, p.BaseURL, p.Auth.Use = fmt.Appendf(nil, petDocument, ""), plugin.URL, "assertion"
	cfg := pluginsConfig(t, map[string]gateway.Plugin{"pets": p})
	cfg.PublicURL = "https://gateway.example.com"
	g := start(t, cfg)
	if _, err := g.Call(t.Context(), "pets:get-pet", json.RawMessage(`{"id":"x"}`)); err != nil || token == "" {
		t.Fatalf("%q, %v", token, err)
	}
	front := httptest.NewServer(g.Handler())
	t.Cleanup(front.Close)
	return token, front.URL + "/.well-known/jwks.json"
}

// snippet is the program of a language in docs/credentials.md.
func snippet(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/credentials.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatalf("docs/credentials.md has nothing in %s", language)
	}
	return string(m[1])
}

const jsMain = `
const [token, jwks] = process.argv.slice(2);
const options = { jwks, issuer: 'https://gateway.example.com', audience: 'pets' };
const claims = await verifyAssertion(token, options);
const refused = async (token, options) => { try { await verifyAssertion(token, options); return 'TAKEN'; } catch (e) { return e.message; } };
const [header, payload, signature] = token.split('.');
const other = Buffer.from(Buffer.from(payload, 'base64url').toString().replace('anonymous', 'user')).toString('base64url');
console.log(claims.action, claims.kind);
console.log(await refused([header, other, signature].join('.'), options));
console.log(await refused(token, { ...options, audience: 'other' }));
console.log(await refused(token, { ...options, issuer: 'https://evil.example.com' }));
`

// goMain is around the snippet: imports before, the rest behind.
const goImports = `package main

import ("crypto/ecdsa"; "crypto/elliptic"; "crypto/sha256"; "encoding/base64"; "encoding/json"; "errors"; "fmt"; "math/big"; "net/http"; "os"; "strings"; "time")

`

const goMain = `
func main() {
	resp, err := http.Get(os.Args[2])
	if err != nil { panic(err) }
	var set struct{ Keys []struct{ Kid, X, Y string } }
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil { panic(err) }
	keys := map[string]*ecdsa.PublicKey{}
	for _, k := range set.Keys {
		x, _ := base64.RawURLEncoding.DecodeString(k.X)
		y, _ := base64.RawURLEncoding.DecodeString(k.Y)
		keys[k.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
	}
	const issuer = "https://gateway.example.com"
	token := os.Args[1]
	claims, err := verifyAssertion(token, issuer, "pets", keys)
	if err != nil { panic(err) }
	fmt.Println(claims["action"], claims["kind"])
	parts := strings.Split(token, ".")
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), "anonymous", "user", 1)))
	for _, call := range [][3]string{{strings.Join(parts, "."), issuer, "pets"}, {token, issuer, "other"}, {token, "https://evil.example.com", "pets"}} {
		_, err := verifyAssertion(call[0], call[1], call[2], keys)
		fmt.Println(err)
	}
}
`

// TestAssertionSnippets runs what docs/credentials.md tells plugins to do.
func TestAssertionSnippets(t *testing.T) {
	token, jwks := assertions(t)
	dir := t.TempDir()
	for language, tt := range map[string]struct {
		file, text string
		command    []string
	}{
		"js": {"verify.mjs", snippet(t, "js") + jsMain, []string{"node"}},
		"go": {"verify.go", goImports + snippet(t, "go") + goMain, []string{"go", "run"}},
	} {
		t.Run(language, func(t *testing.T) {
			if _, err := exec.LookPath(tt.command[0]); err != nil {
				t.Skip(err)
			}
			file := filepath.Join(dir, tt.file)
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), tt.command[0], append(tt.command[1:], file, token, jwks)...).CombinedOutput() // #nosec G204 -- our own
			const want = "pets:get-pet anonymous\nbad signature\nfor somebody else\nfor somebody else\n"
			if err != nil || string(out) != want {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestAssertionIsForOnePlugin: it is addressed to the plugin, and is another one
// for each call.
func TestAssertionIsForOnePlugin(t *testing.T) {
	first, _ := assertions(t)
	second, _ := assertions(t)
	for _, token := range []string{first, second} {
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil || !strings.Contains(string(text), `"aud":"pets"`) || strings.Contains(string(text), `"sub"`) {
			t.Errorf("got %s, %v", text, err)
		}
	}
	if first == second {
		t.Error("two calls have the same assertion")
	}
}
