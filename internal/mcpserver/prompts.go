package mcpserver

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// prompt is a prompt of the config.
type prompt struct{ registry.Prompt }

// listedPrompt is a prompt as prompts/list shows it.
type listedPrompt struct {
	Name        string           `json:"name"`
	Title       string           `json:"title,omitempty"`
	Description string           `json:"description,omitempty"`
	Arguments   []listedArgument `json:"arguments,omitempty"`
}

type listedArgument struct {
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
}

func (s *server) addPrompts(prompts []registry.Prompt) {
	entries := make([]entry, 0, len(prompts))
	for _, p := range prompts {
		s.prompts[p.Name] = &prompt{p}
		shown := listedPrompt{Name: p.Name, Title: p.Title, Description: p.Description}
		for _, a := range p.Arguments {
			shown.Arguments = append(shown.Arguments, listedArgument{
				Name: a.Name, Title: a.Title, Description: a.Description,
				// What can be asked for may be left out; clients hold users to the rest.
				Required: a.Required && !a.Ask,
			})
		}
		entries = append(entries, listedEntry(p.Name, nil, shown))
	}
	s.lists.prompts = newList(s, mcp.MethodPromptsList, "prompts", entries)
}

// getPrompt answers prompts/get.
func (h *Handler) getPrompt(ctx context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError) {
	p, ok := x.server.prompts[m.name]
	if !ok {
		return nil, invalidParams("unknown prompt: " + quoteShort(m.name))
	}
	values, fault := p.values(m.arguments)
	if fault != nil {
		return nil, fault
	}
	if missing := p.missing(values); len(missing) > 0 {
		asked, err := h.askArguments(ctx, x, e, m, p, missing)
		if err != nil {
			return instead(err)
		}
		maps.Copy(values, asked)
		if fault := h.permitCalls(x, x.fills(nil, p, values)); fault != nil { // only now is it known what is called
			h.refusedCall(x, m, fault)
			return nil, fault
		}
	}
	return h.fill(ctx, x, e, p, values)
}

// askArguments asks the user for what is missing, where the config allows that
// of all of it. The error is an *[otherResultError] or *[rpcError].
func (h *Handler) askArguments(
	ctx context.Context, x *exchange, e era, m *envelope, p *prompt, missing []registry.PromptArgument,
) (map[string]string, error) {
	names := strings.Join(argumentNames(missing), ", ")
	schema, ok := question(missing)
	if !ok {
		return nil, invalidParams("arguments are missing: " + names)
	}
	arguments, fault := argumentsOf(m.arguments)
	if fault != nil {
		return nil, fault
	}
	d, fault := h.newDialogue(x, e, m, arguments, p.Name)
	if fault != nil {
		return nil, fault
	}
	at := d.turn
	if at == nil {
		title := cmp.Or(p.Title, p.Name)
		at = &turn{About: turnPrompt, Asked: elicitation("arguments", "What should "+title+" be about?", schema)}
	}
	answers, err := d.ask(ctx, at)
	if told := (*invoke.Error)(nil); errors.As(err, &told) {
		return nil, invalidParams("arguments are missing: " + names + ". " + told.Message)
	}
	if err != nil {
		return nil, err
	}
	answer := member(answers, "arguments")
	if action := textOf(member(answer, "action")); action != "accept" {
		return nil, invalidParams("arguments are missing: " + names + ". The user was asked and chose: " + action)
	}
	values, fault := p.values(member(answer, "content"))
	if fault != nil {
		return nil, fault
	}
	asked := map[string]string{}
	for _, a := range missing {
		if asked[a.Name] = values[a.Name]; asked[a.Name] == "" {
			return nil, invalidParams("argument " + a.Name + " is missing in the user's answer")
		}
	}
	return asked, nil
}

// fill writes the result of prompts/get, for values none of which is missing.
func (h *Handler) fill(ctx context.Context, x *exchange, e era, p *prompt, values map[string]string) (json.RawMessage, *rpcError) {
	dst := x.server.begin(e)
	if p.Description != "" {
		dst = append(appendString(append(dst, `"description":`...), p.Description), ',')
	}
	dst = append(dst, `"messages":[`...)
	for i, message := range p.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(append(dst, `{"role":`...), message.Role), `,"content":`...)
		var fault *rpcError
		if dst, fault = h.appendContent(ctx, dst, x, e, message, values); fault != nil {
			return nil, fault
		}
		dst = append(dst, '}')
	}
	return append(dst, `]}`...), nil
}

func (h *Handler) appendContent(
	ctx context.Context, dst []byte, x *exchange, e era, message registry.PromptMessage, values map[string]string,
) ([]byte, *rpcError) {
	switch {
	case message.Resource != nil:
		contents, fault := h.contents(ctx, x, e, message.Resource.FillURI(values))
		return append(append(append(dst, `{"type":"resource","resource":`...), contents...), '}'), fault
	case message.Media != nil:
		media := message.Media
		dst = appendString(append(dst, `{"type":`...), media.Type)
		dst = append(appendString(append(dst, `,"mimeType":`...), media.MIMEType), `,"data":"`...)
		return append(base64.StdEncoding.AppendEncode(dst, media.Data), `"}`...), nil
	}
	return appendText(dst, message.Text.Fill(values)), nil
}

// values reads the arguments, which are strings (2025-11-25, schema,
// "GetPromptRequestParams").
func (p *prompt) values(raw []byte) (map[string]string, *rpcError) {
	arguments, fault := argumentsOf(raw)
	if fault != nil {
		return nil, fault
	}
	values := map[string]string{}
	for m := membersOf(arguments); ; {
		name, value, ok := m.next()
		if !ok {
			return values, nil
		}
		a, known := p.argument(name)
		if !known {
			return nil, invalidParams("unknown argument " + quoteShort(name) + " of prompt " + p.Name)
		}
		if !isString(value) {
			return nil, invalidParams("argument " + name + " must be a string")
		}
		text := unquote(value)
		if a.Enum != nil && text != "" && !slices.Contains(a.Enum, text) {
			return nil, invalidParams("argument " + name + " must be one of " + strings.Join(a.Enum, ", "))
		}
		values[name] = text
	}
}

func (p *prompt) argument(name string) (registry.PromptArgument, bool) {
	i := slices.IndexFunc(p.Arguments, func(a registry.PromptArgument) bool { return a.Name == name })
	if i < 0 {
		return registry.PromptArgument{}, false
	}
	return p.Arguments[i], true
}

// missing lists the required arguments that have no value.
func (p *prompt) missing(values map[string]string) (missing []registry.PromptArgument) {
	for _, a := range p.Arguments {
		if a.Required && values[a.Name] == "" {
			missing = append(missing, a)
		}
	}
	return missing
}

// question is the schema of an elicitation for what is missing (2025-11-25,
// client/elicitation, "Requested Schema"); ok tells whether all of it may be
// asked for.
func question(missing []registry.PromptArgument) (schema json.RawMessage, ok bool) {
	dst := []byte(`{"type":"object","properties":{`)
	for i, a := range missing {
		if !a.Ask {
			return nil, false
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, a.Name), `:{"type":"string"`...)
		if a.Title != "" {
			dst = appendString(append(dst, `,"title":`...), a.Title)
		}
		if a.Description != "" {
			dst = appendString(append(dst, `,"description":`...), a.Description)
		}
		if a.Enum == nil {
			dst = append(dst, `,"minLength":1}`...)
			continue
		}
		dst = append(appendStrings(append(dst, `,"enum":`...), a.Enum), '}')
	}
	dst = appendStrings(append(dst, `},"required":`...), argumentNames(missing))
	return append(dst, '}'), len(missing) > 0
}

func argumentNames(arguments []registry.PromptArgument) []string {
	names := make([]string, 0, len(arguments))
	for _, a := range arguments {
		names = append(names, a.Name)
	}
	return names
}

func appendStrings(dst []byte, all []string) []byte {
	dst = append(dst, '[')
	for i, s := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}
