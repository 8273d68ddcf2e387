package credential

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

const (
	// AssertionType is the typ of assertions.
	AssertionType = "stagedoor-assertion+jwt"
	// assertionLife is short: an assertion is made for one call.
	assertionLife = time.Minute
)

// AssertionOptions say what assertions for one plugin are.
type AssertionOptions struct {
	Signer Signer
	// Issuer is the gateway's public URL.
	Issuer string
	// Plugin is the plugin's name in the config.
	Plugin string
	// Audience is aud; "": the plugin's name.
	Audience string
	// Header is where it is sent; "": Stagedoor-Assertion. In Authorization it is a
	// bearer token.
	Header string
	// Claims are the names of the caller's claims that it repeats.
	Claims []string
	Now    func() time.Time // nil: time.Now
}

// Assertion is a JWT of the gateway's that says who makes a call, by which way,
// of which action. It proves nothing but that, to nobody but the plugin.
func Assertion(o AssertionOptions) Source {
	if o.Audience == "" {
		o.Audience = o.Plugin
	}
	if o.Header == "" {
		o.Header = "Stagedoor-Assertion"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Header = http.CanonicalHeaderKey(o.Header)
	return &assertion{o, Places{Header: []string{o.Header}}}
}

type assertion struct {
	AssertionOptions
	places Places
}

// claims are those of an assertion; docs/credentials.md tells plugins of them.
type claims struct {
	Issuer        string         `json:"iss"`
	Audience      string         `json:"aud"`
	Subject       string         `json:"sub,omitempty"`
	SubjectIssuer string         `json:"sub_iss,omitempty"`
	Kind          string         `json:"kind"`
	Actor         *actor         `json:"act,omitempty"` // RFC 8693, section 4.1
	Client        string         `json:"client_id,omitempty"`
	Groups        []string       `json:"groups,omitempty"`
	Scope         string         `json:"scope,omitempty"`
	Server        string         `json:"server,omitempty"`
	Action        string         `json:"action"`
	Claims        map[string]any `json:"claims,omitempty"`
	ID            string         `json:"jti"`
	IssuedAt      int64          `json:"iat"`
	Expires       int64          `json:"exp"`
}

type actor struct {
	Subject string `json:"sub"`
}

// Credentials implements [Source].
func (s *assertion) Credentials(ctx context.Context, a *openapi.Action) (*Credentials, error) {
	caller, now := principal.CallerOf(ctx), s.Now()
	c := claims{
		Issuer: s.Issuer, Audience: s.Audience, Subject: caller.Subject, SubjectIssuer: caller.Issuer, Kind: string(caller.Kind),
		Client: caller.Client, Groups: caller.Groups, Scope: strings.Join(caller.Scopes, " "), Server: caller.Door, Action: s.Plugin + ":" + a.Name,
		ID: rand.Text(), IssuedAt: now.Unix(), Expires: now.Add(assertionLife).Unix(),
	}
	if caller.IsAnonymous() {
		c.Kind = "anonymous"
	}
	if caller.Actor != "" {
		c.Actor = &actor{caller.Actor}
	}
	for _, name := range s.Claims {
		if value, ok := caller.Principal.Claims[name]; ok {
			if c.Claims == nil {
				c.Claims = make(map[string]any, len(s.Claims))
			}
			c.Claims[name] = value
		}
	}
	token, err := s.Signer.Sign(AssertionType, c)
	if err != nil {
		return nil, err
	}
	if s.Header == "Authorization" {
		return bearer(token), nil
	}
	return inHeader(s.Header, token), nil
}

// Places implements [Source].
func (s *assertion) Places(*openapi.Action) Places { return s.places }
