package credential

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/stagedoor/stagedoor/openapi"
)

// Secret gives a secret as it is now; its error names where it should be, and
// is for the log.
type Secret func() (string, error)

// Bearer is a constant token in Authorization (RFC 6750).
func Bearer(token Secret) Source {
	return &constant{secret: token, places: authorization(), make: bearer}
}

// Basic is a user's name and password in Authorization (RFC 7617).
func Basic(username string, password Secret) Source {
	return &constant{secret: password, places: authorization(), make: func(password string) *Credentials {
		return inHeader("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(username+":"+password)))
	}}
}

// Header is an API key in a header.
func Header(name string, value Secret) Source {
	name = http.CanonicalHeaderKey(name)
	return &constant{secret: value, places: Places{Header: []string{name}}, make: func(value string) *Credentials { return inHeader(name, value) }}
}

// Query is an API key in a parameter of the query.
func Query(name string, value Secret) Source {
	return &constant{secret: value, places: Places{Query: []string{name}}, make: func(value string) *Credentials {
		return &Credentials{Query: url.Values{name: {value}}}
	}}
}

// authorization is where bearer tokens go (RFC 6750, section 2.1).
func authorization() Places { return Places{Header: []string{"Authorization"}} }

func bearer(token string) *Credentials { return inHeader("Authorization", "Bearer "+token) }

func inHeader(name, value string) *Credentials {
	return &Credentials{Header: http.Header{name: {value}}}
}

// constant are credentials that are made of a secret alone. The secret is looked
// up for each call, so that one that was changed is used at once.
type constant struct {
	secret Secret
	places Places
	make   func(secret string) *Credentials
	last   atomic.Pointer[made]
}

// made are credentials with what they were made of.
type made struct {
	of          string
	credentials *Credentials
}

// Credentials implements [Source].
func (c *constant) Credentials(context.Context, *openapi.Action) (*Credentials, error) {
	secret, err := c.secret()
	if err != nil {
		return nil, err
	}
	last := c.last.Load()
	if last == nil || last.of != secret {
		last = &made{secret, c.make(secret)}
		c.last.Store(last)
	}
	return last.credentials, nil
}

// Places implements [Source].
func (c *constant) Places(*openapi.Action) Places { return c.places }
