package openapi

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SecurityScheme is a way in which callers of an API prove who they are, as its
// document names it (OpenAPI 3.1 §4.8.27). URLs of a document's token services
// are not in it: where secrets go is not for a document to say.
type SecurityScheme struct {
	// Name is the scheme's in the document.
	Name string
	// Type is apiKey, http, oauth2, openIdConnect or mutualTLS; "": the document
	// does not define the scheme.
	Type string
	// In and Parameter are where an apiKey goes: a header, a parameter of the query
	// or a cookie, and its name.
	In        In
	Parameter string
	// Scheme is that of the type http in lower case, "bearer" or "basic" for example.
	Scheme string
	// Scopes, or roles, that the operation asks for.
	Scopes []string
	// Location is where the document defines it, or else where it names it.
	Location Location
}

// Reserved are places of requests that the gateway fills with its own
// credentials: parameters there are no arguments.
type Reserved struct {
	Header []string
	Query  []string
}

// holds tells whether a parameter stands in such a place. Cookies are one header.
func (s Reserved) holds(in In, name string) bool {
	names := s.Header
	switch in {
	case InQuery:
		names = s.Query
	case InCookie:
		name = "Cookie"
	case InHeader:
	default:
		return false
	}
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// schemes reads the security schemes that the document defines, by name.
func (r *reader) schemes() (all []SecurityScheme, byName map[string]SecurityScheme) {
	defined := get(get(r.entry.root, "components"), "securitySchemes")
	if r.swagger {
		defined = get(r.entry.root, "securityDefinitions")
	}
	byName = map[string]SecurityScheme{}
	for k, v := range pairs(defined) {
		n, ok := r.follow(v, SeverityWarning, fmt.Sprintf("security scheme %q", cleanText(k.Value)))
		if !ok {
			continue
		}
		s := SecurityScheme{
			Name: k.Value, Type: text(get(n, "type")), In: In(text(get(n, "in"))), Parameter: text(get(n, "name")),
			Scheme: strings.ToLower(text(get(n, "scheme"))), Location: r.at(k),
		}
		if r.swagger && s.Type == "basic" { // Swagger 2.0, Security Scheme Object
			s.Type, s.Scheme = "http", "basic"
		}
		if _, twice := byName[s.Name]; !twice {
			all = append(all, s)
		}
		byName[s.Name] = s
	}
	return all, byName
}

// security gives the alternatives of an operation: its own, or else the
// document's (OpenAPI 3.1 §4.8.10.1). An empty list takes those away.
func (r *reader) security(op *yaml.Node) [][]SecurityScheme {
	if own := get(op, "security"); own != nil {
		return r.alternatives(own)
	}
	return r.commonSecurity
}

func (r *reader) alternatives(list *yaml.Node) (alternatives [][]SecurityScheme) {
	if list != nil && !isSequence(list) && !isNull(list) {
		r.report(SeverityWarning, "security-invalid", list, `"security" is not a list; it is left out`, "")
		return nil
	}
	for _, n := range items(list) {
		if !isMapping(n) {
			r.report(SeverityWarning, "security-invalid", n, "security requirement is not an object; it is left out", "a requirement is written {scheme: []}")
			continue
		}
		alternative := []SecurityScheme{}
		for k, scopes := range pairs(n) {
			s, defined := r.byName[k.Value]
			if !defined {
				s = SecurityScheme{Name: k.Value, Location: r.at(k)}
				r.report(SeverityWarning, "security-invalid", k, fmt.Sprintf("security scheme %q is not defined", cleanText(k.Value)), "define it under "+r.schemesAt())
			}
			for _, scope := range items(scopes) {
				s.Scopes = append(s.Scopes, text(scope))
			}
			alternative = append(alternative, s)
		}
		alternatives = append(alternatives, alternative)
	}
	return alternatives
}

func (r *reader) schemesAt() string {
	if r.swagger {
		return "securityDefinitions"
	}
	return "components.securitySchemes"
}
