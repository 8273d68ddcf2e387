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

// unmet is a message that would embed a resource which the server does not
// have, whatever its arguments are.
type unmet struct {
	path     string
	resource Text
}

func (s *Server) unmet() (all []unmet) {
	for _, p := range s.Prompts {
		for i, m := range p.Messages {
			if m.Resource != nil && !s.mayHave(*m.Resource) {
				all = append(all, unmet{fmt.Sprintf("%s.messages[%d].resource", p.Path, i), *m.Resource})
			}
		}
	}
	return all
}

// checkPrompts tells of the messages whose resource the server does not have,
// and will not have when absent plugins come.
func (b *building) checkPrompts(r *resolved) (faults []Fault) {
	for _, u := range r.unmet {
		document, ofAction := strings.CutPrefix(u.resource.unescaped().fill(func(string) string { return "*" }), documentPrefix)
		meant := Rule{ID: document}
		if ofAction && b.mayMeanAbsent(meant) || !ofAction && slices.Contains(r.resources, nil) {
			continue
		}
		uri := u.resource.fill(func(name string) string { return "{" + name + "}" })
		faults = append(faults, b.missing(
			Fault{Path: u.path, Message: fmt.Sprintf("server %q has no resource %q", r.server.Name, uri)},
			func(id string) bool { return ofAction && meant.matchID(id) },
			func() string { return suggest.Hint(uri, r.server.uris()) },
		))
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
		read := uri.unescaped()
		start := strings.TrimPrefix(read.parts[0].text, documentPrefix)
		return slices.ContainsFunc(s.Tools, func(t Tool) bool { // most are told apart by their beginnings
			return strings.HasPrefix(t.Action.ID, start) && read.meets(literal(t.Action.DocumentURI()))
		})
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
