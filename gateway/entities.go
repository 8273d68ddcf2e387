package gateway

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// EntityOptions say of the servers' catalog entities what the config does not.
type EntityOptions struct {
	Owner     string // entity reference; default "unknown"
	System    string // entity reference; "": none
	Lifecycle string // default "production"
	Namespace string // "": the catalog's default
}

var (
	entityRef  = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9]*:)?([a-z0-9]+(-[a-z0-9]+)*/)?[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?$`)
	entityName = regexp.MustCompile(`^[a-z0-9]+(-+[a-z0-9]+)*$`)
)

// Validate says which option is not what its entity field has to be.
func (o EntityOptions) Validate() error {
	for _, f := range []struct {
		name, value, example string
		is                   *regexp.Regexp
	}{
		{"owner", o.Owner, "group:default/platform", entityRef}, {"system", o.System, "developer-portal", entityRef},
		{"namespace", o.Namespace, "default", entityName}, {"lifecycle", o.Lifecycle, "production", entityRef},
	} {
		if f.value != "" && !f.is.MatchString(f.value) {
			return fmt.Errorf("%s is not valid: expected something like %s, got %q", f.name, f.example, f.value)
		}
	}
	return nil
}

// entity is an MCP server in Backstage's software catalog (catalog-model 1.10,
// schema ApiV1alpha1McpServer). A catalog that knows nothing of MCP servers wants
// a definition of every API: there it is the list of tools.
type entity struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   entityMetadata `yaml:"metadata"`
	Spec       entitySpec     `yaml:"spec"`
}

type entityMetadata struct {
	Name        string       `yaml:"name"`
	Namespace   string       `yaml:"namespace,omitempty"`
	Title       string       `yaml:"title,omitempty"`
	Description string       `yaml:"description,omitempty"`
	Tags        []string     `yaml:"tags"`
	Links       []entityLink `yaml:"links,omitempty"`
}

type entityLink struct {
	URL string `yaml:"url"`
}

type entitySpec struct {
	Type       string         `yaml:"type"`
	Lifecycle  string         `yaml:"lifecycle"`
	Owner      string         `yaml:"owner"`
	System     string         `yaml:"system,omitempty"`
	Remotes    []entityRemote `yaml:"remotes"`
	Definition string         `yaml:"definition"`
}

type entityRemote struct {
	Type string `yaml:"type"`
	URL  string `yaml:"url"`
}

// CatalogEntities describes the MCP servers as entities of a software catalog,
// for a portal to list: YAML documents of kind API and type mcp-server, at the
// config's publicURL.
func (g *Gateway) CatalogEntities(o EntityOptions) ([]byte, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	for _, s := range g.registry.Snapshot().Servers() {
		if !entityName.MatchString(s.Name) {
			return nil, fmt.Errorf("server %q: an entity's name cannot end in a hyphen", s.Name)
		}
		if err := enc.Encode(g.entity(s, o)); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), enc.Close()
}

func (g *Gateway) entity(s *registry.Server, o EntityOptions) entity {
	e := entity{APIVersion: "backstage.io/v1alpha1", Kind: "API"}
	e.Metadata = entityMetadata{Name: s.Name, Namespace: o.Namespace, Title: s.Title, Description: s.Description, Tags: []string{"mcp"}}
	if s.WebsiteURL != "" {
		e.Metadata.Links = []entityLink{{s.WebsiteURL}}
	}
	e.Spec = entitySpec{
		Type: "mcp-server", Lifecycle: cmp.Or(o.Lifecycle, "production"), Owner: cmp.Or(o.Owner, "unknown"), System: o.System,
		Remotes: []entityRemote{{"streamable-http", g.publicURL + "/mcp/" + s.Name}},
	}
	for _, t := range s.Tools {
		e.Spec.Definition += t.Name + ": " + cmp.Or(t.Action.Title, t.Action.Name) + "\n"
	}
	e.Spec.Definition = cmp.Or(e.Spec.Definition, "no tools\n")
	return e
}

// catalogInfo serves the entities, so that a portal can register the URL as a
// location. The query says what the options are.
func (g *Gateway) catalogInfo(w http.ResponseWriter, r *http.Request) {
	var o EntityOptions
	options := map[string]*string{"owner": &o.Owner, "system": &o.System, "lifecycle": &o.Lifecycle, "namespace": &o.Namespace}
	for name, values := range r.URL.Query() {
		into, known := options[name]
		if !known || len(values) > 1 {
			writeJSON(w, http.StatusBadRequest, map[string]string{
				"error": fmt.Sprintf("query parameter %.100q is unknown or given twice (%s)", name, cmp.Or(suggest.Hint(name, []string{"owner", "system", "lifecycle", "namespace"}), "there is owner, system, lifecycle, namespace")),
			})
			return
		}
		*into = values[0]
	}
	text, err := g.CatalogEntities(o)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(text) // nobody is left to tell
}
