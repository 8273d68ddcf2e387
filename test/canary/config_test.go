package canary

import (
	"fmt"
	"strings"
)

// kinds are the credentials of a plugin, in YAML; %s is the prefix of their
// canaries' names, %[2]s the spy.
func kinds(prefix, spy string) map[string]string {
	endpoint := func(at, secret, more string) string {
		return fmt.Sprintf("{tokenURL: '%s/%s', clientID: gateway, clientSecret: ${%s-%s!}%s}", spy, at, prefix, secret, more)
	}
	return map[string]string{
		"bearer":   fmt.Sprintf("{bearer: ${%s-bearer}}", prefix),
		"basic":    fmt.Sprintf("{basic: {username: gateway, password: ${%s-basic!}}}", prefix),
		"header":   fmt.Sprintf("{header: {name: X-Api-Key, value: ${%s-header}}}", prefix),
		"query":    fmt.Sprintf("{query: {name: key, value: ${%s-query!}}}", prefix),
		"granted":  "{clientCredentials: " + endpoint("token", "granted", "") + "}",
		"body":     "{clientCredentials: " + endpoint("token", "body", ", secretIn: body") + "}",
		"refused":  "{clientCredentials: " + endpoint("refuses", "refused", "") + "}",
		"refused2": "{clientCredentials: " + endpoint("refuses", "refused2", ", secretIn: body") + "}",
		"exchange": "{tokenExchange: " + endpoint("token", "exchange", ", issuers: ['${issuer}'], audience: echo") + "}",
		"rejected": "{tokenExchange: " + endpoint("refuses", "rejected", ", issuers: ['${issuer}'], audience: echo") + "}",
	}
}

// needsCaller are kinds that are no credentials for documents.
func needsCaller(kind string) bool { return kind == "exchange" || kind == "rejected" }

// verifiers are all that know secrets. The subject says which door they are of.
func verifiers(door, spy, issuer string) string {
	all := ""
	if issuer != "" {
		all = fmt.Sprintf("{jwt: {issuer: '%s', audiences: [canary], grantScopes: [mcp:destructive, actions:destructive]}}, ", issuer)
	}
	return fmt.Sprintf(`[%[3]s{static: {token: ${%[1]s-static}, subject: %[1]s, scopes: ["mcp:destructive", "actions:destructive", "operator:read", "registry:publish"]}},
    {introspection: {url: '%[2]s/introspect', issuer: '%[2]s', clientID: gateway, clientSecret: ${%[1]s-introspection!}}},
    {backstage: {baseURL: '%[2]s', external: [{static: {token: ${%[1]s-external}, subject: %[1]s-external}}, {legacy: {secret: ${%[1]s-legacy~}, subject: %[1]s-legacy}}]}}]`, door, spy, all)
}

// everything is a config with a canary in each place, and a plugin for each kind
// of credentials.
func everything(spy, issuer, database, format string) string {
	var c strings.Builder
	fmt.Fprintf(&c, `listen: 127.0.0.1:0
log: {level: debug, format: %s}
database: {url: %s, encryptionKey: ${encryption!}}
audit: {database: "on", arguments: redacted}
auth: %s
operator: {auth: %s}
actionsAPI: {auth: %s}
publishers:
  team: {token: ${publisher}, plugins: ["pushed*"], baseURLs: ["https://pushed.example"]}
servers:
  main:
    auth: %s
    actions: {include: ["*:*"]}
  plain:
    actions: {include: ["*:json"]}
plugins:
  depot: {backstage: {baseURL: '%s', plugin: depot, secrets: {depotKey: ${depot!}}}}
`, format, database, verifiers("top", spy, issuer), verifiers("operator", spy, ""), verifiers("api", spy, issuer), verifiers("server", spy, issuer), spy)
	for kind, auth := range kinds("auth", spy) {
		fmt.Fprintf(&c, "  %[1]s: {spec: echo.yaml, actions: all, baseURL: '%[2]s/%[1]s', retry: \"off\", breaker: \"off\", auth: %[3]s}\n", kind, spy, auth)
	}
	schemes := ""
	for kind, auth := range kinds("scheme", spy) {
		schemes += fmt.Sprintf("%s: %s, ", kind, auth)
	}
	fmt.Fprintf(&c, "  schemes: {spec: schemes.yaml, actions: all, baseURL: '%s/schemes', retry: \"off\", breaker: \"off\", securitySchemes: {%s}}\n", spy, strings.TrimSuffix(schemes, ", "))
	for kind, auth := range kinds("spec", spy) {
		if !needsCaller(kind) && !strings.HasPrefix(kind, "refused") { // those that are refused are a plugin that is down
			fmt.Fprintf(&c, "  spec-%[1]s: {spec: '%[2]s/docs/%[1]s', actions: all, baseURL: '%[2]s/spec-%[1]s', auth: none, specAuth: %[3]s}\n", kind, spy, auth)
		}
	}
	return strings.ReplaceAll(c.String(), "${issuer}", issuer)
}
