package gateway

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/openapi"
)

// reserved are the places that the plugin's credentials fill.
func (l *line) reserved() openapi.Reserved {
	if l.credentials == nil {
		return openapi.Reserved{}
	}
	return openapi.Reserved(l.credentials.Places(nil))
}

// security finds what of a document's security schemes the config does not
// serve, and what of the config serves nothing.
func (l *line) security(read *openapi.Document) (findings []openapi.Finding) {
	if l.origin == fromBinary || l.origin == fromGo && l.plugin.Handler != nil {
		return nil
	}
	s := &schemeFindings{plugin: l.plugin, path: "plugins." + l.name, needed: map[string]*neededScheme{}}
	for i := range read.Actions {
		s.action(&read.Actions[i])
	}
	s.mapped(read)
	return s.findings()
}

// neededScheme is a scheme that nothing serves, with the operations that need
// it.
type neededScheme struct {
	openapi.SecurityScheme
	operations []string
}

type schemeFindings struct {
	plugin Plugin
	path   string
	needed map[string]*neededScheme
	order  []string
	found  []openapi.Finding
}

// action notes the schemes of an action that nothing serves.
func (s *schemeFindings) action(a *openapi.Action) {
	if len(a.Security) == 0 || s.plugin.Auth.IsSet() {
		return
	}
	for _, alternative := range a.Security {
		if !slices.ContainsFunc(alternative, s.unserved) { // one that needs nothing, too
			return
		}
	}
	for _, scheme := range a.Security[0] {
		if !s.unserved(scheme) {
			continue
		}
		n := s.needed[scheme.Name]
		if n == nil {
			n = &neededScheme{SecurityScheme: scheme}
			s.needed[scheme.Name], s.order = n, append(s.order, scheme.Name)
		}
		if !slices.Contains(n.operations, a.Operation) {
			n.operations = append(n.operations, a.Operation)
		}
	}
}

func (s *schemeFindings) unserved(scheme openapi.SecurityScheme) bool {
	if scheme.Type == credential.MutualTLS {
		return s.plugin.TLS.CertFile == ""
	}
	_, mapped := s.plugin.Schemes[scheme.Name]
	return !mapped
}

// mapped finds credentials of the config that do not fit their scheme.
func (s *schemeFindings) mapped(read *openapi.Document) {
	for _, scheme := range read.SecuritySchemes {
		auth, mapped := s.plugin.Schemes[scheme.Name]
		if want := wanted(scheme); mapped && auth.Use != "none" && want != "" && !fills(auth.source("", identity{}), scheme) {
			s.found = append(s.found, openapi.Finding{
				Severity: openapi.SeverityWarning, Code: "security-mismatch", Location: scheme.Location,
				Message: fmt.Sprintf("security scheme %q is %s, and the config has other credentials for it", scheme.Name, want),
				Hint:    "change " + s.path + ".securitySchemes." + scheme.Name,
			})
		}
	}
}

// findings are those of the schemes that nothing serves, after the others.
func (s *schemeFindings) findings() []openapi.Finding {
	for _, name := range s.order {
		n := s.needed[name]
		more := ""
		if len(n.operations) > 1 {
			more = fmt.Sprintf(" and %d more", len(n.operations)-1)
		}
		what := wanted(n.SecurityScheme)
		if what != "" {
			what = " (" + what + ")"
		}
		hint := fmt.Sprintf("give them at %[1]s.securitySchemes.%[2]s, or at %[1]s.auth; auth: none says that the plugin wants none", s.path, name)
		if n.Type == credential.MutualTLS {
			hint = fmt.Sprintf("give a certificate at %s.tls", s.path)
		}
		s.found = append(s.found, openapi.Finding{
			Severity: openapi.SeverityWarning, Code: "security-unmapped", Location: n.Location,
			Message: fmt.Sprintf("the gateway has no credentials for the security scheme %q%s, which %s%s need", name, what, n.operations[0], more), Hint: hint,
		})
	}
	return s.found
}

// wanted words what a scheme asks for; "": it does not say.
func wanted(s openapi.SecurityScheme) string {
	switch {
	case s.Type == "apiKey" && s.In == openapi.InCookie:
		return "the cookie " + s.Parameter
	case s.Type == "apiKey" && s.In == openapi.InQuery:
		return "the query parameter " + s.Parameter
	case s.Type == "apiKey":
		return "the header " + s.Parameter
	case s.Type == "http" && s.Scheme != "":
		return "HTTP " + s.Scheme
	case s.Type == "oauth2", s.Type == "openIdConnect":
		return s.Type
	}
	return ""
}

// fills tells whether credentials go where a scheme has them. Of a token in
// Authorization, which kind it is is between the operator and the plugin.
func fills(source credential.Source, s openapi.SecurityScheme) bool {
	if source == nil {
		return true
	}
	places, header := source.Places(nil), "Authorization"
	switch {
	case s.Type == "apiKey" && s.In == openapi.InQuery:
		return slices.Contains(places.Query, s.Parameter)
	case s.Type == "apiKey" && s.In == openapi.InCookie:
		header = "Cookie"
	case s.Type == "apiKey":
		header = s.Parameter
	}
	return slices.Contains(places.Header, http.CanonicalHeaderKey(strings.TrimSpace(header)))
}

// unknownSchemes finds names of the config that none of the plugin's documents
// defines.
func (l *line) unknownSchemes(defined map[string]bool, at openapi.Location) (findings []openapi.Finding) {
	for _, name := range slices.Sorted(maps.Keys(l.plugin.Schemes)) {
		if !defined[name] {
			findings = append(findings, openapi.Finding{
				Severity: openapi.SeverityWarning, Code: "security-scheme-unknown", Location: at,
				Message: fmt.Sprintf("document defines no security scheme %q, for which the config has credentials", name),
				Hint:    "there is: " + strings.Join(slices.Sorted(maps.Keys(defined)), ", "),
			})
		}
	}
	return findings
}
