package auth

import (
	"net/http"
	"strings"
)

// maxToken bounds a token, in bytes. Users' tokens of a Backstage that name all
// that the user owns may be as long.
const maxToken = 32 << 10

// credentials are what a request has of a bearer token.
type credentials struct {
	token   string // "": there is none
	problem string // why the request is malformed; "": it is not
}

// bearer reads a token from where one may be: the header Authorization (RFC
// 6750, section 2.1). One in the query is none, and beside the header it makes
// the request malformed; bodies and cookies are not looked at.
func bearer(r *http.Request) credentials {
	headers := r.Header["Authorization"]
	switch {
	case len(headers) == 0:
		return credentials{}
	case len(headers) > 1:
		return credentials{problem: "request has more than one Authorization header"}
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(headers[0]), " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case scheme == "":
		return credentials{problem: "Authorization header is empty"}
	case !strings.EqualFold(scheme, "Bearer"):
		return credentials{} // another scheme: no credentials of ours
	case len(token) > maxToken:
		return credentials{problem: "token is too long"}
	case !IsBearer(token):
		return credentials{problem: "Authorization header has no bearer token"}
	case r.URL.RawQuery != "" && r.URL.Query().Has("access_token"):
		return credentials{problem: "request has a token in its query and in its header"}
	}
	return credentials{token: token}
}

// IsBearer tells what can be sent as a bearer token: RFC 9110's token68, section
// 11.2.
func IsBearer(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		c := body[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("-._~+/", rune(c)) {
			return false
		}
	}
	return body != ""
}
