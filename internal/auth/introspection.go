package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/stagedoor/stagedoor/internal/principal"
)

const (
	// inactiveFor is how long a token that is not active is not asked about again.
	inactiveFor = 5 * time.Second
	// maxInactive bounds the tokens of which that is remembered.
	maxInactive = 16384
	// maxAsking bounds the requests under way, so that made-up tokens cannot flood
	// the authorization server.
	maxAsking = 16
	// afterFailure is how long an authorization server that failed is left alone.
	afterFailure = time.Second
)

// IntrospectionOptions say who is asked about tokens, and which are taken.
type IntrospectionOptions struct {
	// URL is the introspection endpoint.
	URL string
	// Issuer is what iss has to be where the answer has one, and who clients are
	// sent to for a token; "": nobody, and the issuer of the principals is URL: an
	// answer cannot make them another's.
	Issuer string
	// ClientID and ClientSecret are the gateway's own (client_secret_basic).
	ClientID, ClientSecret string
	// Audiences are what of aud one has to be; nil: the URL of the resource.
	Audiences []string
	// Cache is how long an answer holds at most.
	Cache time.Duration
	// Transport asks; nil is one of its own.
	Transport http.RoundTripper
	Mapping
}

// Introspection asks an authorization server about tokens (RFC 7662), of
// whatever form they are. It is made by [NewIntrospection].
type Introspection struct {
	IntrospectionOptions
	client   *http.Client
	active   *cache[[sha256.Size]byte, map[string]any]
	inactive *cache[[sha256.Size]byte, struct{}]
	flights  singleflight.Group
	places   chan struct{}
	failedAt atomic.Int64 // in nanoseconds since 1970; 0: it did not, of late
}

// NewIntrospection makes a verifier that asks.
func NewIntrospection(o IntrospectionOptions) *Introspection {
	return &Introspection{
		IntrospectionOptions: o, client: newClient(o.Transport), places: make(chan struct{}, maxAsking),
		active: newCache[[sha256.Size]byte, map[string]any](maxVerified), inactive: newCache[[sha256.Size]byte, struct{}](maxInactive),
	}
}

// AuthorizationServers implements [Verifier].
func (v *Introspection) AuthorizationServers() []string {
	if v.Issuer == "" {
		return nil
	}
	return []string{v.Issuer}
}

// Verify implements [Verifier].
func (v *Introspection) Verify(ctx context.Context, token string, at Resource) (principal.Principal, error) {
	now := time.Now()
	answer, err := v.answer(ctx, token, now)
	if err != nil {
		return principal.Principal{}, err
	}
	if given, ok := answer["iss"]; ok && v.Issuer != "" && given != v.Issuer {
		return principal.Principal{}, &InvalidError{Message: "token is of another issuer", Cause: fmt.Errorf("iss is %.200q", fmt.Sprint(given))}
	}
	if kind, ok := answer["token_type"].(string); ok && !strings.EqualFold(kind, "Bearer") || isNamedForClient(answer) {
		return principal.Principal{}, &InvalidError{Message: "token is not an access token", Cause: fmt.Errorf("token_type is %.100q", kind)}
	}
	end, err := lifetime(answer, now)
	if err != nil {
		return principal.Principal{}, err
	}
	if err := checkAudience(answer, v.Audiences, at); err != nil {
		return principal.Principal{}, err
	}
	mapping := v.Mapping
	if _, ok := answer["sub"]; !ok && mapping.Subject == "" {
		mapping.Subject = "client_id" // sub is optional here; without a user it is the client
	}
	p, err := mapping.principal(answer)
	p.Issuer, p.Expires, p.Token = cmp.Or(v.Issuer, v.URL), end, principal.NewToken(token)
	return p, err
}

// answer is what the authorization server says of an active token, now or not
// long ago.
func (v *Introspection) answer(ctx context.Context, token string, now time.Time) (map[string]any, error) {
	key := digest(token)
	if answer, ok := v.active.get(key, now); ok {
		return answer, nil
	}
	if _, ok := v.inactive.get(key, now); ok {
		return nil, &InvalidError{Message: "token is not active"}
	}
	asked := v.flights.DoChan(string(key[:]), func() (any, error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout) // it is for all who wait
		defer cancel()
		return v.ask(own, token)
	})
	select {
	case r := <-asked:
		if r.Err != nil {
			return nil, &UnavailableError{RetryAfter: afterFailure, Cause: r.Err}
		}
		answer, _ := r.Val.(map[string]any)
		return answer, v.remember(key, answer, time.Now())
	case <-ctx.Done():
		return nil, &UnavailableError{Cause: context.Cause(ctx)}
	}
}

// remember keeps an answer, until the token ends at most.
func (v *Introspection) remember(key [sha256.Size]byte, answer map[string]any, now time.Time) error {
	if answer["active"] != true {
		v.inactive.put(key, struct{}{}, now, now.Add(inactiveFor))
		return &InvalidError{Message: "token is not active"}
	}
	end := now.Add(v.Cache)
	if exp, ok := date(answer["exp"]); ok && exp.Before(end) {
		end = exp
	}
	v.active.put(key, answer, now, end)
	return nil
}

// ask makes the request (RFC 7662, section 2.1).
func (v *Introspection) ask(ctx context.Context, token string) (answer map[string]any, err error) {
	select {
	case v.places <- struct{}{}:
		defer func() { <-v.places }()
	case <-ctx.Done():
		return nil, errors.New("too many tokens are being asked about")
	}
	if time.Since(time.Unix(0, v.failedAt.Load())) < afterFailure {
		return nil, errors.New("authorization server failed a moment ago")
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	request.SetBasicAuth(url.QueryEscape(v.ClientID), url.QueryEscape(v.ClientSecret)) // RFC 6749, section 2.3.1
	body, _, err := read(v.client, request)
	if err == nil {
		answer, err = parseObject(body)
	}
	refused, _ := errors.AsType[*refusedError](err)
	switch {
	case refused != nil && refused.status == http.StatusBadRequest && refused.code == "unsupported_token_type":
		return map[string]any{"active": false}, nil // RFC 7009, section 2.2.1: it is about the token
	case err != nil:
		if failedForAll(err, refused) {
			v.failedAt.Store(time.Now().UnixNano())
		}
		return nil, fmt.Errorf("introspection at %s: %w", v.URL, err)
	}
	return answer, nil
}

// failedForAll tells whether an authorization server failed, or only could not
// make sense of one token: else whoever makes up such tokens would keep all
// others out.
func failedForAll(err error, refused *refusedError) bool {
	if refused == nil {
		_, unanswered := errors.AsType[*url.Error](err)
		return unanswered
	}
	switch refused.status {
	case http.StatusBadRequest:
		return refused.code == "invalid_client"
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnprocessableEntity, http.StatusRequestHeaderFieldsTooLarge:
		return false
	}
	return true
}
