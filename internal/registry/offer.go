package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/suggest"
)

// The documents of actions have URIs of the gateway's own.
const (
	documentScheme = "stagedoor"
	documentPrefix = "stagedoor://actions/"
	// DocumentTemplate is the URI template of the actions' documents.
	DocumentTemplate = documentPrefix + "{+id}"
)

// Icon is an image for a user interface, by an https or data URL.
type Icon struct {
	Src      string   `json:"src"`
	MIMEType string   `json:"mimeType,omitempty"`
	Sizes    []string `json:"sizes,omitempty"` // "48x48", "any"
	Theme    string   `json:"theme,omitempty"` // "light" or "dark"
}

// Resource is what an action answers, under a URI.
type Resource struct {
	URI         string
	Template    *URITemplate // of many URIs, instead of URI
	Name        string
	Title       string
	Description string
	MIMEType    string // of text; "": what the answer is
	Action      *Action
	Arguments   []ResourceArgument
}

// ResourceArgument is an argument of a resource's action: a fixed value, or a
// variable of the URI template.
type ResourceArgument struct {
	Name     string
	Value    json.RawMessage
	Variable string
}

// ResourceSpec is a resource before its action is known. Values of Arguments
// are texts; {name} alone is the template's variable.
type ResourceSpec struct {
	Path        string // where it stands in the config
	URI         string
	URITemplate string
	Name        string
	Title       string
	Description string
	MIMEType    string
	Action      string // id
	Arguments   map[string]string
}

// Match tells whether the resource has the URI, and gives the template's
// variables.
func (r *Resource) Match(uri string) (map[string]string, bool) {
	if r.Template == nil {
		return nil, r.URI == uri
	}
	return r.Template.Match(uri)
}

// Call gives the arguments that the action is called with.
func (r *Resource) Call(variables map[string]string) json.RawMessage {
	arguments := map[string]json.RawMessage{}
	for _, a := range r.Arguments {
		if arguments[a.Name] = a.Value; a.Variable != "" {
			arguments[a.Name] = r.Action.typed(a.Name, variables[a.Variable])
		}
	}
	raw, _ := json.Marshal(arguments) // each is JSON
	return raw
}

// Values lists what a variable of the template can be, where the action's
// input schema has an enum; nil: anything.
func (r *Resource) Values(variable string) []string {
	for _, a := range r.Arguments {
		if a.Variable == variable {
			return r.Action.enum(a.Name)
		}
	}
	return nil
}

// DocumentURI is where the action's document is found.
func (a *Action) DocumentURI() string { return documentPrefix + a.ID }

// DocumentID is the id of the action whose document the URI is.
func DocumentID(uri string) (string, bool) {
	escaped, ok := strings.CutPrefix(uri, documentPrefix)
	if !ok {
		return "", false
	}
	id, err := url.PathUnescape(escaped)
	return id, err == nil
}

// resources resolves the resources of a server. Their actions only read, and
// the server's allowlist admits them. Those whose action is the same as before
// are taken over.
func (b *building) resources(next, was *resolved, tools []Tool) (out []Resource, faults []Fault) {
	same := reflect.DeepEqual(next.spec.Resources, was.spec.Resources)
	next.resources = make([]*Resource, len(next.spec.Resources))
	for i, r := range next.spec.Resources {
		a, fault := b.resourceAction(next.spec, r)
		if fault != nil {
			faults = append(faults, *fault)
			continue
		}
		if a == nil {
			continue // of a plugin whose actions are not known
		}
		a = shownAs(a, tools)
		if same && was.resources[i] != nil && was.resources[i].Action == a {
			next.resources[i] = was.resources[i]
		} else {
			var more []Fault
			next.resources[i], more = r.resolve(a)
			faults = append(faults, more...)
		}
		if next.resources[i] != nil {
			out = append(out, *next.resources[i])
		}
	}
	return out, faults
}

// shownAs is the action as the server's tools have it.
func shownAs(a *Action, tools []Tool) *Action {
	for _, t := range tools {
		if t.Action.ruled != nil && t.Action.ruled.plain == a {
			return t.Action
		}
	}
	return a
}

// resolve makes the resource of an action; nil where its URI cannot be read.
func (r ResourceSpec) resolve(a *Action) (*Resource, []Fault) {
	resource := &Resource{
		URI: r.URI, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType, Action: a,
	}
	if r.URITemplate != "" {
		var err error
		if resource.Template, err = ParseURITemplate(r.URITemplate); err != nil {
			return nil, []Fault{{Path: r.Path + ".uriTemplate", Message: err.Error()}}
		}
	}
	faults := resource.bind(r)
	if fault := resource.check(r); len(faults) == 0 && fault != nil {
		faults = append(faults, *fault)
	}
	for i := range faults {
		faults[i].Plugins = []string{a.Plugin}
	}
	return resource, faults
}

// resourceAction finds the action; nil where it may be of an absent plugin.
func (b *building) resourceAction(spec ServerSpec, r ResourceSpec) (*Action, *Fault) {
	path := r.Path + ".action"
	a := b.find(r.Action)
	if a == nil && b.mayMeanAbsent(Rule{ID: r.Action}) {
		return nil, nil
	}
	if a == nil {
		f := b.missing(Fault{Path: path, Message: fmt.Sprintf("unknown action %q", r.Action)},
			func(id string) bool { return id == r.Action }, func() string { return suggest.Hint(r.Action, b.ids()) })
		return nil, &f
	}
	fault := &Fault{Path: path, Plugins: []string{a.Plugin}}
	switch {
	case !matchesAny(spec.Include, a) || matchesAny(spec.Exclude, a):
		fault.Message, fault.Hint = fmt.Sprintf("action %q is not one of the server's", a.ID), "include it under actions"
	case !a.Attributes.ReadOnly:
		fault.Message, fault.Hint = fmt.Sprintf("action %q does not only read", a.ID), "if it does, say so under attributes of the plugin"
	case a.Response.MCP:
		fault.Message = fmt.Sprintf("action %q answers with MCP results, which are for tools", a.ID)
	default:
		return a, nil
	}
	return nil, fault
}

// bind takes the arguments over, each with the type that the action wants.
func (r *Resource) bind(spec ResourceSpec) (faults []Fault) {
	var variables []string
	if r.Template != nil {
		variables = r.Template.Names()
	}
	used := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(spec.Arguments)) {
		path, value := spec.Path+".arguments."+name, spec.Arguments[name]
		if known := slices.Sorted(maps.Keys(r.Action.properties())); !slices.Contains(known, name) {
			faults = append(faults, Fault{
				Path: path, Message: fmt.Sprintf("action %q has no argument %q", r.Action.ID, name), Hint: suggest.Hint(name, known),
			})
			continue
		}
		variable := strings.TrimSuffix(strings.TrimPrefix(value, "{"), "}")
		if value != "{"+variable+"}" || !variableName.MatchString(variable) {
			r.Arguments = append(r.Arguments, ResourceArgument{Name: name, Value: r.Action.typed(name, value)})
			continue
		}
		if used[variable] = true; !slices.Contains(variables, variable) {
			faults = append(faults, Fault{
				Path: path, Message: fmt.Sprintf("URI template has no variable %q", variable), Hint: suggest.Hint(variable, variables),
			})
		}
		r.Arguments = append(r.Arguments, ResourceArgument{Name: name, Variable: variable})
	}
	for _, variable := range variables {
		if !used[variable] {
			faults = append(faults, Fault{
				Path: spec.Path + ".uriTemplate", Message: fmt.Sprintf("variable %q is no argument", variable),
				Hint: fmt.Sprintf("arguments: {NAME: %q}", "{"+variable+"}"),
			})
		}
	}
	return faults
}

// check holds the arguments to the action's input schema as far as they are
// known: all of a resource's; of a template those that are fixed, and that none
// is left out.
func (r *Resource) check(spec ResourceSpec) *Fault {
	path := spec.Path + ".arguments"
	if r.Template == nil {
		if _, err := r.Action.decodeArguments(r.Call(nil)); err != nil {
			return &Fault{Path: path, Message: err.Error()}
		}
		return nil
	}
	for _, name := range r.Action.arguments.Required {
		if !slices.ContainsFunc(r.Arguments, func(a ResourceArgument) bool { return a.Name == name }) {
			return &Fault{Path: path, Message: fmt.Sprintf("argument %q of action %q is missing", name, r.Action.ID)}
		}
	}
	for _, a := range r.Arguments {
		if a.Variable != "" {
			continue
		}
		if err := r.Action.checkArgument(a.Name, a.Value); err != nil {
			return &Fault{Path: path + "." + a.Name, Message: err.Error()}
		}
	}
	return nil
}

// properties are the schemas of the action's arguments.
func (a *Action) properties() map[string]json.RawMessage {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	_ = json.Unmarshal(a.InputSchema, &schema) // it was compiled
	return schema.Properties
}

// property is what of an argument's schema tells types and values.
type property struct {
	Ref   string            `json:"$ref"`
	Type  json.RawMessage   `json:"type"`
	Enum  []json.RawMessage `json:"enum"`
	AnyOf []property        `json:"anyOf"`
	OneOf []property        `json:"oneOf"`
	AllOf []property        `json:"allOf"`
}

// property gives the schema of an argument and those that it is composed of.
func (a *Action) property(name string) (all []property) {
	var schema struct {
		Defs map[string]property `json:"$defs"`
	}
	_ = json.Unmarshal(a.InputSchema, &schema)
	var first property
	_ = json.Unmarshal(a.properties()[name], &first)
	seen := map[string]bool{}
	for queue := []property{first}; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		all = append(all, p)
		queue = append(append(append(queue, p.AnyOf...), p.OneOf...), p.AllOf...)
		if ref, ok := strings.CutPrefix(p.Ref, "#/$defs/"); ok && !seen[ref] {
			seen[ref] = true
			queue = append(queue, schema.Defs[ref])
		}
	}
	return all
}

// typed makes JSON of a text: a number, boolean, list or object where the
// argument's schema wants one and the text is one, else a string.
func (a *Action) typed(name, text string) json.RawMessage { return typed(a.property(name), text) }

func typed(schema []property, text string) json.RawMessage {
	quoted := asJSON(text)
	kind := kindOf([]byte(text))
	wanted := false
	for _, p := range schema {
		for _, allowed := range p.Enum { // which may be all that there is
			if len(p.Type) == 0 && bytes.Equal(allowed, quoted) {
				return quoted
			}
			wanted = wanted || len(p.Type) == 0 && kind != "" && kindOf(allowed) == kind
		}
		switch {
		case bytes.Contains(p.Type, []byte(`"string"`)):
			return quoted
		case kind != "" && bytes.Contains(p.Type, []byte(`"`+kind+`"`)), kind == "number" && bytes.Contains(p.Type, []byte(`"integer"`)):
			wanted = true
		}
	}
	if wanted {
		return json.RawMessage(text)
	}
	return quoted
}

// kindOf is the type of a JSON value that need not be a string, "" for
// everything else.
func kindOf(text []byte) string {
	var value any
	if json.Unmarshal(text, &value) != nil {
		return ""
	}
	switch value.(type) {
	case bool:
		return "boolean"
	case float64:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return ""
}

// enum lists the values of an argument that has an enum, in their order.
func (a *Action) enum(name string) []string {
	var values []string
	all := a.property(name)
	if len(all[0].Enum) > 0 { // what it is composed of may have more
		all = all[:1]
	}
	for _, p := range all {
		for _, raw := range p.Enum {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			values = append(values, text)
		}
	}
	return values
}
