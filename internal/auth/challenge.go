package auth

import (
	"strings"
)

// offlineAccess is for clients to ask for, and never for resources (MCP
// 2026-07-28, authorization, Refresh Tokens).
const offlineAccess = "offline_access"

// challenge is the value of WWW-Authenticate (RFC 6750, section 3; RFC 9728,
// section 5.1).
type challenge struct {
	metadata    string   // URL of the resource's metadata; "": it has none
	scopes      []string // to ask for
	code        string   // RFC 6750, section 3.1; "": the request has no credentials
	description string
}

func (c challenge) String() string {
	var params []string
	for _, p := range []struct{ name, value string }{
		{"resource_metadata", c.metadata}, {"scope", strings.Join(askable(c.scopes), " ")}, {"error", c.code}, {"error_description", c.description},
	} {
		if value := quotable(p.value); value != "" {
			params = append(params, p.name+`="`+value+`"`)
		}
	}
	if len(params) == 0 {
		params = []string{`realm="stagedoor"`} // there has to be one
	}
	return "Bearer " + strings.Join(params, ", ")
}

// askable leaves out what is no scope (RFC 6749, section 3.3), what stands twice
// and offline_access.
func askable(scopes []string) []string {
	var all []string
	for _, s := range scopes {
		if s != "" && s != offlineAccess && !strings.ContainsRune(s, ' ') && quotable(s) == s {
			all = appendNew(all, s)
		}
	}
	return all
}

// quotable keeps a text within what RFC 6750, section 3, allows between quotes.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}
