package login

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Login is a stored login, without its secrets.
type Login struct {
	// Server is the URL that was logged in to, as Source.Server has it.
	Server string `json:"server"`
	// Issuer, Client and Resource are what the tokens are bound to; they are used
	// nowhere else.
	Issuer   string `json:"issuer"`
	Client   string `json:"client"`
	Resource string `json:"resource"`
	// Scopes are those that were granted; Asked those that were asked for, where
	// they differ.
	Scopes []string `json:"scopes,omitempty"`
	Asked  []string `json:"asked,omitempty"`
	// LoggedIn is when a person logged in. Expires is when the access token ends,
	// and Renew when it is worth a refresh; zero: it does not say.
	LoggedIn time.Time `json:"loggedIn"`
	Expires  time.Time `json:"expires,omitzero"`
	Renew    time.Time `json:"renew,omitzero"`
	// Kept is where the secrets are: StoreFile or StoreKeyring.
	Kept StoreMode `json:"kept"`
	// Reach bounds where the server may lead to, as at the login.
	Reach reach `json:"reach"`
}

// secrets are the tokens of a login.
type secrets struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh,omitempty"`
}

// record is a login with its secrets.
type record struct {
	Login
	// Secrets are nil in the file where the keyring has them.
	Secrets *secrets `json:"secrets,omitempty"`
}

// key tells logins apart: tokens are for one issuer, client and resource.
func (l Login) key() [4]string { return [4]string{l.Issuer, l.Client, l.Resource, l.Server} }

// fresh tells whether the access token need not be renewed.
func (l Login) fresh(now time.Time) bool { return l.Renew.IsZero() || now.Before(l.Renew) }

// valid tells whether the access token has not ended.
func (l Login) valid(now time.Time) bool { return l.Expires.IsZero() || now.Before(l.Expires) }

// forWhom says what a server that refuses the tokens mostly misses.
func (l Login) forWhom() string {
	return fmt.Sprintf("tokens of %s have to be for the audience %s", clean(l.Issuer), clean(l.Resource))
}

// scopes are all that were asked for or granted.
func (l Login) scopes() []string { return union(l.Asked, l.Scopes) }

// issue puts what a token endpoint answered into the record. asked are the
// scopes of the request; nil: those of before.
func (r *record) issue(answer tokenAnswer, asked []string, now time.Time) {
	if r.Secrets == nil {
		r.Secrets = &secrets{}
	}
	r.Secrets = &secrets{Access: answer.AccessToken, Refresh: r.Secrets.Refresh}
	if answer.RefreshToken != "" {
		r.Secrets.Refresh = answer.RefreshToken
	}
	if asked != nil {
		r.Asked, r.Scopes = asked, asked
	}
	if answer.Scope != "" {
		r.Scopes = strings.Fields(answer.Scope)
	}
	r.Expires, r.Renew = time.Time{}, time.Time{}
	if life := answer.life(); life > 0 {
		r.Expires = now.Add(life)
		r.Renew = r.Expires.Add(-min(time.Minute, life/4))
	}
}

// union gives the members of both, sorted, each once.
func union(a, b []string) []string {
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	return slices.Compact(all)
}

// covers tells whether all of some are among those that are had.
func covers(have, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(have, s) })
}
