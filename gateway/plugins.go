package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
	"github.com/stagedoor/stagedoor/specs"
)

// inProcessURL is the base URL of plugins that have no socket.
const inProcessURL = "http://plugin.invalid"

// build reads a plugin's documents and makes its actions and its client, unless
// the old ones still hold. With keep it is a fault that a file which a $ref led
// to is gone.
func (p Plugin) build(ctx context.Context, name string, settings settings, old builtPlugin, keep bool) (builtPlugin, Faults) {
	path := "plugins." + name
	credentials := p.Auth.credentials()
	sources, files, err := p.documents(ctx, credentials)
	if err != nil {
		return builtPlugin{}, Faults{{Path: path + ".spec", Message: err.Error()}}
	}
	var overlays []openapi.Source
	for i, file := range p.Overlays {
		overlay, err := source.File(file)
		if err != nil {
			return builtPlugin{}, Faults{{Path: fmt.Sprintf("%s.overlays[%d]", path, i), Message: err.Error()}}
		}
		overlays = append(overlays, overlay)
	}
	out := builtPlugin{settings: settings, files: files}
	out.digest, out.contents = digests(sources, overlays)
	if old.Client != nil && old.settings == out.settings && old.digest == out.digest && !settings.inGo && sameFiles(files, old.files) {
		old.Attributes, old.StrictOutput, old.Icons = attributeRules(path, p.Attributes), p.strictOutput(), icons(p.Icons)
		return old.compile(old.part)
	}
	out.Plugin = registry.Plugin{Name: name, StrictOutput: p.strictOutput(), Attributes: attributeRules(path, p.Attributes), Icons: icons(p.Icons)}
	for i, src := range sources {
		opts := openapi.Options{
			Mode: openapi.Mode(p.Actions), Overlays: overlays, TrustAttributes: p.Embedded != "", MaxBytes: source.MaxDocument,
			BaseURL: p.BaseURL,
		}
		if i < len(files) {
			opts.Opener = files[i]
		}
		doc := openapi.Read(src, opts)
		if keep && i < len(old.files) && i < len(files) {
			if err := files[i].Lost(old.files[i]); err != nil {
				return out, Faults{{Path: path + ".spec", Message: err.Error()}}
			}
		}
		out.findings = append(out.findings, doc.Findings...)
		out.Actions = append(out.Actions, doc.Actions...)
	}
	if len(out.Actions) == 0 {
		return out, unusable(path, out.findings)
	}
	if old.Client != nil && old.settings == out.settings && !settings.inGo { // how the plugin does is no matter of its documents
		out.Client = old.Client
		return out, nil
	}
	if out.Client, err = p.client(name, settings.catalog, credentials); err != nil {
		return out, Faults{{Path: path + ".baseURL", Message: err.Error()}}
	}
	next, faults := out.compile(old.part)
	if len(faults) > 0 {
		out.Client.Close()
	}
	return next, faults
}

// compile makes the part, of which the last one keeps what is the same.
func (b builtPlugin) compile(last *registry.Part) (builtPlugin, Faults) {
	p := b.Plugin
	p.Previous = last
	part, faults := registry.Compile(p)
	b.part = part
	return b, fromRegistry(faults)
}

// sameFiles tells whether what $refs led to is as it was.
func sameFiles(files, old []*source.Files) bool {
	for i, f := range files {
		if !f.Same(old[i]) {
			return false
		}
	}
	return true
}

func (p Plugin) settings(c *runningCatalog) settings {
	return settings{
		embedded: p.Embedded, spec: p.Spec, baseURL: p.BaseURL, actions: p.Actions, refs: p.Refs, timeout: p.Timeout,
		maxResponse: p.MaxResponse, auth: p.Auth, catalog: c, inGo: p.Handler != nil,
		concurrency: p.Concurrency, retry: p.Retry, breaker: p.Breaker,
	}
}

// digests are hashes of documents in their order: with the names of their
// places, and without.
func digests(lists ...[]openapi.Source) (named, contents [sha256.Size]byte) {
	n, c := sha256.New(), sha256.New()
	for _, list := range lists {
		for _, src := range list {
			n.Write(fmt.Appendf(nil, "%q %d ", src.Name, len(src.Data)))
			c.Write(fmt.Appendf(nil, "%d ", len(src.Data)))
			n.Write(src.Data)
			c.Write(src.Data)
		}
		n.Write([]byte{0})
		c.Write([]byte{0})
	}
	return [sha256.Size]byte(n.Sum(nil)), [sha256.Size]byte(c.Sum(nil))
}

// strictOutput: what ships in the binary keeps to its document.
func (p Plugin) strictOutput() bool { return p.Embedded != "" || p.OutputSchemas == "strict" }

// unusable says why a plugin has no action at all. One with some good
// operations serves those.
func unusable(path string, findings []openapi.Finding) (faults Faults) {
	for _, f := range findings {
		if f.Severity == openapi.SeverityError {
			faults = append(faults, Fault{Path: path, Message: f.Location.String() + ": " + f.Message, Hint: f.Hint})
		}
	}
	if len(faults) == 0 {
		faults.add(path, "add x-action: true to an operation, or set actions: all", "plugin has no action")
	}
	return faults
}

// documents gives the plugin's documents and, for those that are not given in
// Go, the way to what their $refs lead to.
func (p Plugin) documents(ctx context.Context, credentials func() (http.Header, error)) ([]openapi.Source, []*source.Files, error) {
	switch {
	case p.Embedded != "":
		return []openapi.Source{{Name: "embedded:" + p.Embedded, Data: specs.Catalog()}}, nil, nil
	case p.Document != nil:
		return []openapi.Source{{Name: "document", Data: p.Document}}, nil, nil
	}
	var header http.Header
	if credentials != nil && p.sameOrigin() {
		var err error
		if header, err = credentials(); err != nil {
			return nil, nil, err
		}
	}
	sources, err := source.Read(ctx, p.Spec, header)
	files := make([]*source.Files, 0, len(sources))
	for _, src := range sources {
		files = append(files, source.NewFiles(ctx, source.Refs(p.Refs), p.Spec, src, header))
	}
	return sources, files, err
}

// sameOrigin tells whether the document comes from the plugin itself, which is
// the only place that its credentials go.
func (p Plugin) sameOrigin() bool {
	return p.BaseURL == "" || originOf(p.BaseURL) == originOf(p.Spec)
}

// client makes the way to a plugin: its own pool of connections, or a handler
// in this process.
func (p Plugin) client(name string, catalog *runningCatalog, credentials func() (http.Header, error)) (*invoke.Client, error) {
	o := invoke.Options{
		Name: name, Concurrency: p.Concurrency, Retry: p.Retry != "off", Breaker: p.Breaker != "off",
		BaseURL: p.BaseURL, Timeout: p.Timeout, MaxResponse: int64(p.MaxResponse), Credentials: credentials,
		UserAgent: "stagedoor/" + Version,
	}
	handler := p.Handler
	if catalog != nil {
		handler = catalog
	}
	switch {
	case handler != nil:
		o.BaseURL = inProcessURL
		o.Transport = invoke.InProcess(handler, o.MaxResponse)
	case o.BaseURL == "" && source.IsURL(p.Spec):
		o.BaseURL = originOf(p.Spec)
	case o.BaseURL == "":
		return nil, errors.New("is needed: the document came from a file, which does not say where the API is")
	}
	return invoke.New(o)
}

// credentials gives the headers that the plugin wants; nil: none.
func (a PluginAuth) credentials() func() (http.Header, error) {
	switch {
	case a.Bearer.IsSet():
		return headerFrom("Authorization", "Bearer ", a.Bearer)
	case a.Header.Name != "":
		return headerFrom(http.CanonicalHeaderKey(a.Header.Name), "", a.Header.Value)
	case a.Basic.Username != "":
		return func() (http.Header, error) {
			password, err := a.Basic.Password.Reveal()
			if err != nil {
				return nil, err
			}
			pair := base64.StdEncoding.EncodeToString([]byte(a.Basic.Username + ":" + password))
			return http.Header{"Authorization": {"Basic " + pair}}, nil
		}
	}
	return nil
}

func headerFrom(name, prefix string, secret Secret) func() (http.Header, error) {
	return func() (http.Header, error) {
		value, err := secret.Reveal()
		if err != nil {
			return nil, err
		}
		return http.Header{name: {prefix + value}}, nil
	}
}

func attributeRules(path string, rules map[string]AttributeRule) []registry.AttributeRule {
	var out []registry.AttributeRule
	byLength := func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }
	for _, actions := range slices.SortedFunc(maps.Keys(rules), byLength) { // "*" first, the most particular last
		out = append(out, registry.AttributeRule{
			Path: path + ".attributes." + actions, Actions: actions, Attributes: registry.AttributeSet(rules[actions]),
		})
	}
	return out
}

// serverSpecs says the servers in the registry's words. What is known to be
// wrong is left out.
func serverSpecs(servers map[string]Server, known Faults) (out []registry.ServerSpec, faults Faults) {
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		s := servers[name]
		spec := registry.ServerSpec{
			Name: name, Title: s.Title, Version: s.Version, Description: s.Description, WebsiteURL: s.WebsiteURL, Icons: icons(s.Icons),
			Instructions: s.Instructions, ListPage: s.ListPage, ToolNames: s.ToolNames,
			NoLegacySSE: s.LegacySSE == "off", ConfirmDestructive: s.Confirm == "destructive",
			Include: rules("servers."+name+".actions.include", s.Actions.Include),
			Exclude: rules("servers."+name+".actions.exclude", s.Actions.Exclude),
		}
		if s.Tasks.Support == "on" {
			spec.TaskAfter = s.Tasks.After
		}
		if spec.Title == "" {
			spec.Title = name
		}
		if spec.Version == "" {
			spec.Version = Version
		}
		if known.about("servers." + name + ".toolNames") {
			spec.ToolNames = registry.DefaultToolNames
		}
		spec.Prompts = s.prompts(&faults, "servers."+name+".prompts", known)
		spec.Resources = s.resources("servers."+name+".resources", known)
		out = append(out, spec)
	}
	return out, faults
}

func rules(path string, in []Rule) []registry.Rule {
	out := make([]registry.Rule, 0, len(in))
	for i, r := range in {
		out = append(out, registry.Rule{
			Path: fmt.Sprintf("%s[%d]", path, i), ID: r.ID, Plugin: r.Plugin, Tags: r.Tags, Attributes: registry.AttributeSet(r.Attributes),
		})
	}
	return out
}

func originOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
