package credential_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

const (
	clientSecret = "canary-client-secret"
	inbound      = "canary-inbound-token"
)

// clock is the time as a test says it is.
type clock struct {
	sync.Mutex
	t time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.Lock()
	defer c.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.Lock()
	defer c.Unlock()
	c.t = c.t.Add(d)
}

// sts is a token endpoint that gives token-1, token-2 and so on.
type sts struct {
	*httptest.Server
	asked  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc] // nil: a token of 300 s
	mu     sync.Mutex
	forms  []url.Values
	users  []string
}

func newSTS(t *testing.T) *sts {
	t.Helper()
	s := &sts{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.asked.Add(1)
		_ = r.ParseForm()
		user, password, _ := r.BasicAuth()
		s.mu.Lock()
		s.forms, s.users = append(s.forms, r.PostForm), append(s.users, user+":"+password)
		s.mu.Unlock()
		if answer := s.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":300}`, n)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *sts) says(status int, body string) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	s.answer.Store(&h)
}

func (s *sts) endpoint(c *clock) credential.Endpoint {
	return credential.Endpoint{URL: s.URL + "/token", ClientID: "gateway", ClientSecret: known(clientSecret), Audience: "billing", Now: c.now}
}

func known(secret string) credential.Secret {
	return func() (string, error) { return secret, nil }
}

var action = &openapi.Action{Name: "pay"}

// token is what a source gives for Authorization; "": an error, which is told.
func token(ctx context.Context, s credential.Source) (string, error) {
	c, err := s.Credentials(ctx, action)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(c.Header.Get("Authorization"), "Bearer "), nil
}

func wantToken(t *testing.T, s credential.Source, want string) {
	t.Helper()
	if got, err := token(t.Context(), s); got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// TestTokenRequest: where the client's secret goes, and what is asked for.
func TestTokenRequest(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*credential.Endpoint)
		user   string
		form   url.Values
	}{
		"header": {func(*credential.Endpoint) {}, "gateway:" + clientSecret, url.Values{"audience": {"billing"}}},
		"body": {func(e *credential.Endpoint) { e.SecretInBody = true }, ":", url.Values{
			"audience": {"billing"}, "client_id": {"gateway"}, "client_secret": {clientSecret},
		}},
		"encoded": {func(e *credential.Endpoint) { e.ClientID, e.ClientSecret = "a:b c", known("p%w+d:é/longer") }, "a%3Ab+c:p%25w%2Bd%3A%C3%A9%2Flonger", url.Values{"audience": {"billing"}}},
		"more": {func(e *credential.Endpoint) {
			e.Audience, e.Resource, e.Scopes = "", "https://billing.internal", []string{"read", "write"}
		}, "gateway:" + clientSecret, url.Values{"resource": {"https://billing.internal"}, "scope": {"read write"}}},
		"no secret": {func(e *credential.Endpoint) { e.ClientSecret = nil }, ":", url.Values{"audience": {"billing"}, "client_id": {"gateway"}}},
	} {
		s, c := newSTS(t), newClock()
		e := s.endpoint(c)
		tt.change(&e)
		wantToken(t, credential.ClientCredentials(e), "token-1")
		tt.form.Set("grant_type", "client_credentials")
		if diff := cmp.Diff(tt.form, s.forms[0]); diff != "" || s.users[0] != tt.user {
			t.Errorf("%s: %q %s", name, s.users[0], diff)
		}
	}
}

// TestTokenAnswers: what is no token of use is an error that tells no secret.
func TestTokenAnswers(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("gateway:"+clientSecret))
	for name, tt := range map[string]struct {
		status     int
		body, want string
	}{
		"refused":    {401, `{"error":"invalid_client","error_description":"no such client ` + clientSecret + `"}`, `HTTP 401, error "invalid_client": "no such client [redacted]"`},
		"echo":       {401, `{"error":"invalid_client","error_description":"` + basic + `"}`, `error "invalid_client": "Basic [redacted]"`},
		"down":       {503, `<html>` + clientSecret, "token endpoint answered with HTTP 503"},
		"redirect":   {302, ``, "HTTP 302"},
		"empty":      {200, ``, "no JSON of a token"},
		"no token":   {200, `{"token_type":"Bearer"}`, "no access_token"},
		"other type": {200, `{"access_token":"x","token_type":"DPoP"}`, `of the type "DPoP"`},
		"N_A":        {200, `{"access_token":"x","token_type":"N_A"}`, `of the type "N_A"`},
		"line break": {200, `{"access_token":"x\r\nX-Admin: 1","token_type":"Bearer"}`, "a header cannot carry"},
		"space":      {200, `{"access_token":"x y"}`, "a header cannot carry"},
		"endless":    {200, `{"access_token":"` + strings.Repeat("x", 70<<10), "over 64 KiB"},
	} {
		s := newSTS(t)
		s.says(tt.status, tt.body)
		got, err := token(t.Context(), credential.ClientCredentials(s.endpoint(newClock())))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), clientSecret) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// TestNoRedirect: the client's secret goes to the endpoint of the config alone.
func TestNoRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	s := newSTS(t)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	s.answer.Store(&h)
	if _, err := token(t.Context(), credential.ClientCredentials(s.endpoint(newClock()))); err == nil {
		t.Error("a redirect gave a token")
	}
}

// TestTokenLife: a token is used until shortly before its end, and then another
// one is got; numbers may stand in strings.
func TestTokenLife(t *testing.T) {
	for written, life := range map[string]time.Duration{
		`300`: 300 * time.Second, `"300"`: 300 * time.Second, `3e2`: 300 * time.Second, `4`: 4 * time.Second, `null`: 5 * time.Minute, `"soon"`: 5 * time.Minute, `"NaN"`: 5 * time.Minute,
	} {
		s, c := newSTS(t), newClock()
		s.says(200, `{"access_token":"t","token_type":"bearer","expires_in":`+written+`}`)
		source := credential.ClientCredentials(s.endpoint(c))
		wantToken(t, source, "t")
		c.pass(life / 2)
		if wantToken(t, source, "t"); s.asked.Load() != 1 {
			t.Errorf("%s: half of its life it was good, and was asked for again", written)
		}
		c.pass(life / 2)
		if wantToken(t, source, "t"); s.asked.Load() != 2 {
			t.Errorf("%s: it is over, and was asked for %d times", written, s.asked.Load())
		}
	}
}

// TestRenewedEarly: never is a token used in its last moments, and replicas do
// not renew theirs at the same one.
func TestRenewedEarly(t *testing.T) {
	times := map[int]bool{}
	for range 20 {
		s, c := newSTS(t), newClock()
		source := credential.ClientCredentials(s.endpoint(c))
		for second := range 300 {
			got, err := token(t.Context(), source)
			if got != fmt.Sprintf("token-%d", s.asked.Load()) || err != nil {
				t.Fatalf("got %s, %v", got, err)
			}
			if s.asked.Load() > 1 {
				times[second] = true
				break
			}
			c.pass(time.Second)
		}
		if s.asked.Load() != 2 {
			t.Fatalf("it was asked for %d times in its life", s.asked.Load())
		}
	}
	for second := range times {
		if second < 239 || second > 271 {
			t.Errorf("it was renewed after %d of 300 seconds", second)
		}
	}
	if len(times) < 2 {
		t.Errorf("all were renewed after %v", times)
	}
}

// TestOneRequest: a hundred calls that need the same token ask once, and one
// that gives up spoils it for no other.
func TestOneRequest(t *testing.T) {
	s, c, release := newSTS(t), newClock(), make(chan struct{})
	entered := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, `{"access_token":"t","expires_in":300}`)
	})
	s.answer.Store(&h)
	source := credential.ClientCredentials(s.endpoint(c))
	impatient, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := token(impatient, source); !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
	})
	<-entered
	for range 100 {
		all.Go(func() { wantToken(t, source, "t") })
	}
	cancel()
	close(release)
	all.Wait()
	if s.asked.Load() != 1 {
		t.Errorf("it was asked for %d times", s.asked.Load())
	}
}

// TestBackoff: an endpoint that fails is left alone, longer each time, and a
// token that is good outlasts that.
func TestBackoff(t *testing.T) {
	s, c := newSTS(t), newClock()
	source := credential.ClientCredentials(s.endpoint(c))
	s.says(503, "")
	for asked, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
		for range 3 {
			if _, err := token(t.Context(), source); err == nil {
				t.Fatal("a failure gave a token")
			}
			if s.asked.Load() != int64(asked+1) {
				t.Fatalf("asked %d times, want %d", s.asked.Load(), asked+1)
			}
			c.pass(wait/3 - time.Millisecond)
		}
		c.pass(4 * time.Millisecond)
	}
	s.answer.Store(nil)
	wantToken(t, source, "token-8")
	s.says(503, "")
	c.pass(280 * time.Second) // time to renew it
	if wantToken(t, source, "token-8"); s.asked.Load() != 9 {
		t.Errorf("it was not tried to be renewed: %d", s.asked.Load())
	}
	wantToken(t, source, "token-8")
	c.pass(20 * time.Second)
	if got, err := token(t.Context(), source); err == nil {
		t.Errorf("%q has ended, and is used", got)
	}
}

// TestDrop: a token that was refused is got anew, once for all who were, and not
// when it was made just now.
func TestDrop(t *testing.T) {
	s, c := newSTS(t), newClock()
	source := credential.ClientCredentials(s.endpoint(c))
	first, err := source.Credentials(t.Context(), action)
	if err != nil {
		t.Fatal(err)
	}
	first.Drop()
	wantToken(t, source, "token-1")
	c.pass(10 * time.Second)
	first.Drop()
	wantToken(t, source, "token-2")
	first.Drop()
	if wantToken(t, source, "token-2"); s.asked.Load() != 2 {
		t.Errorf("asked %d times", s.asked.Load())
	}
}

func as(ctx context.Context, p principal.Principal) context.Context {
	return principal.WithCaller(ctx, &principal.Caller{Principal: p, Door: "sales"})
}

const idp = "https://idp.example.com"

func ada() principal.Principal {
	return principal.Principal{
		Kind: principal.User, Issuer: idp, Subject: "ada", Client: "cli", Actor: "plugin:scaffolder", Groups: []string{"admins"}, Scopes: []string{"mcp:read", "mcp:write"},
		Claims: map[string]any{"org": "acme", "level": json.Number("3"), "secret": "s"}, Token: principal.NewToken(inbound),
	}
}

// TestTokenExchange: the caller's token is shown to the service, once for all
// calls with it, and what comes back is kept apart by caller and token.
func TestTokenExchange(t *testing.T) {
	s, c := newSTS(t), newClock()
	source := credential.TokenExchange(s.endpoint(c), []string{idp})
	bob := ada()
	bob.Subject = "bob"
	later := ada()
	later.Token = principal.NewToken(inbound + "-2")
	for _, call := range []struct {
		caller principal.Principal
		want   string
	}{{ada(), "token-1"}, {ada(), "token-1"}, {bob, "token-2"}, {later, "token-3"}, {ada(), "token-1"}, {bob, "token-2"}} {
		if got, err := token(as(t.Context(), call.caller), source); got != call.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", call.caller.Subject, got, err, call.want)
		}
	}
	want := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {inbound}, "audience": {"billing"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	}
	if diff := cmp.Diff(want, s.forms[0]); diff != "" {
		t.Error(diff)
	}
}

// TestExchangeRefused: who has no token that the service is to see is refused,
// and the service is not asked; nobody's token goes to another issuer's.
func TestExchangeRefused(t *testing.T) {
	other, without, static := ada(), ada(), ada()
	other.Issuer, without.Token, static.Issuer = "https://idp.example.com.evil", principal.Token{}, "static"
	for name, caller := range map[string]principal.Principal{"anonymous": {}, "other issuer": other, "no token": without, "static": static} {
		s := newSTS(t)
		_, err := token(as(t.Context(), caller), credential.TokenExchange(s.endpoint(newClock()), []string{idp}))
		if refusal := (*credential.Refusal)(nil); !errors.As(err, &refusal) || !strings.Contains(refusal.Message, "you are not known to its token service") {
			t.Errorf("%s: %v", name, err)
		}
		if s.asked.Load() != 0 {
			t.Errorf("%s: the service was asked", name)
		}
	}
}

// TestExchangeFails: what the service says of a token is for its caller, what it
// says of the gateway is not, and its answer is never the caller's own token.
func TestExchangeFails(t *testing.T) {
	for name, tt := range map[string]struct {
		status  int
		body    string
		refused bool
		want    string
	}{
		"caller":  {400, `{"error":"invalid_grant","error_description":"token ` + inbound + ` is revoked"}`, true, "gives no token for you"},
		"gateway": {401, `{"error":"invalid_client"}`, false, "invalid_client"},
		"down":    {502, ``, false, "HTTP 502"},
		"same":    {200, `{"access_token":"` + inbound + `","token_type":"Bearer"}`, false, "caller's own token"},
	} {
		s := newSTS(t)
		s.says(tt.status, tt.body)
		got, err := token(as(t.Context(), ada()), credential.TokenExchange(s.endpoint(newClock()), []string{idp}))
		refusal := (*credential.Refusal)(nil)
		if err == nil || errors.As(err, &refusal) != tt.refused || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), inbound) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// TestExchangeEnds: no exchanged token outlives the caller's.
func TestExchangeEnds(t *testing.T) {
	s, c := newSTS(t), newClock()
	source := credential.TokenExchange(s.endpoint(c), []string{idp})
	short := ada()
	short.Expires = c.now().Add(40 * time.Second)
	for _, want := range []string{"token-1", "token-1", "token-2"} {
		if got, err := token(as(t.Context(), short), source); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		c.pass(19 * time.Second)
	}
}

// TestExchangeIsBounded: any number of callers costs a bounded number of tokens.
func TestExchangeIsBounded(t *testing.T) {
	asked := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		fmt.Fprintf(w, `{"access_token":"t%d"}`, asked)
	})
	e := credential.Endpoint{URL: "http://sts.invalid", ClientID: "g", Transport: handled{h}}
	source := credential.TokenExchange(e, []string{idp})
	caller := ada()
	for i := range 4100 {
		caller.Subject = fmt.Sprint(i)
		if _, err := token(as(t.Context(), caller), source); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		subject string
		asked   int
	}{{"4099", 4100}, {"2000", 4100}, {"0", 4101}} {
		caller.Subject = tt.subject
		if _, err := token(as(t.Context(), caller), source); err != nil || asked != tt.asked {
			t.Errorf("%s: asked %d times, want %d (%v)", tt.subject, asked, tt.asked, err)
		}
	}
}

// handled answers without a socket.
type handled struct{ http.Handler }

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// FuzzTokenAnswer: whatever a token endpoint says, it is an error, or a token
// that a header can carry.
func FuzzTokenAnswer(f *testing.F) {
	for _, body := range []string{`{"access_token":"t","expires_in":-1}`, `{"access_token":"t","expires_in":1e400}`, `{"access_token":7}`, `[]`, `{"access_token":"\u0000","token_type":"bearer"}`, `{"access_token":"t","expires_in":{}}`} {
		f.Add(200, body)
		f.Add(400, body)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			t.Skip()
		}
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		got, err := token(t.Context(), credential.ClientCredentials(credential.Endpoint{URL: "http://sts.invalid", ClientID: "g", Transport: handled{h}}))
		if (got == "") != (err != nil) || strings.ContainsAny(got, "\r\n\x00 ") || err == nil && status != 200 {
			t.Errorf("%d %q: %q, %v", status, body, got, err)
		}
	})
}
