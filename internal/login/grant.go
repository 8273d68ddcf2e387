package login

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// tokenAnswer is what a token endpoint answers (RFC 6749, section 5.1).
type tokenAnswer struct {
	AccessToken  string      `json:"access_token"`
	TokenType    string      `json:"token_type"`
	ExpiresIn    json.Number `json:"expires_in"` // seconds; some quote it
	RefreshToken string      `json:"refresh_token"`
	Scope        string      `json:"scope"`
}

// life is how long the access token holds; 0: it is not said.
func (a tokenAnswer) life() time.Duration { return seconds(a.ExpiresIn) }

// seconds reads a number of them, bounded by a year; 0 where it is none.
func seconds(n json.Number) time.Duration {
	f, err := n.Float64()
	if err != nil || f <= 0 {
		return 0
	}
	const year = 365 * 24 * 3600
	return time.Duration(min(f, year) * float64(time.Second))
}

// oauthError is an error answer (RFC 6749, section 5.2).
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (e *oauthError) Error() string {
	if e.Description == "" {
		return "authorization server says " + clean(e.Code)
	}
	return fmt.Sprintf("authorization server says %s: %s", clean(e.Code), clean(e.Description))
}

// codeOf is the code of an OAuth error; "" of others.
func codeOf(err error) string {
	if e, ok := errors.AsType[*oauthError](err); ok {
		return e.Code
	}
	return ""
}

// grant asks a token endpoint for tokens.
func (w *web) grant(ctx context.Context, endpoint string, form url.Values) (tokenAnswer, error) {
	status, data, err := w.post(ctx, endpoint, form)
	if err != nil {
		return tokenAnswer{}, err
	}
	if err := refusal(endpoint, status, data); err != nil {
		return tokenAnswer{}, err
	}
	var a tokenAnswer
	if err := json.Unmarshal(data, &a); err != nil {
		return tokenAnswer{}, fmt.Errorf("%s: answer has no tokens", clean(endpoint))
	}
	switch {
	case !isToken(a.AccessToken) || a.RefreshToken != "" && !isToken(a.RefreshToken):
		return tokenAnswer{}, fmt.Errorf("%s: answer has no access token that a header can carry", clean(endpoint))
	case !strings.EqualFold(a.TokenType, "Bearer"):
		return tokenAnswer{}, fmt.Errorf("%s: token is of type %q, and only Bearer tokens are understood", clean(endpoint), clean(a.TokenType))
	}
	return a, nil
}

// refusal is the error of an answer that is no success.
func refusal(endpoint string, status int, data []byte) error {
	if status >= 200 && status < 300 {
		return nil
	}
	var err error = fmt.Errorf("%s: HTTP %d", clean(endpoint), status)
	if e := (&oauthError{}); json.Unmarshal(data, e) == nil && e.Code != "" {
		err = e
	}
	if status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout {
		return passing{err}
	}
	return err
}

// isToken tells whether a header can carry it: visible ASCII, and not all too
// much of it.
func isToken(s string) bool {
	const most = 64 << 10
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// renewed gives a token that is not the rejected one, without a person.
func (s *Source) renewed(ctx context.Context, rejected string) (string, error) {
	r, err := s.record()
	if err != nil {
		return "", err
	}
	if r.Secrets.Access != rejected && r.fresh(time.Now()) {
		return r.Secrets.Access, nil
	}
	unlock, err := s.store.lock(ctx, "refresh-"+ringHash(r.Login))
	if err != nil {
		return "", err
	}
	defer unlock()
	if r, err = s.record(); err != nil { // another process may have been here
		return "", err
	}
	if r.Secrets.Access != rejected && r.fresh(time.Now()) {
		return r.Secrets.Access, nil
	}
	return s.spend(ctx, r)
}

// spend trades the refresh token for new tokens, after another look at whom
// the server trusts: tokens of one authorization server are shown to no other,
// nor to a server that has turned to another one.
func (s *Source) spend(ctx context.Context, r record) (string, error) {
	if r.Secrets.Refresh == "" {
		return "", s.loggedOut("login has ended, and the authorization server gave no refresh token")
	}
	d, err := s.discover(ctx, r.Reach, false)
	if err != nil {
		return "", err
	}
	if !slices.Contains(d.issuers, r.Issuer) || d.resource != r.Resource {
		return "", s.loggedOut("server has another authorization server than the login")
	}
	w := s.web(d.most)
	as, err := w.authServer(ctx, r.Issuer)
	if err != nil {
		return "", err
	}
	now := time.Now()
	// An interrupt in the middle would lose the token that takes this one's place.
	answer, err := w.grant(context.WithoutCancel(ctx), as.TokenEndpoint, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {r.Secrets.Refresh}, "client_id": {r.Client}, "resource": {r.Resource},
	})
	if codeOf(err) == "invalid_grant" {
		return "", errors.Join(s.loggedOut("login has ended ("+err.Error()+")"), s.store.forget(r.Login))
	}
	if err != nil {
		return "", err
	}
	r.issue(answer, nil, now)
	if err := s.store.save(r); err != nil {
		say(s.opts.Out, "Renewed tokens could not be stored, and the old ones may be of no use any more: %v\n", err)
	}
	return answer.AccessToken, nil
}

// Logout revokes the tokens of all logins to the server, where their
// authorization server can (RFC 7009), and forgets them. A login that could not
// be revoked is forgotten, too; what went wrong is told on Options.Out. It
// gives how many there were.
func (s *Source) Logout(ctx context.Context) (int, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.end()
	for n := 0; ; n++ {
		r, ok, err := s.store.find(s.Server(), "")
		if !ok {
			return n, err
		}
		if err := s.close(ctx, r.Login); err != nil {
			return n, err
		}
	}
}

// close revokes and forgets one login. Nobody renews it meanwhile.
func (s *Source) close(ctx context.Context, l Login) error {
	unlock, err := s.store.lock(ctx, "refresh-"+ringHash(l))
	if err != nil {
		return err
	}
	defer unlock()
	r, ok, err := s.store.find(l.Server, l.Client)
	if ok && err == nil && r.key() == l.key() {
		err = s.revoke(ctx, r)
	}
	if err != nil {
		say(s.opts.Out, "Tokens for %s are forgotten, but could not be revoked: %v\n", s.Server(), err)
	}
	return s.store.forget(l)
}

// revoke has the authorization server forget a login.
func (s *Source) revoke(ctx context.Context, r record) error {
	if r.Secrets == nil {
		return errors.New("secrets are gone")
	}
	w := s.web(r.Reach)
	as, err := w.authServer(ctx, r.Issuer)
	if err != nil {
		return err
	}
	if as.RevocationEndpoint == "" {
		return fmt.Errorf("authorization server %s has no revocation_endpoint", clean(r.Issuer))
	}
	form := url.Values{"token": {cmp.Or(r.Secrets.Refresh, r.Secrets.Access)}, "token_type_hint": {"refresh_token"}, "client_id": {r.Client}}
	if r.Secrets.Refresh == "" {
		form.Set("token_type_hint", "access_token")
	}
	status, data, err := w.post(ctx, as.RevocationEndpoint, form)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return cmp.Or(refusal(as.RevocationEndpoint, status, data), fmt.Errorf("%s: HTTP %d", clean(as.RevocationEndpoint), status))
	}
	return nil
}

// LogoutAll logs out of all servers, and forgets the clients that were
// registered. It gives the servers that it logged out of.
func LogoutAll(ctx context.Context, o Options) (servers []string, err error) {
	st, err := openStore(o.Dir, o.Store, io.Discard)
	if err != nil {
		return nil, err
	}
	c, err := st.read()
	if err != nil {
		return nil, err
	}
	for _, r := range c.Logins {
		if slices.Contains(servers, r.Server) {
			continue
		}
		s, err := Open(r.Server, o)
		if err != nil {
			return servers, err
		}
		if _, err := s.Logout(ctx); err != nil {
			return servers, err
		}
		servers = append(servers, r.Server)
	}
	return servers, st.change(func(c *contents) { clear(c.Clients) })
}
