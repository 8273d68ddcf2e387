package login

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errand is a login that is under way.
type errand struct {
	*web
	as       authServer
	client   string
	resource string
	scopes   []string
}

// logIn logs a person in for some scopes; nil: those that the server names.
func (s *Source) logIn(ctx context.Context, scopes []string) (record, error) {
	if err := s.store.ready(); err != nil {
		return record{}, err
	}
	before, ok, err := s.store.find(s.Server(), "")
	if err != nil && !ok { // a keyring that has lost what was before is no matter
		return record{}, err
	}
	d, err := s.discover(ctx, "", s.opts.AllowPrivate || before.Reach == reachPrivate)
	if err != nil {
		return record{}, err
	}
	e := errand{web: s.web(d.most), resource: d.resource, scopes: scopes}
	flow, err := s.choose(ctx, d, &e)
	if err != nil {
		return record{}, err
	}
	if scopes == nil {
		e.scopes = slices.Clone(d.scopes)
		if slices.Contains(e.as.ScopesSupported, "offline_access") && !slices.Contains(e.scopes, "offline_access") {
			e.scopes = append(e.scopes, "offline_access")
		}
	}
	answer, err := s.admitted(ctx, &e, flow)
	if err != nil {
		return record{}, err
	}
	now := time.Now()
	r := record{Login: Login{Server: s.Server(), Issuer: e.as.Issuer, Client: e.client, Resource: e.resource, LoggedIn: now, Reach: e.most}}
	r.issue(answer, append([]string{}, e.scopes...), now)
	unlock, err := s.store.lock(ctx, "refresh-"+ringHash(r.Login)) // what is renewed just now is older
	if err != nil {
		return record{}, err
	}
	defer unlock()
	return r, s.store.save(r)
}

// choose takes the first of the server's authorization servers that one can log
// in at, and tells how.
func (s *Source) choose(ctx context.Context, d discovery, e *errand) (Flow, error) {
	var problems []error
	for _, issuer := range d.issuers[:min(len(d.issuers), 5)] {
		as, err := e.authServer(ctx, issuer)
		if err == nil {
			var flow Flow
			if flow, err = as.flow(s.opts.Flow, browserHere()); err == nil {
				e.as = as
				return flow, nil
			}
		}
		problems = append(problems, err)
	}
	return "", errors.Join(problems...)
}

// flow tells which flow to take of those that the authorization server has.
func (as authServer) flow(wanted Flow, browser bool) (Flow, error) {
	device := as.DeviceEndpoint != ""
	var code error
	switch {
	case as.AuthorizationEndpoint == "":
		code = errors.New("no authorization_endpoint")
	case !slices.Contains(as.ChallengeMethods, "S256"):
		code = errors.New("no S256 in code_challenge_methods_supported: a code could be stolen")
	}
	switch {
	case wanted == Browser && code != nil:
		return "", fmt.Errorf("authorization server %s has %w", clean(as.Issuer), code)
	case wanted == Device && !device:
		return "", fmt.Errorf("authorization server %s has no device_authorization_endpoint; try --browser", clean(as.Issuer))
	case wanted != Auto:
		return wanted, nil
	case code == nil && (browser || !device):
		return Browser, nil
	case device:
		return Device, nil
	}
	return "", fmt.Errorf("authorization server %s has no device_authorization_endpoint, and %w", clean(as.Issuer), code)
}

// admitted has the person let in. A client that the authorization server has
// forgotten is registered anew, once.
func (s *Source) admitted(ctx context.Context, e *errand, flow Flow) (tokenAnswer, error) {
	stored, err := s.settleClient(ctx, e)
	if err != nil {
		return tokenAnswer{}, err
	}
	take := map[Flow]func(context.Context, *errand) (tokenAnswer, error){Device: s.byDevice, Browser: s.byBrowser}[flow]
	answer, err := take(ctx, e)
	if stored && codeOf(err) == "invalid_client" && e.as.RegistrationEndpoint != "" {
		if err := s.register(ctx, e); err != nil {
			return tokenAnswer{}, err
		}
		answer, err = take(ctx, e)
	}
	switch codeOf(err) {
	case "invalid_client", "unauthorized_client":
		err = fmt.Errorf("%w (the client is %s; --client-id names another one, which has to be registered there as a public client)", err, clean(e.client))
	}
	return answer, err
}
