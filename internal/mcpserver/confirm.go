package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/secretname"
)

const (
	// outcomeNotConfirmed is of calls that a user did not confirm.
	outcomeNotConfirmed = "not_confirmed"
	// confirmKey is the key of the question and the name of its one field.
	confirmKey = "confirm"
	// maxShown bounds what a user is shown of the arguments, in bytes, and
	// maxShownText each text among them where they are longer.
	maxShown     = 2000
	maxShownText = 200
)

// confirm asks the user before a destructive action, where the server's config
// wants that (confirm: destructive). It tells whether there is a confirmation
// behind the call; without one that is needed, there is an error.
func (h *Handler) confirm(ctx context.Context, d *dialogue, t *tool, arguments json.RawMessage) (confirmed bool, err error) {
	switch {
	case !d.x.server.mustConfirm(t):
		return false, nil
	case d.turn != nil && d.turn.Once: // the plugin asked after it
		return true, nil
	}
	at := d.turn
	if at == nil || at.About != turnConfirm {
		if err := h.options.Admit(d.x.callOf(t, arguments)); err != nil { // nobody is asked about what cannot be
			return false, err
		}
		text, ok := shown(arguments)
		if !ok { // nobody can agree to what they do not see
			return false, notConfirmed("The user has to confirm it, and its arguments are too many to be shown to a user. Call it with fewer.")
		}
		at = &turn{About: turnConfirm, Asked: d.x.server.confirmation(t, text)}
	}
	if lacking(d.capabilities, at.Asked, nil) != nil {
		return false, notConfirmed("The user has to confirm it, and this client cannot ask the user: it declares no elicitation of forms, or reads no events. " +
			"Use a client that can, or let the operator of the gateway change confirm of the server " + d.x.server.name + ".")
	}
	answers, err := d.ask(ctx, at)
	if err != nil {
		return false, err
	}
	answer := member(answers, confirmKey)
	if action := textOf(member(answer, "action")); action != "accept" {
		return false, notConfirmed("The user was asked to confirm it and chose: " + action + ".")
	}
	if string(member(member(answer, "content"), confirmKey)) != "true" {
		return false, notConfirmed("The user was asked to confirm it and did not.")
	}
	return true, nil
}

func (s *server) mustConfirm(t *tool) bool { return s.confirms && t.action.Attributes.Destructive }

func notConfirmed(why string) error {
	return &invoke.Error{Kind: outcomeNotConfirmed, Message: "The call was not confirmed by the user, and nothing was sent. " + why}
}

// confirmation is the question (2025-11-25 and 2026-07-28, client/elicitation).
func (s *server) confirmation(t *tool, arguments string) json.RawMessage {
	title := t.action.Title
	if title == "" {
		title = t.name
	}
	message := fmt.Sprintf("%s (tool %s of server %s) changes or deletes something that may not come back. Arguments: %s",
		visible(title), t.name, s.name, arguments)
	return elicitation(confirmKey, message, json.RawMessage(`{"type":"object","properties":{"`+confirmKey+
		`":{"type":"boolean","title":"Go on","description":"Call the tool with these arguments"}},"required":["`+confirmKey+`"]}`))
}

// shown are the arguments as a user sees them: all of them, without secrets, and
// with long texts cut where they are too long together; not ok: even so.
func shown(arguments json.RawMessage) (text string, ok bool) {
	for _, most := range []int{len(arguments), maxShownText} {
		if text = visible(string(appendShown(nil, arguments, most))); len(text) <= maxShown {
			return text, true
		}
	}
	return "", false
}

// appendShown writes a JSON value without blanks, without the values of members
// that are named like secrets, and with the two ends of texts that have more
// than most bytes.
func appendShown(dst []byte, value json.RawMessage, most int) []byte {
	switch kind(value) {
	case '{':
		start := len(dst)
		for all := membersOf(value); ; {
			name, member, ok := all.next()
			if !ok {
				break
			}
			dst = append(appendString(append(dst, ','), name), ':')
			if secretname.Is(name) {
				dst = append(dst, `"•••"`...)
				continue
			}
			dst = appendShown(dst, member, most)
		}
		return enclose(dst, start, '{', '}')
	case '[':
		start := len(dst)
		for _, item := range elements(value) {
			dst = appendShown(append(dst, ','), item, most)
		}
		return enclose(dst, start, '[', ']')
	case '"':
		text := unquote(value)
		if cut := len(text) - most; cut > 0 {
			text = strings.ToValidUTF8(fmt.Sprintf("%s… (%d bytes cut) …%s", text[:most-most/4], cut, text[len(text)-most/4:]), "")
		}
		return appendString(dst, text)
	}
	return append(dst, value...)
}

// enclose puts brackets around what was written from start on, a comma before
// each part.
func enclose(dst []byte, start int, open, end byte) []byte {
	if len(dst) == start {
		return append(dst, open, end)
	}
	dst[start] = open
	return append(dst, end)
}

// visible escapes the characters that could make a text look like another one.
func visible(s string) string {
	var out strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}
