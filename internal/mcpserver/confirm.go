package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

const (
	// outcomeNotConfirmed is of calls that a user did not confirm.
	outcomeNotConfirmed = "not_confirmed"
	// confirmKey is the key of the question and the name of its one field.
	confirmKey = "confirm"
	// maxShown bounds what a user is shown of the arguments, in bytes.
	maxShown = 2000
)

// secretName matches names of arguments whose values are not shown.
var secretName = regexp.MustCompile(`(?i)pass(word|wd|phrase)?$|pwd|secret|token|credential|api[-_]?key|private[-_]?key|authorization|^(pin|otp)$`)

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
		at = &turn{About: turnConfirm, Asked: d.x.server.confirmation(t, arguments)}
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
func (s *server) confirmation(t *tool, arguments json.RawMessage) json.RawMessage {
	title := t.action.Title
	if title == "" {
		title = t.name
	}
	message := fmt.Sprintf("%s (tool %s of server %s) changes or deletes something that may not come back. Arguments: %s",
		visible(title), t.name, s.name, shown(arguments))
	return elicitation(confirmKey, message, json.RawMessage(`{"type":"object","properties":{"`+confirmKey+
		`":{"type":"boolean","title":"Go on","description":"Call the tool with these arguments"}},"required":["`+confirmKey+`"]}`))
}

// shown are the arguments as a user sees them: without secrets, and cut.
func shown(arguments json.RawMessage) string {
	text := visible(string(appendMasked(nil, arguments)))
	if len(text) <= maxShown {
		return text
	}
	return fmt.Sprintf("%s (cut: the first %d of %d bytes)", cutText(text, maxShown), maxShown, len(text))
}

// appendMasked writes a JSON value without blanks and without the values of
// members that are named like secrets.
func appendMasked(dst []byte, value json.RawMessage) []byte {
	switch kind(value) {
	case '{':
		start := len(dst)
		for all := membersOf(value); ; {
			name, member, ok := all.next()
			if !ok {
				break
			}
			dst = append(appendString(append(dst, ','), name), ':')
			if secretName.MatchString(name) {
				dst = append(dst, `"•••"`...)
				continue
			}
			dst = appendMasked(dst, member)
		}
		return enclose(dst, start, '{', '}')
	case '[':
		start := len(dst)
		for _, item := range elements(value) {
			dst = appendMasked(append(dst, ','), item)
		}
		return enclose(dst, start, '[', ']')
	case '"':
		return appendString(dst, unquote(value))
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
