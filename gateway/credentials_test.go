package gateway_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// watched is a service that notes the head of each request that it gets.
type watched struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func watch(t *testing.T, h http.HandlerFunc) *watched {
	t.Helper()
	s := &watched{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, fmt.Sprintf("%s %s %v", r.Method, r.URL.RequestURI(), r.Header))
		s.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *watched) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seen, "\n")
}

// serves answers with a document, and with {} elsewhere.
func serves(document string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/openapi.yaml" {
			_, _ = io.WriteString(w, document)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	}
}

func pluginsConfig(t *testing.T, plugins map[string]gateway.Plugin) gateway.Config {
	t.Helper()
	cfg := petConfig(t, "")
	s := gateway.DefaultServer()
	s.Actions.Include = []gateway.Rule{{ID: "*"}}
	cfg.Plugins, cfg.Servers = plugins, map[string]gateway.Server{"all": s}
	return cfg
}

// TestCredentialsStayWithTheirPlugin: a document that names another plugin's
// host gets no credentials there, of either (threat 10).
func TestCredentialsStayWithTheirPlugin(t *testing.T) {
	const document = `openapi: 3.1.0
info: {title: T, version: "1"}
servers: [{url: %[1]q}]
paths:
  /own: {servers: [{url: %[1]q}], get: {operationId: own, x-action: true, responses: {}}}
  /redirect: {get: {operationId: away, x-action: true, responses: {}}}
`
	b := watch(t, serves(fmt.Sprintf(document, "/")))
	a := watch(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, b.URL+"/stolen", http.StatusTemporaryRedirect)
			return
		}
		serves(fmt.Sprintf(document, b.URL))(w, r)
	})
	plugin := func(url, token, key string) gateway.Plugin {
		p := gateway.DefaultPlugin()
		p.Spec, p.Auth.Bearer = url+"/openapi.yaml", gateway.SecretValue(token)
		p.Schemes = map[string]gateway.PluginAuth{"unused": {Query: gateway.QueryAuth{Name: "key", Value: gateway.SecretValue(key)}}}
		return p
	}
	g := start(t, pluginsConfig(t, map[string]gateway.Plugin{
		"a": plugin(a.URL, "canary-of-a", "canary-key-of-a"), "b": plugin(b.URL, "canary-of-b", "canary-key-of-b"),
	}))
	for _, id := range []string{"a:own", "a:away", "b:own", "b:away"} {
		if _, err := g.Call(t.Context(), id, nil); (err != nil) != (id == "a:away") {
			t.Errorf("%s: %v", id, err)
		}
	}
	if strings.Contains(a.all(), "of-b") || strings.Contains(b.all(), "of-a") || strings.Contains(b.all(), "stolen") {
		t.Errorf("credentials went to the other plugin\na: %s\nb: %s", a.all(), b.all())
	}
	if strings.Count(a.all(), "Bearer canary-of-a") < 3 || strings.Count(b.all(), "Bearer canary-of-b") < 3 {
		t.Errorf("credentials are missing\na: %s\nb: %s", a.all(), b.all())
	}
}

// TestSecuritySchemes: what goes with which operation, and what the config's
// reader is told.
func TestSecuritySchemes(t *testing.T) {
	const document = `openapi: 3.1.0
info: {title: T, version: "1"}
security: [{oauth: [read]}]
paths:
  /a: {get: {operationId: a, parameters: [{name: X-Key, in: header, required: true, schema: {type: string}}], responses: {}}}
  /b: {get: {operationId: b, security: [{header: [], query: []}], responses: {}}}
  /c: {get: {operationId: c, security: [{nobody: []}], responses: {}}}
  /d: {get: {operationId: d, security: [{nobody: []}], responses: {}}}
  /e: {get: {operationId: e, security: [], responses: {}}}
components:
  securitySchemes:
    oauth: {type: oauth2, flows: {}}
    header: {type: apiKey, in: header, name: X-Key}
    query: {type: apiKey, in: query, name: k}
    nobody: {type: http, scheme: digest}
    wrong: {type: apiKey, in: header, name: X-Wrong}
`
	s := watch(t, serves(""))
	secret := gateway.SecretValue
	p := gateway.DefaultPlugin()
	p.Document, p.BaseURL, p.Actions = []byte(document), s.URL, "all"
	p.Schemes = map[string]gateway.PluginAuth{
		"oauth": {Bearer: secret("canary-oauth")}, "header": {Header: gateway.HeaderAuth{Name: "x-key", Value: secret("canary-header")}},
		"query": {Query: gateway.QueryAuth{Name: "k", Value: secret("canary-query")}}, "wrong": {Bearer: secret("canary-wrong")}, "mistyped": {Use: "none"},
	}
	for auth, want := range map[string]string{
		"": "security-mismatch: security scheme \"wrong\" is the header X-Wrong, and the config has other credentials for it\n" +
			"security-unmapped: the gateway has no credentials for the security scheme \"nobody\" (HTTP digest), which GET /c and 1 more need\n" +
			"security-scheme-unknown: document defines no security scheme \"mistyped\", for which the config has credentials\n",
		"none": "security-mismatch: security scheme \"wrong\" is the header X-Wrong, and the config has other credentials for it\n" +
			"security-scheme-unknown: document defines no security scheme \"mistyped\", for which the config has credentials\n",
	} {
		p.Auth.Use = auth
		g := start(t, pluginsConfig(t, map[string]gateway.Plugin{"p": p}))
		got := ""
		for _, f := range g.Findings() {
			if strings.HasPrefix(f.Code, "security") {
				got += f.Code + ": " + f.Message + "\n"
			}
		}
		if got != want {
			t.Errorf("auth %q: got %s", auth, got)
		}
		s.seen = nil
		for _, name := range []string{"a", "b", "c", "e"} {
			if _, err := g.Call(t.Context(), "p:"+name, nil); err != nil {
				t.Error(name, err)
			}
		}
		for i, want := range []string{"canary-oauth", "canary-header canary-query", "", ""} {
			for _, canary := range []string{"canary-oauth", "canary-header", "canary-query", "canary-wrong"} {
				if strings.Contains(s.seen[i], canary) != strings.Contains(want, canary) {
					t.Errorf("want %q, sent %s", want, s.seen[i])
				}
			}
		}
		if req, err := g.Preview(t.Context(), "p:b", nil); err != nil || req.Header.Get("X-Key") != "[redacted]" || req.URL.Query().Get("k") != "[redacted]" {
			t.Errorf("preview %v %v", req, err)
		}
	}
}

// TestSpecCredentials: kinds that the document can be read with, and that only
// it is; a token that was revoked is got anew at the next look.
func TestSpecCredentials(t *testing.T) {
	var given atomic.Int64
	idp := watch(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"access_token":"canary-token-%d","expires_in":3600}`, given.Add(1))
	})
	document := fmt.Sprintf(petDocument, "")
	for name, tt := range map[string]struct {
		auth gateway.PluginAuth
		want string
	}{
		"query":             {gateway.PluginAuth{Query: gateway.QueryAuth{Name: "sig", Value: gateway.SecretValue("canary-sig")}}, "/openapi.yaml?v=1&sig=canary-sig"},
		"clientCredentials": {gateway.PluginAuth{ClientCredentials: gateway.ClientCredentials{TokenURL: idp.URL, ClientID: "gw", ClientSecret: gateway.SecretValue("canary-secret")}}, "Bearer canary-token-1"},
	} {
		s := watch(t, serves(document))
		p := gateway.DefaultPlugin()
		p.Spec, p.SpecAuth = s.URL+"/openapi.yaml?v=1", tt.auth
		g := start(t, pluginsConfig(t, map[string]gateway.Plugin{"p": p}))
		if !strings.Contains(s.all(), tt.want) {
			t.Errorf("%s: the document was asked for with %s", name, s.all())
		}
		s.seen = nil
		if _, err := g.Call(t.Context(), "p:get-pet", json.RawMessage(`{"id":"x"}`)); err != nil || strings.Contains(s.all(), "canary") {
			t.Errorf("%s: a call has the document's credentials: %s (%v)", name, s.all(), err)
		}
	}
}

// authority is somebody who vouches for others.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.key, a.certificate, a.pem = issue(t, nil, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

func issue(t *testing.T, by *authority, c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := c, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, made, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// client writes a client's certificate of that name and its key.
func (a *authority) client(t *testing.T, dir, name string) {
	t.Helper()
	key, _, certificate := issue(t, a, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{"cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMutualTLS: gateway and plugin know each other by certificates of their own
// authority, for the document and for calls; a renewed one is used at once.
func TestMutualTLS(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	key, certificate, _ := issue(t, a, &x509.Certificate{SerialNumber: big.NewInt(3), DNSNames: []string{"plugin.internal"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	var names []string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		names = append(names, r.TLS.PeerCertificates[0].Subject.CommonName)
		w.Header().Set("Connection", "close")
		serves(fmt.Sprintf(petDocument, ""))(w, r)
	}))
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	a.client(t, dir, "gateway-1")
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	p := gateway.DefaultPlugin()
	p.Spec = s.URL + "/openapi.yaml"
	p.TLS = gateway.TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), CAFile: filepath.Join(dir, "ca.pem"), ServerName: "plugin.internal"}
	g := start(t, pluginsConfig(t, map[string]gateway.Plugin{"p": p}))
	call := func() error {
		_, err := g.Call(t.Context(), "p:get-pet", json.RawMessage(`{"id":"x"}`))
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	a.client(t, dir, "gateway-2")
	if err := call(); err != nil {
		t.Error(err)
	}
	if got := strings.Join(names, " "); got != "gateway-1 gateway-1 gateway-2" {
		t.Errorf("the plugin saw %s", got)
	}
	newAuthority(t).client(t, dir, "impostor")
	if err := call(); err == nil || len(names) != 3 {
		t.Errorf("%v: an impostor was let in: %v", err, names)
	}
	for name, change := range map[string]func(*gateway.TLS){
		"another authority": func(c *gateway.TLS) { c.CAFile = "" }, "another name": func(c *gateway.TLS) { c.ServerName = "" }, "no certificate": func(c *gateway.TLS) { c.CertFile, c.KeyFile = "", "" },
	} {
		a.client(t, dir, "gateway-3")
		wrong := p
		change(&wrong.TLS)
		if _, err := gateway.New(t.Context(), pluginsConfig(t, map[string]gateway.Plugin{"p": wrong}), gateway.Offline()); err == nil {
			t.Errorf("%s: the plugin was talked to", name)
		}
	}
	for name, change := range map[string]func(*gateway.TLS){
		"no CA": func(c *gateway.TLS) { c.CAFile = filepath.Join(dir, "key.pem") }, "no file": func(c *gateway.TLS) { c.KeyFile += "x" },
	} {
		wrong := p
		change(&wrong.TLS)
		_, err := gateway.New(t.Context(), pluginsConfig(t, map[string]gateway.Plugin{"p": wrong}), gateway.Offline())
		if err == nil || !strings.Contains(err.Error(), "plugins.p.tls: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// keySet asks a gateway for its public keys.
func keySet(t *testing.T, g *gateway.Gateway) string {
	t.Helper()
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080/.well-known/jwks.json", http.NoBody))
	if h := w.Header(); w.Code != http.StatusOK || h.Get("Content-Type") != "application/json" || h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Cache-Control"), "public") {
		t.Errorf("got %d %v", w.Code, h)
	}
	if body := w.Body.String(); !strings.Contains(body, `"alg":"ES256"`) || strings.Contains(body, `"d"`) {
		t.Errorf("got %s", body)
	}
	return w.Body.String()
}

// TestKeysLast: a restart and a second replica have the same keys; a gateway
// that only shows something has others.
func TestKeysLast(t *testing.T) {
	for name, url := range map[string]string{"sqlite": storetest.SQLite(t), "postgres": storetest.Postgres(t)} {
		cfg := petConfig(t, "")
		cfg.Database.URL, cfg.Database.EncryptionKey = gateway.SecretValue(url), gateway.SecretValue("0123456789abcdef0123456789abcdef")
		first, err := gateway.New(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		want := keySet(t, first)
		if name == "postgres" {
			if got := keySet(t, start(t, cfg)); got != want {
				t.Error("another replica has other keys")
			}
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if got := keySet(t, start(t, cfg)); got != want {
			t.Errorf("%s: after a restart there are other keys", name)
		}
		if got := keySet(t, start(t, cfg, gateway.Offline())); got == want {
			t.Errorf("%s: a gateway that only shows something has the real keys", name)
		}
	}
}

// TestSecretsAreSeenNowhere: canaries in all secrets of credentials, and in no
// log, error, preview or dump of the config.
func TestSecretsAreSeenNowhere(t *testing.T) {
	idp := watch(t, func(w http.ResponseWriter, r *http.Request) {
		if user, _, _ := r.BasicAuth(); user == "broken" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"canary-secret is wrong"}`)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"canary-token","expires_in":3600}`)
	})
	s := watch(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, `{"message":"no to %s %v"}`, r.URL.RequestURI(), r.Header["Authorization"])
	})
	grant := func(client string) gateway.PluginAuth {
		return gateway.PluginAuth{ClientCredentials: gateway.ClientCredentials{TokenURL: idp.URL, ClientID: client, ClientSecret: gateway.SecretValue("canary-secret")}}
	}
	plugins := map[string]gateway.Plugin{}
	for name, auth := range map[string]gateway.PluginAuth{
		"query": {Query: gateway.QueryAuth{Name: "k", Value: gateway.SecretValue("canary-query")}}, "grant": grant("good"), "broken": grant("broken"),
		"basic": {Basic: gateway.BasicAuth{Username: "u", Password: gateway.SecretValue("canary-password")}},
	} {
		p := gateway.DefaultPlugin()
		p.Document, p.BaseURL, p.Auth = fmt.Appendf(nil, petDocument, ""), s.URL, auth
		plugins[name] = p
	}
	cfg := pluginsConfig(t, plugins)
	cfg.Database.EncryptionKey = gateway.SecretValue("canary-encryption-key-of-32-characters")
	var log bytes.Buffer
	g := start(t, cfg, gateway.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	dump, _ := json.Marshal(cfg)
	told := string(dump) + fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg)
	for name := range plugins {
		_, err := g.Call(t.Context(), name+":get-pet", json.RawMessage(`{"id":"x"}`))
		req, previewErr := g.Preview(t.Context(), name+":get-pet", json.RawMessage(`{"id":"x"}`))
		told += fmt.Sprint(err, previewErr, req.URL, req.Header)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if told += log.String(); strings.Contains(told, "canary") {
		t.Errorf("a secret is seen in %s", told[max(0, strings.Index(told, "canary")-200):])
	}
	if n := len(idp.seen); n != 2 {
		t.Errorf("tokens were asked for %d times: previews need none", n)
	}
}
