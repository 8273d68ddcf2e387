package auth

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/stagedoor/stagedoor/internal/principal"
)

// maxSubject bounds a subject, in bytes.
const maxSubject = 1024

// Mapping says what claims mean; so it does for the members of an
// introspection's answer. Names may be paths, see [principal.Claim].
type Mapping struct {
	Subject string // default: sub
	Groups  string // a list, or one text; default: groups
	Scopes  string // a list, or a text with spaces; default: the first there is of scope, scp and scopes
	// Required are claims that have to be there, with their values as texts; a list
	// has to have the value in it.
	Required map[string]string
	// GrantScopes are scopes that each token has beside its own.
	GrantScopes []string
}

// principal makes a principal of claims that were verified. It is a service
// where the subject is the client itself (RFC 9068, section 2.2), or where the
// issuer says so in its own way: gty of Auth0, idtyp of Entra. Else it is a user.
// The error is an *InvalidError.
func (m Mapping) principal(claims map[string]any) (principal.Principal, error) {
	p := principal.Principal{Kind: principal.User, Claims: claims, Client: clientOf(claims)}
	if err := m.check(claims); err != nil {
		return p, err
	}
	name := cmp.Or(m.Subject, "sub")
	subject, _ := principal.Claim(claims, name)
	p.Subject, _ = subject.(string)
	if p.Subject == "" || len(p.Subject) > maxSubject {
		return p, &InvalidError{Message: "token does not say whose it is", Cause: fmt.Errorf("claim %s is no text, or too long", name)}
	}
	if isService(p.Subject, p.Client, claims) {
		p.Kind = principal.Service
	}
	p.Groups = principal.ClaimTexts(claims, cmp.Or(m.Groups, "groups"))
	p.Scopes = appendNew(m.scopes(claims), m.GrantScopes...)
	return p, nil
}

// check holds claims to what is required.
func (m Mapping) check(claims map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(m.Required)) {
		if !slices.Contains(principal.ClaimTexts(claims, name), m.Required[name]) {
			return &InvalidError{Message: "token lacks a claim that is needed here", Cause: fmt.Errorf("claim %s has another value", name)}
		}
	}
	return nil
}

func (m Mapping) scopes(claims map[string]any) []string {
	if m.Scopes != "" {
		return principal.Words(principal.ClaimTexts(claims, m.Scopes))
	}
	for _, name := range []string{"scope", "scp", "scopes"} {
		if _, ok := claims[name]; ok {
			return principal.Words(principal.ClaimTexts(claims, name))
		}
	}
	return nil
}

// clientOf is the OAuth client that a token was given to: client_id (RFC 9068),
// azp (OpenID Connect), or as Okta and Entra's older tokens have it.
func clientOf(claims map[string]any) string {
	for _, name := range []string{"client_id", "azp", "cid", "appid"} {
		if s, ok := claims[name].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

func isService(subject, client string, claims map[string]any) bool {
	return subject == client || claims["gty"] == "client-credentials" || claims["idtyp"] == "app"
}

// isForClient tells ID tokens and others that are for the client itself and
// not for a resource, by members that only they have (OpenID Connect Core,
// section 2) or by what their issuer calls them.
func isForClient(claims map[string]any) bool {
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if _, ok := claims[name]; ok {
			return true
		}
	}
	return isNamedForClient(claims)
}

// isNamedForClient goes by the names that Keycloak (typ), Cognito and Hydra
// (token_use) give their tokens.
func isNamedForClient(claims map[string]any) bool {
	switch claims["typ"] {
	case "ID", "Refresh", "Offline", "Logout":
		return true
	}
	use, ok := claims["token_use"]
	return ok && use != "access" && use != "access_token"
}

// checkAudience holds aud (RFC 7519, section 4.1.3: a text or a list of them)
// to what it has to be, byte for byte.
func checkAudience(claims map[string]any, allowed []string, at Resource) error {
	audience := principal.ClaimTexts(map[string]any{"aud": claims["aud"]}, "aud")
	if len(allowed) == 0 {
		allowed = []string{at.URL}
	}
	for _, a := range audience {
		if a != "" && slices.Contains(allowed, a) {
			return nil
		}
	}
	return &InvalidError{Message: "token is not for this server", Cause: fmt.Errorf("aud is %.300q, and none of %q", audience, allowed)}
}
