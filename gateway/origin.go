package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// origin is the way in which a plugin's documents arrive.
type origin int

const (
	fromNowhere   origin = iota // a fault of the config
	fromBinary                  // embedded
	fromGo                      // Document
	fromFiles                   // spec: a file, a glob or a folder
	fromURL                     // spec: a URL, or the conventional paths below baseURL
	fromBackstage               // backstage
	fromPublisher               // it registers itself
)

// remote tells whether documents of that origin may be missing while the
// config is right: the plugin is down, or has not come yet.
func (o origin) remote() bool { return o == fromURL || o == fromBackstage || o == fromPublisher }

// atHand tells whether documents of that origin are read anew by each reload.
func (o origin) atHand() bool { return o == fromFiles || o == fromGo }

// key is the config key that says where documents come from, with its dot.
func (o origin) key() string {
	switch o {
	case fromFiles, fromURL:
		return ".spec"
	case fromBackstage:
		return ".backstage"
	}
	return ""
}

// pollEvery is how often a remote document is asked for, unless the config
// says otherwise.
const pollEvery = time.Minute

// origin tells how the documents of the config's plugin arrive.
func (c Config) origin(name string) origin {
	p, listed := c.Plugins[name]
	switch {
	case p.Embedded != "":
		return fromBinary
	case p.Document != nil:
		return fromGo
	case p.Backstage.BaseURL != "" || p.Backstage.Plugin != "":
		return fromBackstage
	case source.IsURL(p.Spec):
		return fromURL
	case p.Spec != "":
		return fromFiles
	case p.BaseURL != "":
		return fromURL
	case listed && len(c.publishersOf(name)) == 0:
		return fromNowhere
	}
	return fromPublisher
}

// publishersOf names the publishers that may register a plugin, sorted.
func (c Config) publishersOf(plugin string) (names []string) {
	for name, p := range c.Publishers {
		if p.mayRegister(plugin) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (p Publisher) mayRegister(plugin string) bool {
	return slices.ContainsFunc(p.Plugins, func(glob string) bool {
		ok, err := doublestar.Match(glob, plugin)
		return ok && err == nil
	})
}

// is tells whether a principal is the publisher.
func (p Publisher) is(who principal.Principal) bool {
	return slices.ContainsFunc(p.Principals, func(e Exception) bool { return new(e.who()).Is(&who) })
}

// admits tells whether a base URL is one that the publisher may register, or
// below one.
func (p Publisher) admits(baseURL string) bool {
	at, ok := placeOf(baseURL)
	return ok && slices.ContainsFunc(p.BaseURLs, func(prefix string) bool {
		above, ok := placeOf(prefix)
		return ok && at.scheme == above.scheme && at.host == above.host && at.port == above.port &&
			len(at.segments) >= len(above.segments) && slices.Equal(at.segments[:len(above.segments)], above.segments)
	})
}

// place is where a base URL leads, in a form that can be compared.
type place struct {
	scheme, host, port string
	segments           []string // of the path, decoded
}

// placeOf reads a base URL. Of all that two programs on the way could read in
// two ways, ok is false.
func placeOf(baseURL string) (at place, ok bool) {
	u, err := url.Parse(baseURL)
	if err != nil || u.User != nil || u.Opaque != "" || strings.ContainsAny(baseURL, `?#\`) || u.Hostname() == "" ||
		strings.Trim(strings.ToLower(u.Hostname()), "abcdefghijklmnopqrstuvwxyz0123456789.-_:") != "" {
		return place{}, false
	}
	defaults := map[string]string{"http": "80", "https": "443"}
	at = place{scheme: u.Scheme, host: strings.ToLower(u.Hostname()), port: cmp.Or(u.Port(), defaults[u.Scheme])}
	below := strings.TrimSuffix(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if below == "" {
		return at, defaults[u.Scheme] != "" && len(u.Path) <= 1
	}
	for escaped := range strings.SplitSeq(below, "/") {
		segment, err := url.PathUnescape(escaped)
		if err != nil || segment == "" || openapi.Climbs(escaped) || strings.ContainsFunc(segment, notInPlace) {
			return place{}, false
		}
		at.segments = append(at.segments, segment)
	}
	return at, defaults[u.Scheme] != ""
}

// notInPlace are characters that cut a path anew once it is decoded again, or
// that nobody sees.
func notInPlace(c rune) bool {
	return c == '/' || c == '%' || c == unicode.ReplacementChar || unicode.IsSpace(c) || !unicode.IsGraphic(c)
}

func (b BackstageSource) validate(fs *Faults, path string) {
	if b.BaseURL == "" || b.Plugin == "" {
		fs.add(path, "for example {baseURL: http://backstage.internal:7007, plugin: catalog}", "needs baseURL and plugin")
		return
	}
	if u, err := url.Parse(b.BaseURL); err != nil || !source.IsURL(b.BaseURL) || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		fs.add(path+".baseURL", "for example http://backstage.internal:7007", "expected an absolute http or https URL without credentials and query")
	}
	if url.PathEscape(b.Plugin) != b.Plugin || strings.Trim(b.Plugin, ".") == "" {
		fs.add(path+".plugin", "for example catalog", "%q is no plugin id", b.Plugin)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Secrets)) {
		if _, err := b.Secrets[name].Reveal(); err != nil {
			fs.add(path+".secrets."+name, "", "%v", err)
		}
	}
}

// shortestToken is how many characters a publisher's token has at least.
const shortestToken = 16

func (p Publisher) validate(fs *Faults, name string) {
	path := "publishers." + name
	if !namePattern.MatchString(name) {
		fs.add(path, "", "publisher name %q does not match %s", name, namePattern)
	}
	switch token, err := p.Token.Reveal(); {
	case !p.Token.IsSet() && len(p.Principals) > 0:
	case !p.Token.IsSet():
		fs.add(path, "token: {env: NAME}, or principals", "needs a token, or the principals that it is")
	case err != nil:
		fs.add(path+".token", "", "%v", err)
	case len(token) < shortestToken:
		fs.add(path+".token", "for example the output of: openssl rand -hex 24", "has less than %d characters", shortestToken)
	}
	for i, e := range p.Principals {
		at := fmt.Sprintf("%s.principals[%d]", path, i)
		if e.isZero() {
			fs.add(at, "for example {subject: billing-ci}", "principal is empty, and so everybody with the scope registry:publish would be this publisher")
		}
		e.validate(fs, at)
	}
	if len(p.Plugins) == 0 {
		fs.add(path, "plugins: [billing]", "needs the names of plugins")
	}
	for i, glob := range p.Plugins {
		if !doublestar.ValidatePattern(glob) {
			fs.add(fmt.Sprintf("%s.plugins[%d]", path, i), "for example billing or team-a-*", "%q is not a glob", glob)
		}
	}
	if len(p.BaseURLs) == 0 {
		fs.add(path, "baseURLs: [https://billing.internal]", "needs the URLs that its plugins may be at")
	}
	for i, base := range p.BaseURLs {
		if !p.admits(base) || !source.IsURL(base) {
			fs.add(fmt.Sprintf("%s.baseURLs[%d]", path, i), "for example https://billing.internal/api", "expected an absolute http or https URL without credentials, query, and segments of the path that are empty or lead out of it")
		}
	}
	if p.Keep < 0 {
		fs.add(path+".keep", "", "cannot be negative")
	}
}

// validatePublishers finds what is wrong with publishers beside each other: who
// sends a token or is sent credentials must be one of them for certain.
func (c Config) validatePublishers(fs *Faults) {
	holders := map[string]string{} // by token
	for _, name := range slices.Sorted(maps.Keys(c.Publishers)) {
		p := c.Publishers[name]
		p.validate(fs, name)
		token, err := p.Token.Reveal()
		if err != nil || token == "" {
			continue
		}
		if other, taken := holders[token]; taken {
			fs.add("publishers."+name+".token", "give each its own", "is the token of publisher %s, too", other)
			continue
		}
		holders[token] = name
	}
	for _, name := range slices.Sorted(maps.Keys(c.Plugins)) {
		p, publishers := c.Plugins[name], c.publishersOf(name)
		if p.hasCredentials() && len(publishers) > 1 && c.origin(name) == fromPublisher {
			fs.add("plugins."+name, "let one of them register it", "has credentials, which would go to whichever of the publishers %s registers it", strings.Join(publishers, ", "))
		}
	}
}
