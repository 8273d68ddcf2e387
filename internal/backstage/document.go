package backstage

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// document is the OpenAPI document of the actions: a path for each, and its
// schemas among the components.
func (r *reader) document() *object {
	paths, schemas := ordered(), ordered()
	for i := range r.actions {
		a := &r.actions[i]
		names := fmt.Sprintf("action.%d", i)
		if actionName.MatchString(a.name) {
			names = a.name
		}
		input, output := names+".input", names+".output"
		place(a.input, schemaRef(input))
		schemas.add(input, a.input)
		if a.output != nil {
			place(a.output, schemaRef(output))
			schemas.add(output, a.output)
		}
		paths.add(a.path(), ordered("post", a.operation(schemaRef(input), schemaRef(output))))
	}
	return ordered(
		"openapi", "3.1.0",
		"info", ordered("title", "Actions of the Backstage plugin "+r.Plugin, "version", "1"),
		"paths", paths,
		"components", ordered("schemas", schemas),
	)
}

// actionName is what names of our actions look like. None has a dot.
var actionName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func schemaRef(name string) string { return "#/components/schemas/" + name }

// path is where the action is invoked. With secrets that is version 2 of the
// protocol, which wraps the input; not every source of actions has it.
func (a *action) path() string {
	version := "v1"
	if a.secret {
		version = "v2"
	}
	// Backstage's own client sends encodeURIComponent(id).
	return "/.backstage/actions/" + version + "/actions/" + strings.ReplaceAll(url.PathEscape(a.id), ":", "%3A") + "/invoke"
}

func (a *action) operation(input, output string) *object {
	body, fields := a.request(input)
	answer := ordered("type", "object", "properties", ordered())
	if a.output != nil {
		answer = ordered("type", "object", "properties", ordered("output", ordered("$ref", output)), "required", []any{"output"})
	}
	x := ordered()
	if actionName.MatchString(a.name) {
		x.add("name", a.name)
	}
	for _, name := range []string{"title", "description"} {
		if text := a.entry.text(name); strings.TrimSpace(text) != "" {
			x.add(name, text)
		}
	}
	x.add("attributes", a.attributes())
	x.members = append(x.members, fields.members...)
	x.add("output", ordered("select", ".output"))
	if examples := a.examples(); len(examples) > 0 {
		x.add("examples", examples)
	}
	return ordered(
		"operationId", a.name,
		"requestBody", ordered("required", true, "content", asJSON(body)),
		"responses", ordered("200", ordered("description", "what the action gives back", "content", asJSON(answer))),
		"x-action", x,
	)
}

func asJSON(schema *object) *object {
	return ordered("application/json", ordered("schema", schema))
}

// request is the schema of the body, and the fields of x-action that make it of
// the arguments: these are the properties of the input where they are all of its
// meaning, else the input as a whole.
func (a *action) request(input string) (body, fields *object) {
	names, ok := properties(a.input)
	a.whole = !ok
	content := ordered("$ref", input)
	if ok {
		described, members := 0, ordered()
		if listed, isObject := a.input.get("properties").(*object); isObject {
			described = len(listed.members) // they come first among the names
		}
		for i, name := range names {
			if i < described {
				members.add(name, ordered("$ref", input+"/properties/"+name))
			} else {
				members.add(name, ordered())
			}
		}
		content = ordered("type", "object", "properties", members)
		if required := a.input.get("required"); required != nil {
			content.add("required", required)
		}
		content.add("additionalProperties", false)
	}
	at, fixed, arguments := "body", ordered(), ordered()
	body, fields = content, ordered()
	if a.secret {
		at = "body.input"
		body = ordered("type", "object", "properties", ordered("input", content, "secrets", ordered("type", "object")), "required", []any{"input", "secrets"})
		fixed.add("body.secrets", ordered())
	}
	switch {
	case !ok:
		arguments.add("input", ordered("for", at))
	case a.secret || len(names) == 0: // an input without members is sent, too
		fixed.add(at, ordered())
		for _, name := range names {
			arguments.add(name, ordered("for", at+"."+name))
		}
	}
	secrets := ordered()
	for _, name := range a.secretNames {
		secrets.add("body.secrets."+name, name)
	}
	for _, field := range []member{{"input", arguments}, {"fixed", fixed}, {"secrets", secrets}} {
		if o, _ := field.value.(*object); len(o.members) > 0 {
			fields.members = append(fields.members, field)
		}
	}
	return body, fields
}

// attributes are Backstage's three, with its defaults: what does not only read
// may destroy. It knows no openWorld (its own MCP server says false of all):
// where a source does not say it, the cautious answer of package openapi holds.
func (a *action) attributes() *object {
	listed, _ := a.entry.get("attributes").(*object)
	is := func(name string, otherwise bool) bool {
		if b, ok := listed.get(name).(bool); ok {
			return b
		}
		return otherwise
	}
	readOnly := is("readOnly", false)
	out := ordered("readOnly", readOnly, "destructive", is("destructive", !readOnly), "idempotent", is("idempotent", false))
	if open, ok := listed.get("openWorld").(bool); ok {
		out.add("openWorld", open)
	}
	return out
}

// examples are those that x-action can have.
func (a *action) examples() (out []any) {
	listed, _ := a.entry.get("examples").([]any)
	for _, item := range listed {
		example, ok := item.(*object)
		if !ok {
			continue
		}
		kept := ordered()
		for _, m := range example.members {
			text, isText := m.value.(string)
			switch {
			case (m.name == "title" || m.name == "description") && isText && text != "", m.name == "output":
				kept.add(m.name, m.value)
			case m.name == "input" && a.whole:
				kept.add("input", ordered("input", m.value))
			case m.name == "input":
				kept.add("input", m.value)
			}
		}
		out = append(out, kept)
	}
	return out
}
