package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// remoteRequest is what a server asks in the middle of a call (2026-07-28,
// basic/patterns/mrtr).
type remoteRequest struct {
	Method string `json:"method"`
	Params struct {
		Message         string `json:"message"`
		RequestedSchema struct {
			Properties map[string]struct {
				Type  string `json:"type"`
				Title string `json:"title"`
			} `json:"properties"`
		} `json:"requestedSchema"`
	} `json:"params"`
}

// confirmation gives the field of a form that wants a yes or no and nothing else.
func (q remoteRequest) confirmation() (field string, ok bool) {
	if q.Method != "elicitation/create" || len(q.Params.RequestedSchema.Properties) != 1 {
		return "", false
	}
	for name, property := range q.Params.RequestedSchema.Properties {
		field, ok = name, property.Type == "boolean"
	}
	return field, ok
}

// respond answers what a server asks, as far as a yes or no of the user does.
func (r *remote) respond(requests map[string]remoteRequest) (map[string]any, error) {
	responses := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(requests)) {
		q := requests[key]
		field, ok := q.confirmation()
		switch {
		case !ok:
			return nil, fmt.Errorf("the server asks for something that this command cannot answer (%s): %s", printable(q.Method), printable(q.Params.Message))
		case r.confirm == nil:
			return nil, fmt.Errorf("the server asks for a yes or no, and this command cannot ask without a terminal: %s", printable(q.Params.Message))
		}
		yes, err := r.confirm(printable(q.Params.Message))
		if err != nil {
			return nil, err
		}
		responses[key] = map[string]any{"action": "decline"}
		if yes {
			responses[key] = map[string]any{"action": "accept", "content": map[string]bool{field: true}}
		}
	}
	return responses, nil
}

// confirm asks on the terminal. Whatever is not a yes is a no.
func (p *program) confirm(question string) (bool, error) {
	fmt.Fprintf(p.stderr, "%s\nGo on? [y/N] ", question)
	line, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && line == "" {
		return false, errors.New("nobody answered")
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// printable keeps what a server says from playing with the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || r == '\n' {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
