package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// Fault is one thing that is wrong with a config. Path says where:
// "servers.sales.actions.include[0]".
type Fault struct {
	Path    string
	Message string
	Hint    string
}

func (f Fault) String() string {
	s := f.Message
	if f.Path != "" {
		s = f.Path + ": " + s
	}
	if f.Hint != "" {
		s += " (" + f.Hint + ")"
	}
	return s
}

// Faults is all that is wrong with a config, as one error.
type Faults []Fault

func (fs Faults) Error() string {
	lines := make([]string, 0, len(fs))
	for _, f := range fs {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// brief is all faults in one line, without the hints and where they stand; ""
// for none.
func (fs Faults) brief() string {
	messages := make([]string, 0, len(fs))
	for _, f := range fs {
		messages = append(messages, f.Message)
	}
	return strings.Join(messages, "; ")
}

// add adds a fault. What it says back of a URL has neither user nor password nor
// values of the query.
func (fs *Faults) add(path, hint, format string, args ...any) {
	message := urlText.ReplaceAllStringFunc(fmt.Sprintf(format, args...), func(text string) string {
		return queryValue.ReplaceAllString(userinfo.ReplaceAllString(text, "://[redacted]@"), "$1[redacted]")
	})
	*fs = append(*fs, Fault{Path: path, Message: message, Hint: hint})
}

var (
	urlText    = regexp.MustCompile(`://[^\s"]+`)
	userinfo   = regexp.MustCompile(`^://[^/?#]*@`)
	queryValue = regexp.MustCompile(`([?&][^=&#]*=)[^&#]+`)
)

// about tells whether a fault is about a path or something in it.
func (fs Faults) about(path string) bool {
	return slices.ContainsFunc(fs, func(f Fault) bool { return f.Path == path || strings.HasPrefix(f.Path, path+".") })
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Validate finds what is wrong with a config by itself, before any document is
// read. It changes nothing.
func (c Config) Validate() Faults {
	c = c.withDefaults()
	var fs Faults
	c.validateListen(&fs)
	if c.PublicURL != "" && !isOrigin(c.PublicURL) {
		fs.add("publicURL", "for example https://stagedoor.example.com", "expected an http or https URL without a path, got %q", c.PublicURL)
	}
	for i, o := range c.AllowedOrigins {
		if !isOrigin(o) {
			fs.add(fmt.Sprintf("allowedOrigins[%d]", i), "for example https://inspector.example.com", "expected an origin, got %q", o)
		}
	}
	oneOf(&fs, "log.format", c.Log.Format, "auto", "json", "text")
	oneOf(&fs, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	for _, limit := range []struct {
		path  string
		value int64
	}{
		{"requestBody", int64(c.Limits.RequestBody)}, {"sessionTTL", int64(c.Limits.SessionTTL)},
		{"calls", int64(c.Limits.Calls)}, {"callsPerSession", int64(c.Limits.CallsPerSession)},
		{"streams", int64(c.Limits.Streams)}, {"streamsPerSession", int64(c.Limits.StreamsPerSession)},
		{"sessionsPerPrincipal", int64(c.Limits.SessionsPerPrincipal)},
	} {
		if limit.value <= 0 {
			fs.add("limits."+limit.path, "", "has to be more than 0")
		}
	}
	c.Streams.validate(&fs)
	c.Audit.validate(&fs)
	c.Database.validateEncryptionKey(&fs)
	for _, wait := range []struct {
		path  string
		value time.Duration
	}{{"database.wait", c.Database.Wait}, {"shutdown.delay", c.Shutdown.Delay}, {"shutdown.timeout", c.Shutdown.Timeout}} {
		if wait.value < 0 {
			fs.add(wait.path, "", "cannot be negative")
		}
	}
	c.validateAuth(&fs)
	c.validatePublishers(&fs)
	for _, n := range slices.Sorted(maps.Keys(c.Plugins)) {
		c.Plugins[n].validate(&fs, n, c.origin(n))
		c.validateBackstageAuths(&fs, n)
	}
	oneOf(&fs, "actionsAPI.support", cmp.Or(c.ActionsAPI.Support, "on"), "on", "off")
	for i, r := range c.ActionsAPI.Actions.Include {
		r.validate(&fs, fmt.Sprintf("actionsAPI.actions.include[%d]", i), c.knows)
	}
	for i, r := range c.ActionsAPI.Actions.Exclude {
		r.validate(&fs, fmt.Sprintf("actionsAPI.actions.exclude[%d]", i), c.knows)
	}
	c.validateCatalogs(&fs)
	c.validateAccess(&fs)
	for _, n := range slices.Sorted(maps.Keys(c.Servers)) {
		c.Servers[n].validate(&fs, n, c.knows)
	}
	if len(c.Servers) == 0 {
		fs.add("servers", "name at least one: each is an MCP endpoint with an allowlist", "no server is defined")
	}
	return fs
}

// validateListen keeps a gateway without authentication off the network.
func (c Config) validateListen(fs *Faults) {
	host, port, err := net.SplitHostPort(c.Listen)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		fs.add("listen", "for example 127.0.0.1:8080", "expected host:port, got %q", c.Listen)
		return
	}
	ways := c.waysIn()
	open := slices.IndexFunc(ways, func(w wayIn) bool { return isOpen(w.list) })
	if open >= 0 && !isLoopback(host) {
		fs.add("listen", "say under auth how callers prove who they are, or listen on 127.0.0.1",
			"%q is reachable from other machines, and %s: none lets everybody call", c.Listen, ways[open].path)
	}
}

// validateCatalogs keeps two embedded catalogs from sharing one set of tables.
func (c Config) validateCatalogs(fs *Faults) {
	first := ""
	for _, n := range slices.Sorted(maps.Keys(c.Plugins)) {
		switch {
		case c.Plugins[n].Embedded != "catalog":
		case first == "":
			first = n
		default:
			fs.add("plugins."+n+".embedded", "", "the embedded catalog is already plugin %s", first)
		}
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil &&
		strings.TrimSuffix(u.Path, "/") == "" && !strings.ContainsAny(s, "?#")
}

// isHTTP tells whether a text is a URL that can be asked.
func isHTTP(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "1"), 10, 16)
	return err == nil && port > 0
}

func oneOf(fs *Faults, path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		fs.add(path, "", "expected one of %s, got %q", strings.Join(allowed, ", "), value)
	}
}

func (p Plugin) validate(fs *Faults, plugin string, from origin) {
	path := "plugins." + plugin
	if !namePattern.MatchString(plugin) {
		fs.add(path, "", "plugin name %q does not match %s", plugin, namePattern)
	}
	given := 0
	for _, is := range []bool{p.Embedded != "", p.Spec != "", p.Document != nil, from == fromBackstage} {
		if is {
			given++
		}
	}
	switch {
	case from == fromNowhere:
		fs.add(path, "spec is a URL, a file, a glob or a folder; embedded: catalog is the built-in catalog; or name it under publishers, if it registers itself",
			"needs one of spec, baseURL, backstage and embedded")
	case given > 1:
		fs.add(path, "leave one of them", "has more than one of spec, backstage and embedded")
	}
	if from == fromBackstage {
		p.Backstage.validate(fs, path+".backstage")
	}
	for _, place := range []struct{ key, url string }{{".spec", p.Spec}, {".baseURL", p.BaseURL}} {
		if from == fromURL && place.url != "" && !isHTTP(place.url) {
			fs.add(path+place.key, "for example https://billing.internal/openapi.json", "expected an absolute http or https URL")
		}
	}
	if p.BaseURL != "" && from == fromBackstage {
		fs.add(path+".baseURL", "give it under backstage", "actions of Backstage are where they come from")
	}
	if p.Embedded != "" && p.Embedded != "catalog" {
		fs.add(path+".embedded", "there is: catalog", "unknown embedded plugin %q", p.Embedded)
	}
	if p.Embedded == "" && (len(p.Locations) > 0 || len(p.AllowedURLs) > 0) {
		fs.add(path+".locations", "", "is for the embedded catalog only")
	}
	oneOf(fs, path+".actions", p.Actions, "annotated", "all")
	oneOf(fs, path+".refs", p.Refs, "none", "local", "origin")
	oneOf(fs, path+".outputSchemas", p.OutputSchemas, "open", "strict")
	if p.BaseURL != "" && p.Embedded != "" {
		fs.add(path+".baseURL", "use spec: for a catalog elsewhere", "an embedded plugin is called in process")
	}
	if p.Timeout < 0 {
		fs.add(path+".timeout", "", "cannot be negative")
	}
	if p.MaxResponse < 0 {
		fs.add(path+".maxResponse", "", "cannot be negative")
	}
	if p.Refresh < 0 {
		fs.add(path+".refresh", "", "cannot be negative")
	}
	if p.Concurrency < 1 {
		fs.add(path+".concurrency", "", "has to be more than 0")
	}
	oneOf(fs, path+".retry", p.Retry, "on", "off")
	oneOf(fs, path+".breaker", p.Breaker, "on", "off")
	if p.Handler != nil && (p.Document == nil || p.BaseURL != "") {
		fs.add(path, "give Handler with Document, and no BaseURL", "a handler in this process needs a document, and no URL")
	}
	for _, actions := range slices.Sorted(maps.Keys(p.Attributes)) {
		if a := p.Attributes[actions]; a.ReadOnly != nil && a.Destructive != nil && *a.ReadOnly && *a.Destructive {
			fs.add(path+".attributes."+actions, "", "an action cannot be readOnly and destructive")
		}
	}
	validateIcons(fs, path+".icons", p.Icons)
	p.validateCredentials(fs, path)
}

func (s Server) validate(fs *Faults, server string, known func(plugin string) bool) {
	path := "servers." + server
	if !namePattern.MatchString(server) {
		fs.add(path, "", "server name %q does not match %s", server, namePattern)
	}
	if !strings.Contains(s.ToolNames, "{action}") {
		fs.add(path+".toolNames", `for example "{plugin}_{action}"`, "template %q has no {action}", s.ToolNames)
	}
	oneOf(fs, path+".legacySSE", s.LegacySSE, "on", "off")
	if s.ListPage < 1 {
		fs.add(path+".listPage", "", "has to be more than 0")
	}
	oneOf(fs, path+".tasks.support", s.Tasks.Support, "on", "off")
	if s.Tasks.After <= 0 {
		fs.add(path+".tasks.after", "for example 5s", "has to be more than 0")
	}
	oneOf(fs, path+".confirm", s.Confirm, "none", "destructive")
	s.validateOffers(fs, path)
	if len(s.Actions.Include) == 0 {
		fs.add(path+".actions", `include: ["catalog:*"] shows all actions of the plugin catalog`, "nothing is included, so the server would have no tools")
	}
	for i, r := range s.Actions.Include {
		r.validate(fs, fmt.Sprintf("%s.actions.include[%d]", path, i), known)
	}
	for i, r := range s.Actions.Exclude {
		r.validate(fs, fmt.Sprintf("%s.actions.exclude[%d]", path, i), known)
	}
}

// knows tells whether there is, or may come, a plugin of that name.
func (c Config) knows(plugin string) bool {
	_, listed := c.Plugins[plugin]
	return listed || len(c.publishersOf(plugin)) > 0
}

func (r Rule) validate(fs *Faults, path string, known func(plugin string) bool) {
	if r.ID == "" && r.Plugin == "" && len(r.Tags) == 0 && r.Attributes == (AttributeRule{}) {
		fs.add(path, "say id, plugin, tags or attributes", "rule is empty")
	}
	if r.Plugin != "" && !known(r.Plugin) {
		fs.add(path+".plugin", "", "unknown plugin %q", r.Plugin)
	}
}

func fromRegistry(faults []registry.Fault) Faults {
	out := make(Faults, 0, len(faults))
	for _, f := range faults {
		out = append(out, Fault{Path: f.Path, Message: f.Message, Hint: f.Hint})
	}
	return out
}

func unknownServer(server string, known []string) error {
	f := Fault{Message: fmt.Sprintf("unknown server %q", server), Hint: suggest.Hint(server, known)}
	return errors.New(f.String())
}

func (s Streams) validate(fs *Faults) {
	for _, f := range []struct {
		key  string
		more bool
	}{{"slowCall", s.SlowCall > 0}, {"keepAlive", s.KeepAlive > 0}, {"replay", s.Replay > 0}, {"replayBytes", s.ReplayBytes > 0}} {
		if !f.more {
			fs.add("streams."+f.key, "", "has to be more than 0")
		}
	}
}
