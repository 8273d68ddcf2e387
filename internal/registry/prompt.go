package registry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/suggest"
)

// Prompt is a template of messages that a user picks and fills in.
type Prompt struct {
	Path        string // where it stands in the config
	Name        string
	Title       string
	Description string
	Arguments   []PromptArgument
	Messages    []PromptMessage
}

// PromptArgument is what a user fills in.
type PromptArgument struct {
	Name        string
	Title       string
	Description string
	Required    bool
	Ask         bool     // may be asked for where it is missing
	Enum        []string // nil: any text
}

// PromptMessage is one message: a text, a resource by its URI, or media.
type PromptMessage struct {
	Role     string // "user" or "assistant"
	Text     *Text
	Resource *Text
	Media    *PromptMedia
}

// PromptMedia is an image or a sound.
type PromptMedia struct {
	Type     string // "image" or "audio"
	MIMEType string
	Data     []byte
}

// checkPrompts finds messages that would embed a resource which the server
// does not have, whatever their arguments are.
func (s *Server) checkPrompts(absent bool) (faults []Fault) {
	for _, p := range s.Prompts {
		for i, m := range p.Messages {
			if m.Resource == nil || absent || s.mayHave(*m.Resource) {
				continue
			}
			uri := m.Resource.fill(func(name string) string { return "{" + name + "}" })
			faults = append(faults, Fault{
				Path:    fmt.Sprintf("%s.messages[%d].resource", p.Path, i),
				Message: fmt.Sprintf("server %q has no resource %q", s.Name, uri), Hint: suggest.Hint(uri, s.uris()),
			})
		}
	}
	return faults
}

// mayHave tells whether the server has a resource of one of the URIs that the
// text can become.
func (s *Server) mayHave(uri Text) bool {
	if len(uri.Names()) == 0 {
		return s.Has(uri.Fill(nil))
	}
	if _, alone := uri.alone(); alone {
		return true
	}
	if strings.HasPrefix(uri.parts[0].text, documentPrefix) { // as DocumentID reads it
		return slices.ContainsFunc(s.Tools, func(t Tool) bool { return uri.unescaped().meets(literal(t.Action.DocumentURI())) })
	}
	return slices.ContainsFunc(s.Resources, func(r Resource) bool {
		if r.Template == nil {
			return uri.meets(literal(r.URI))
		}
		return uri.meets(r.Template.text)
	})
}

func literal(s string) Text { return Text{parts: []part{{text: s}}} }

// Has tells whether the server has a resource of the URI.
func (s *Server) Has(uri string) bool {
	if id, ok := DocumentID(uri); ok {
		return slices.ContainsFunc(s.Tools, func(t Tool) bool { return t.Action.ID == id })
	}
	return slices.ContainsFunc(s.Resources, func(r Resource) bool {
		_, ok := r.Match(uri)
		return ok
	})
}

func (s *Server) uris() []string {
	var uris []string
	for _, t := range s.Tools {
		uris = append(uris, t.Action.DocumentURI())
	}
	for _, r := range s.Resources {
		if r.Template == nil {
			uris = append(uris, r.URI)
		}
	}
	return uris
}
