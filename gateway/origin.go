package gateway

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/internal/source"
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

// admits tells whether a base URL is one that the publisher may register, or
// below one.
func (p Publisher) admits(baseURL string) bool {
	u, err := url.Parse(baseURL)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return false
	}
	return slices.ContainsFunc(p.BaseURLs, func(prefix string) bool {
		above, err := url.Parse(prefix)
		return err == nil && strings.EqualFold(u.Scheme, above.Scheme) && strings.EqualFold(u.Host, above.Host) &&
			strings.HasPrefix(asFolder(u.Path), asFolder(above.Path))
	})
}

// asFolder ends a path with a slash, without dot segments.
func asFolder(p string) string { return strings.TrimSuffix(path.Clean("/"+p), "/") + "/" }

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
	case !p.Token.IsSet():
		fs.add(path, "token: {env: NAME}", "needs a token")
	case err != nil:
		fs.add(path+".token", "", "%v", err)
	case len(token) < shortestToken:
		fs.add(path+".token", "for example the output of: openssl rand -hex 24", "has less than %d characters", shortestToken)
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
			fs.add(fmt.Sprintf("%s.baseURLs[%d]", path, i), "for example https://billing.internal/api", "expected an absolute http or https URL without credentials and query")
		}
	}
	if p.Keep < 0 {
		fs.add(path+".keep", "", "cannot be negative")
	}
}
