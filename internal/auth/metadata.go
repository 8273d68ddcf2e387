package auth

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// WellKnown is the path below which resources have their metadata (RFC 9728,
// section 3): "/mcp/catalog" has it at WellKnown + "/mcp/catalog".
const WellKnown = "/.well-known/oauth-protected-resource"

// Metadata tells clients where to get a token for a resource (RFC 9728). A
// resource without authorization servers has none.
type Metadata struct {
	// Resource is the resource identifier, as tokens have it in aud.
	Resource             string
	AuthorizationServers []string
	// Scopes are all that its actions may need.
	Scopes        []string
	Name          string // for people; "": none
	Documentation string // URL; "": none
}

// URL is where clients find it, with the path of the resource after the
// well-known one; "": there is none.
func (m Metadata) URL() string {
	u, err := url.Parse(m.Resource)
	if err != nil || len(m.AuthorizationServers) == 0 {
		return ""
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	return u.Scheme + "://" + u.Host + WellKnown + path
}

// ServeHTTP implements [http.Handler]. The document is public: pages of every
// origin may read it, with whatever headers they send.
func (m Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	switch {
	case len(m.AuthorizationServers) == 0:
		http.NotFound(w, r)
	case r.Method == http.MethodOptions:
		header.Set("Access-Control-Allow-Methods", "GET, HEAD")
		header.Set("Access-Control-Allow-Headers", "*")
		header.Set("Access-Control-Max-Age", "3600")
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
	default:
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "public, max-age=300")
		_ = json.NewEncoder(w).Encode(m.document()) // nobody is left to tell
	}
}

func (m Metadata) document() any {
	return struct {
		Resource      string   `json:"resource"`
		Servers       []string `json:"authorization_servers"`
		Scopes        []string `json:"scopes_supported,omitempty"`
		Methods       []string `json:"bearer_methods_supported"`
		Name          string   `json:"resource_name,omitempty"`
		Documentation string   `json:"resource_documentation,omitempty"`
	}{m.Resource, m.AuthorizationServers, askable(m.Scopes), []string{"header"}, m.Name, m.Documentation}
}
