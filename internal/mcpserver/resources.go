package mcpserver

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
)

const markdown = "text/markdown"

// listedResource is a resource, or a template of resources, as lists show it.
type listedResource struct {
	URI         string `json:"uri,omitempty"`
	URITemplate string `json:"uriTemplate,omitempty"`
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	MIMEType    string `json:"mimeType,omitempty"`
}

// addResources makes the lists: a document of each action, what the config
// declares, and the templates.
func (s *server) addResources() {
	resources := make([]entry, 0, len(s.order)+len(s.resources))
	templates := []entry{listedEntry(registry.DocumentTemplate, nil, listedResource{
		URITemplate: registry.DocumentTemplate, Name: "actions", Title: "Documents of actions",
		Description: "What a tool does, in full: description, schemas and examples. id is the action's, \"plugin:name\".",
		MIMEType:    markdown,
	})}
	for _, t := range s.order {
		resources = append(resources, t.offered)
	}
	for _, r := range s.resources {
		shown := listedResource{URI: r.URI, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType}
		if r.Template == nil {
			resources = append(resources, listedEntry(r.URI, r.Action, shown))
			continue
		}
		shown.URITemplate = r.Template.String()
		templates = append(templates, listedEntry(shown.URITemplate, r.Action, shown))
	}
	s.lists.resources = newList(s, mcp.MethodResourcesList, "resources", resources)
	s.lists.templates = newList(s, mcp.MethodResourcesTemplatesList, "resourceTemplates", templates)
}

// listedEntry is an entry that looks the same in both eras.
func listedEntry(key string, a *registry.Action, shown any) entry {
	raw, _ := json.Marshal(shown) // texts and flags
	return newEntry(key, a, raw, raw)
}

// documentEntry lists the document of a tool's action.
func documentEntry(t registry.Tool) entry {
	a := t.Action
	return listedEntry(a.DocumentURI(), a, listedResource{
		URI: a.DocumentURI(), Name: a.ID, Title: a.Title, MIMEType: markdown,
		Description: "Description, schemas and examples of the tool " + t.Name + ".",
	})
}

// hasResource tells whether there is a resource of the URI that the principal
// may know of.
func (s *server) hasResource(p principal.Principal, uri string) bool {
	t, r, _ := s.findResource(p, uri)
	return t != nil || r != nil
}

// findResource gives the tool whose action's document the URI is, or the
// declared resource with the variables of its template, or neither. What is
// declared for one URI comes before templates.
func (s *server) findResource(p principal.Principal, uri string) (*tool, *registry.Resource, map[string]string) {
	if id, ok := registry.DocumentID(uri); ok {
		if t := s.documents[id]; t != nil && s.sees(p, t.action) {
			return t, nil, nil
		}
		return nil, nil, nil
	}
	var found *registry.Resource
	var variables map[string]string
	for i := range s.resources {
		r := &s.resources[i]
		values, ok := r.Match(uri)
		if !ok || !s.sees(p, r.Action) {
			continue
		}
		if r.Template == nil {
			return nil, r, nil
		}
		if found == nil {
			found, variables = r, values
		}
	}
	return nil, found, variables
}

// readResource answers resources/read.
func (h *Handler) readResource(ctx context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError) {
	if m.uri == "" {
		return nil, invalidParams("params.uri must be a resource's URI")
	}
	contents, fault := h.contents(ctx, x, e, m.uri)
	if fault != nil {
		return nil, fault
	}
	dst := append(append(x.server.begin(e), `"contents":[`...), contents...)
	dst = append(dst, ']')
	if _, document := registry.DocumentID(m.uri); e == modern && document {
		dst = appendCache(dst, listTTL)
	} else if e == modern {
		dst = appendCache(dst, 0) // a plugin's answer is of the moment
	}
	return append(dst, '}'), nil
}

// contents gives what is at the URI, as resources/read and prompts show it.
func (h *Handler) contents(ctx context.Context, x *exchange, e era, uri string) ([]byte, *rpcError) {
	t, r, variables := x.server.findResource(x.principal, uri)
	switch {
	case t != nil:
		dst := appendString([]byte(`{"uri":`), uri)
		dst = append(appendString(append(dst, `,"mimeType":`...), markdown), `,"text":`...)
		return append(appendString(dst, t.document()), '}'), nil
	case r != nil:
		return h.readAction(ctx, x, e, r, uri, variables)
	}
	return nil, noResource(e, uri)
}

// readAction asks the resource's action, in the way of a tool call.
func (h *Handler) readAction(
	ctx context.Context, x *exchange, e era, r *registry.Resource, uri string, variables map[string]string,
) ([]byte, *rpcError) {
	start := time.Now()
	c := registry.Call{Principal: x.principal, Door: x.server.door, Action: r.Action, Arguments: r.Call(variables)}
	result, err := h.invoke(ctx, c)
	o := outcomeOf(result, err, x.ref)
	h.record(ctx, x, r.Action, audit.Call{
		Method: string(mcp.MethodResourcesRead), Tool: r.Name, Arguments: c.Arguments,
		Outcome: o.label, Status: o.status, Duration: time.Since(start), Err: err,
	})
	if o.isError {
		return nil, o.readFault(e, uri)
	}
	return o.contents(uri, r.MIMEType), nil
}

// contents is the result as the contents of a resource.
func (o *outcome) contents(uri, mediaType string) []byte {
	dst := appendString([]byte(`{"uri":`), uri)
	dst = append(dst, `,"mimeType":`...)
	switch {
	case o.binary != nil:
		dst = append(appendString(dst, o.binary.MediaType), `,"blob":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, o.binary.Data), '"')
	case o.json != nil:
		dst = append(appendString(dst, cmp.Or(mediaType, "application/json")), `,"text":"`...)
		dst = append(appendEscaped(dst, o.json), '"')
	default:
		dst = append(appendString(dst, cmp.Or(mediaType, "text/plain")), `,"text":`...)
		dst = appendString(dst, o.text)
	}
	if o.hasMeta() {
		dst = append(append(append(dst, `,"_meta":{"`+metaKey+`":`...), o.meta()...), '}')
	}
	return append(dst, '}')
}

// readFault is why there is nothing to read. What the plugin does not have is
// no resource.
func (o *outcome) readFault(e era, uri string) *rpcError {
	switch {
	case o.status == http.StatusNotFound || o.status == http.StatusGone, o.label == string(invoke.Denied):
		return noResource(e, uri)
	case o.label == string(invoke.InvalidArguments):
		return invalidParams(o.text)
	}
	return &rpcError{code: mcp.INTERNAL_ERROR, message: o.text}
}

// noResource is -32602 in 2026-07-28 and was -32002 before (server/resources,
// "Error Handling").
func noResource(e era, uri string) *rpcError {
	code := mcp.RESOURCE_NOT_FOUND
	if e == modern {
		code = mcp.INVALID_PARAMS
	}
	data := append(appendString([]byte(`{"uri":`), uri), '}')
	return &rpcError{code: code, message: "resource not found: " + quoteShort(uri), data: data}
}
