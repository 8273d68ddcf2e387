package canary

import (
	"fmt"
	"testing"
)

// TestFaults: a secret in the wrong place or form is not said back by whoever
// complains about it.
func TestFaults(t *testing.T) {
	s := newStage(t)
	plugin := func(more string) string {
		return "plugins: {echo: {spec: echo.yaml, " + more + "}}"
	}
	good := plugin("baseURL: '" + s.spy.URL + "'")
	auth := func(verifier string) string { return good + "\nauth: [" + verifier + "]" }
	for i, fault := range []string{
		good + "\ndatabase: {url: ${database@}}",
		good + "\ndatabase: {url: {value: '" + s.hatch("url") + "'}}",
		good + "\ndatabase: {url: 'mysql://u:" + s.hatch("mysql") + "@h/d'}",
		good + "\ndatabase: {url: 'postgres://u:" + s.hatch("port") + "@h:port/d'}",
		good + "\ndatabase: {encryptionKey: 'abc" + s.hatch("key")[:20] + "'}",
		auth("{static: {token: ['" + s.hatch("list") + "'], subject: x}}"),
		auth("{static: {token: {env: X, value: '" + s.hatch("member") + "'}, subject: x}}"),
		auth("{static: {token: '" + s.hatch("no subject") + "'}}"),
		auth("{static: '" + s.hatch("no section") + "'}"),
		auth("{static: {tokn: '" + s.hatch("misspelt") + "', subject: x}}"),
		auth("{static: {token: '" + s.hatch("twice") + "', subject: x}}, {static: {token: '" + s.hatch("twice") + "', subject: y}}"),
		auth("{introspection: {url: 'https://u:" + s.hatch("userinfo") + "@h/i', clientID: x, clientSecret: ${introspection}}}"),
		auth("{introspection: {url: 'https://h/i?secret=" + s.hatch("introspection query") + "&b=" + s.hatch("second value") + "#x', clientID: x, clientSecret: ${introspection}}}"),
		auth("{backstage: {baseURL: 'https://h', external: [{legacy: {secret: '" + s.hatch("no base64") + "!', subject: x}}]}}"),
		auth("{jwt: {issuer: 'https://u:" + s.hatch("issuer") + "@h/i'}}"),
		plugin("baseURL: '" + s.spy.URL + "', auth: '" + s.hatch("kind") + "'"),
		plugin("baseURL: '" + s.spy.URL + "', auth: {bearer: 5, token: '" + s.hatch("token") + "'}"),
		plugin("baseURL: '" + s.spy.URL + "', auth: {bearer: \"" + s.hatch("line break") + "\\nx\"}"),
		plugin("baseURL: '" + s.spy.URL + "', auth: {basic: {username: 'u:" + s.hatch("basic user") + "', password: '" + s.hatch("basic") + "'}}"),
		plugin("baseURL: '" + s.spy.URL + "', auth: {header: {name: 'X-Key " + s.hatch("header name") + "', value: '" + s.hatch("header") + "'}}"),
		plugin("baseURL: '" + s.spy.URL + "', specAuth: {tokenExchange: {tokenURL: 'http://h/t', clientSecret: ${exchange}}}"),
		plugin("baseURL: '" + s.spy.URL + "', auth: {clientCredentials: {tokenURL: 'https://u:" + s.hatch("token url") + "@h/t', clientID: x, clientSecret: ${granted}}}"),
		plugin("baseURL: 'http://u:" + s.hatch("base url") + "@127.0.0.1:1/'"),
		plugin("baseURL: '" + s.spy.URL + "/?key=" + s.hatch("base query") + "'"),
		"plugins: {echo: {spec: 'http://u:" + s.hatch("spec url") + "@127.0.0.1:1/x'}}",
		"plugins: {echo: {spec: 'http://127.0.0.1:1/x?api_key=" + s.hatch("spec query") + "'}}",
		"plugins: {echo: {spec: '" + s.spy.URL + "/refuses/x', specAuth: {clientCredentials: {tokenURL: '" + s.spy.URL + "/refuses', clientID: x, clientSecret: ${spec!}}}}}",
		"plugins: {echo: {spec: '" + s.spy.URL + "/p/text', specAuth: {bearer: ${spec text}}}}",
		"plugins: {echo: {spec: '" + s.spy.URL + "/p/s500', specAuth: {query: {name: k, value: ${spec query!}}}}}",
		"plugins: {echo: {spec: '" + s.spy.URL + "/p/redirect', specAuth: {header: {name: X-K, value: ${spec header}}}}}",
		"plugins: {depot: {backstage: {baseURL: 'https://u:" + s.hatch("backstage url") + "@127.0.0.1:1', plugin: depot, secrets: {k: ${depot}}}}}",
		good + "\npublishers: {team: {token: '" + s.hatch("publisher")[:12] + "', plugins: ['*']}}",
		good + "\npublishers: {team: '" + s.hatch("publisher text") + "'}",
		good + "\npublicURL: 'https://u:" + s.hatch("public url") + "@h'",
		good + "\nallowedOrigins: ['https://u:" + s.hatch("origin") + "@h']",
	} {
		path := s.write(fmt.Sprintf("config-%d.yaml", i), s.fill(t, fault)+"\nlisten: 127.0.0.1:0\nservers: {all: {actions: {include: ['*:*']}}}\n")
		for _, args := range [][]string{{"check"}, {"check", "--json"}, {"tools", "all"}} {
			s.run(append(args, "--config", path)...)
		}
	}
}
