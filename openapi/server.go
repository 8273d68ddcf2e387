package openapi

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Requests go to the operator's base URL, which stands for the document's first
// server. What servers say beside that counts where it lies below: a path or
// an operation may have its own part of the API, but no other host.

// baseURL is where requests go, as far as it is known when a document is read.
type baseURL struct {
	said   *url.URL // by the operator; nil: nobody said
	from   *url.URL // where the document came from; nil: a file
	server *url.URL // the document's first server
	path   string   // what the first server adds to where the document came from
}

// locate finds out where the document's paths are. The first server's path
// counts only where the operator said nothing: their base URL includes it.
func (r *reader) locate() {
	if said, err := url.Parse(r.opts.BaseURL); err == nil && said.Host != "" {
		r.baseURL.said = said
	}
	if from, err := url.Parse(r.entry.name); err == nil && from.Host != "" {
		r.baseURL.from = from
	}
	r.baseURL.server = &url.URL{Path: "/"} // OpenAPI 3.1 §4.8.1.1
	if r.baseURL.from != nil {
		r.baseURL.server = r.baseURL.from.ResolveReference(r.baseURL.server)
	}
	servers := r.servers()
	if len(servers) > 0 {
		if u, fault := r.serverURL(servers[0]); fault == "" {
			r.baseURL.server = u
		}
	}
	if r.baseURL.said != nil || r.baseURL.from == nil {
		if basePath := get(r.entry.root, "basePath"); r.swagger && strings.Trim(text(basePath), "/") != "" {
			r.report(SeverityInfo, "base-path", basePath,
				fmt.Sprintf("document's paths are below the basePath %q, which is not added to the config's base URL", basePath.Value), "end baseURL with it")
		}
		return
	}
	for _, server := range servers {
		u, fault := r.serverURL(server)
		if path, ok := below(cmp.Or(u, &url.URL{}), r.baseURL.origin()); ok && fault == "" {
			r.baseURL.server, r.baseURL.path = u, path
			return
		}
	}
	if len(servers) > 0 {
		r.report(SeverityInfo, "servers-ignored", servers[0],
			fmt.Sprintf("server %s is on another host than the document", r.baseURL.server.Redacted()), "requests go to where the document came from, unless baseURL is set")
	}
}

// servers are the document's. Swagger 2.0 says them by schemes, host and
// basePath.
func (r *reader) servers() []*yaml.Node {
	if !r.swagger {
		return items(get(r.entry.root, "servers"))
	}
	host, basePath := text(get(r.entry.root, "host")), cmp.Or(text(get(r.entry.root, "basePath")), "/")
	var addresses []string
	for _, scheme := range items(get(r.entry.root, "schemes")) {
		if host != "" {
			addresses = append(addresses, scheme.Value+"://"+host)
		}
	}
	switch {
	case host == "":
		addresses = []string{""}
	case len(addresses) == 0: // the scheme by which the document came
		addresses = []string{"//" + host}
	}
	out := make([]*yaml.Node, 0, len(addresses))
	for _, address := range addresses {
		server := r.made(r.entry.root, yaml.MappingNode, "!!map", "")
		r.put(server, "url", r.scalar(r.entry.root, "!!str", address+basePath))
		out = append(out, server)
	}
	return out
}

// origin is the host that the document came from, nil when it was none.
func (b *baseURL) origin() *url.URL {
	if b.from == nil {
		return nil
	}
	return &url.URL{Scheme: b.from.Scheme, Host: b.from.Host}
}

// serverPath is what stands before an operation's path. Of the lists of servers
// the innermost counts, and in it the first server that is below the base URL.
func (r *reader) serverPath(item, op *yaml.Node) string {
	servers := get(op, "servers")
	if len(items(servers)) == 0 {
		servers = get(item, "servers")
	}
	reason := ""
	for _, n := range items(servers) {
		u, fault := r.serverURL(n)
		if fault != "" {
			reason = fault
			continue
		}
		if path, ok := below(u, r.baseURL.server); ok {
			return r.baseURL.path + path
		}
		if path, ok := below(u, cmp.Or(r.baseURL.said, r.baseURL.origin())); ok {
			return path
		}
		reason = fmt.Sprintf("server %s is not below the base URL", u.Redacted())
	}
	if reason != "" {
		r.report(SeverityWarning, "servers-ignored", servers, reason+"; requests go to the base URL all the same",
			"a plugin of its own with that baseURL can have these operations")
	}
	return r.baseURL.path
}

// serverURL is a server's URL with its variables at their defaults, relative to
// where the document came from (OpenAPI 3.1 §4.8.5).
func (r *reader) serverURL(n *yaml.Node) (u *url.URL, fault string) {
	raw := text(get(n, "url"))
	for name, variable := range pairs(get(n, "variables")) {
		value := get(variable, "default")
		if enum := items(get(variable, "enum")); value == nil && len(enum) > 0 {
			value = enum[0]
		}
		if value != nil && value.Kind == yaml.ScalarNode {
			raw = strings.ReplaceAll(raw, "{"+name.Value+"}", value.Value)
		}
	}
	if strings.ContainsAny(raw, "{}") {
		return nil, fmt.Sprintf("server %q has a variable without a default", raw)
	}
	u, err := url.Parse(raw)
	if err == nil && r.baseURL.from != nil {
		u = r.baseURL.from.ResolveReference(u)
	}
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || templateFault(u.EscapedPath()) != "" {
		return nil, fmt.Sprintf("server %q is no URL of an API", raw)
	}
	return u, ""
}

// below gives the path from one URL to another that lies below it.
func below(u, root *url.URL) (path string, ok bool) {
	if root == nil || address(u) != address(root) {
		return "", false
	}
	path, ok = strings.CutPrefix(strings.TrimSuffix(u.EscapedPath(), "/"), strings.TrimSuffix(root.EscapedPath(), "/"))
	return path, ok && (path == "" || path[0] == '/')
}

// address is a URL's scheme, host and port, the port always written.
func address(u *url.URL) string {
	port := u.Port()
	switch scheme := strings.ToLower(u.Scheme); {
	case port != "":
	case scheme == "http":
		port = "80"
	case scheme == "https":
		port = "443"
	}
	return strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
}
