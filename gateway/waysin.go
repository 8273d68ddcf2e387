package gateway

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// leastToken is the shortest static token, in bytes.
const leastToken = 16

// wayIn is a resource of the gateway, and the list that guards it.
type wayIn struct {
	path string // where the list is
	list []Verifier
}

// waysIn are the named servers, the actions API and what is for operators.
func (c Config) waysIn() []wayIn {
	var all []wayIn
	add := func(path string, own []Verifier) {
		if len(own) == 0 {
			path, own = "auth", c.Auth
		}
		all = append(all, wayIn{path, own})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		add("servers."+name+".auth", c.Servers[name].Auth)
	}
	if c.hasActionsAPI() {
		add("actionsAPI.auth", c.ActionsAPI.Auth)
	}
	add("operator.auth", c.Operator.Auth)
	return all
}

// validateAuth finds what is wrong with the lists of verifiers, one by one.
func (c Config) validateAuth(fs *Faults) {
	validateVerifiers(fs, "auth", c.Auth)
	validateVerifiers(fs, "actionsAPI.auth", c.ActionsAPI.Auth)
	validateVerifiers(fs, "operator.auth", c.Operator.Auth)
	c.validateResources(fs)
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		validateVerifiers(fs, "servers."+name+".auth", c.Servers[name].Auth)
	}
}

// validateResources finds tokens that nobody could be given: those for an
// address that is none.
func (c Config) validateResources(fs *Faults) {
	host, _, _ := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); c.PublicURL != "" || host != "" && (ip == nil || !ip.IsUnspecified()) {
		return
	}
	for _, w := range c.waysIn() {
		if i := slices.IndexFunc(w.list, Verifier.wantsResource); i >= 0 {
			fs.add("publicURL", "for example https://stagedoor.example.com",
				"%s[%d] takes tokens that are for the gateway's own URL, and that has to be said where it listens on %q", w.path, i, c.Listen)
			return
		}
	}
}

// wantsResource tells whether tokens have to be for the resource itself.
func (v Verifier) wantsResource() bool {
	return v.JWT.Issuer != "" && len(v.JWT.Audiences) == 0 || v.Introspection.URL != "" && len(v.Introspection.Audiences) == 0
}

// validateVerifiers finds what is wrong with a list of verifiers.
func validateVerifiers(fs *Faults, path string, list []Verifier) {
	tokens := map[string]int{}
	for i, v := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		kinds := v.kinds()
		if len(kinds) > 1 {
			fs.add(at, "one item of the list for each", "has more than one of %s", strings.Join(kinds, ", "))
			continue
		}
		switch kinds[0] {
		case "use":
			if v.Use != "none" {
				fs.add(at, "", "expected none, static, jwt, introspection or backstage, got %q", v.Use)
			} else if len(list) > 1 {
				fs.add(at, "leave it out, or the others", "none lets everybody in, whatever stands beside it")
			}
		case "static":
			v.Static.validate(fs, at+".static")
			if token, err := v.Static.Token.Reveal(); err == nil {
				if first, twice := tokens[token]; twice {
					fs.add(at+".static.token", "give each its own", "is the token of %s[%d], too", path, first)
				} else {
					tokens[token] = i
				}
			}
		case "jwt":
			v.JWT.validate(fs, at+".jwt")
		case "introspection":
			v.Introspection.validate(fs, at+".introspection")
		case "backstage":
			v.Backstage.validate(fs, at+".backstage")
		case "":
			fs.add(at, "", "needs one of static, jwt, introspection and backstage, or none")
		}
	}
}

func (s StaticVerifier) validate(fs *Faults, path string) {
	switch token, err := s.Token.Reveal(); {
	case err != nil:
		fs.add(path+".token", "", "%v", err)
	case len(token) < leastToken:
		fs.add(path+".token", "for example the output of openssl rand -hex 24", "token has less than %d characters", leastToken)
	case !auth.IsBearer(token):
		fs.add(path+".token", "letters, digits and -._~+/ are fine", "token has characters that cannot be sent")
	}
	if s.Subject == "" {
		fs.add(path+".subject", "for example ci-agent", "whose token it is has to be said")
	}
}

func (j JWTVerifier) validate(fs *Faults, path string) {
	validateIssuer(fs, path+".issuer", j.Issuer)
	if j.JWKS != "" && !auth.IsEndpoint(j.JWKS) {
		fs.add(path+".jwks", "for example https://idp.example.com/jwks.json; http is for this machine only", "expected an https URL, got %q", j.JWKS)
	}
	for i, a := range j.Algorithms {
		switch at := fmt.Sprintf("%s.algorithms[%d]", path, i); {
		case strings.HasPrefix(strings.ToUpper(a), "HS"):
			fs.add(at, "use RS256, ES256 or EdDSA", "%s signs with a secret that the issuer and every verifier share, so that each of them could make tokens", a)
		case !slices.Contains(auth.Algorithms(), a):
			fs.add(at, suggest.Hint(a, auth.Algorithms()), "unknown algorithm %q", a)
		}
	}
	for i, typ := range j.Types {
		if strings.HasPrefix(strings.ToLower(typ), "vnd.backstage.") {
			fs.add(fmt.Sprintf("%s.types[%d]", path, i), "use the verifier backstage", "tokens of a Backstage are not bound to a server")
		}
	}
	validateTexts(fs, path+".audiences", j.Audiences)
	validateTexts(fs, path+".types", j.Types)
	validateTexts(fs, path+".grantScopes", j.GrantScopes)
}

func (i IntrospectionVerifier) validate(fs *Faults, path string) {
	if !auth.IsEndpoint(i.URL) {
		fs.add(path+".url", "for example https://idp.example.com/introspect; http is for this machine only", "expected an https URL, got %q", i.URL)
	}
	if i.Issuer != "" {
		validateIssuer(fs, path+".issuer", i.Issuer)
	}
	if i.ClientID == "" {
		fs.add(path+".clientID", "", "who the gateway is at the authorization server has to be said")
	}
	if _, err := i.ClientSecret.Reveal(); err != nil {
		fs.add(path+".clientSecret", "", "%v", err)
	}
	if i.Cache < 0 {
		fs.add(path+".cache", "", "cannot be negative")
	}
	validateTexts(fs, path+".audiences", i.Audiences)
	validateTexts(fs, path+".grantScopes", i.GrantScopes)
}

// validateIssuer holds an issuer to RFC 8414, section 2; plain http is for this
// machine only.
func validateIssuer(fs *Faults, path, issuer string) {
	const example = "for example https://idp.example.com, exactly as its tokens have it in iss; http is for this machine only"
	if u, err := url.Parse(issuer); err != nil || !auth.IsEndpoint(issuer) || u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#") {
		fs.add(path, example, "expected an https URL without query and fragment, got %q", issuer)
	}
}

func validateTexts(fs *Faults, path string, list []string) {
	for i, s := range list {
		if strings.TrimSpace(s) == "" {
			fs.add(fmt.Sprintf("%s[%d]", path, i), "", "is empty")
		}
	}
}
