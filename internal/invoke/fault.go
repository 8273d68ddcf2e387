package invoke

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stagedoor/stagedoor/internal/retryafter"
)

// maxFaultText bounds what a plugin's error says to a model.
const maxFaultText = 2000

// fault maps an answer that is no success. What a plugin says to a 4xx is for
// the caller, who may mend the call; what it says to anything else is not, save
// for when to try again.
func (c *Client) fault(header http.Header, in *answer) *Error {
	status := in.status
	e := &Error{Kind: Unavailable, Status: status, Headers: in.headers, Err: fmt.Errorf("answer: %.500q", in.body)}
	e.luck(header)
	if status < 400 || status >= 500 || status == http.StatusUnauthorized || status == http.StatusProxyAuthRequired {
		e.Headers = slices.DeleteFunc(e.Headers, func(h Header) bool { return h.Name != "retry-after" && !strings.Contains(h.Name, "rate") })
	}
	again := retryAfter(header, time.Now())
	switch {
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		e.Message = fmt.Sprintf("the plugin does not accept the gateway's credentials (HTTP %d)", status)
	case status >= 400 && status < 500:
		e.Kind = Rejected
		e.Message = fmt.Sprintf("HTTP %d %s", status, http.StatusText(status))
		if text := c.discreet(faultText(in)); text != "" {
			e.Message += ": " + text
		}
	case status >= 300 && status < 400:
		e.Message = fmt.Sprintf("the plugin redirects (HTTP %d), which is not followed", status)
	default:
		e.Message = fmt.Sprintf("the plugin failed (HTTP %d)", status)
	}
	if again != "" {
		e.Message += "; " + again
	}
	return e
}

// luck says of a fault whether the plugin is down, and whether the same call may
// have better luck: of 429 only where the plugin says when.
func (e *Error) luck(header http.Header) {
	if e.reason = downBy(e.Status); e.reason != "" {
		e.verdict = down
	}
	wait, said := retryafter.Parse(header.Get("Retry-After"), time.Now())
	e.wait, e.passing = wait, e.verdict == down || said && e.Status == http.StatusTooManyRequests
}

// faultText finds the sentence in an error body: Backstage's {error:{name,
// message}}, problem details (RFC 9457), lists of errors (JSON:API, GraphQL),
// {message}, {error: "…"}; else the body itself without stacks.
func faultText(in *answer) string {
	v, err := unmarshal(in.body)
	if err != nil {
		isPage := strings.HasPrefix(strings.TrimSpace(string(in.body)), "<") && !strings.HasSuffix(in.media.essence, "xml")
		if in.kind == kindBinary || !utf8.Valid(in.body) || isPage {
			return "" // nothing to read, or a proxy's HTML page
		}
		return shorten(string(in.body))
	}
	v = withoutStacks(v)
	if object, ok := v.(map[string]any); ok {
		if text := sentence(object); text != "" {
			return shorten(text)
		}
	}
	text, err := marshal(v)
	if err != nil {
		return ""
	}
	return shorten(string(text))
}

// sentence words an error object, "" where it has no known shape.
func sentence(object map[string]any) string {
	if inner, ok := object["error"].(map[string]any); ok {
		return sentence(inner)
	}
	if cause, ok := object["cause"].(map[string]any); ok && passedOn(object) {
		if text := sentence(cause); text != "" {
			return text
		}
	}
	if text := joined(object, "title", "detail"); text != "" {
		return text + extensions(object)
	}
	message := joined(object, "message", "Message", "error_description", "msg")
	if message == "" {
		return cmp.Or(list(object["errors"]), list(object["message"]), list(object["detail"]), joined(object, "error"))
	}
	for _, name := range []string{"name", "__type", "error", "status", "code"} {
		if kind, ok := object[name].(string); ok && kind != "" {
			kind = kind[strings.LastIndexByte(kind, '#')+1:] // AWS: com.amazon#ValidationException
			message = kind + ": " + message
			break
		}
	}
	for _, name := range []string{"errors", "details"} {
		if text, err := marshal(object[name]); err == nil && object[name] != nil {
			message += ": " + string(text)
		}
	}
	return withCause(message, object["cause"])
}

// passedOn tells whether an error of Backstage's only says that what it asked
// had one, which is its cause.
func passedOn(object map[string]any) bool {
	return object["name"] == "ResponseError" || object["name"] == "ForwardedError"
}

// withCause words the cause of a Backstage error (@backstage/errors), which the
// message ends with: Zod's is a list of issues as JSON.
func withCause(message string, v any) string {
	cause, _ := v.(map[string]any)
	text, _ := cause["message"].(string)
	issues := list(cause["issues"])
	if before, found := strings.CutSuffix(message, "; caused by "+text); found && issues != "" {
		return before + ": " + issues
	}
	return message
}

// joined puts the texts together that are there.
func joined(object map[string]any, names ...string) string {
	var parts []string
	for _, name := range names {
		if text, ok := object[name].(string); ok && text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, ": ")
}

// list words a list of errors or of texts, with what each of them is about.
func list(v any) string {
	items, _ := v.([]any)
	lines := make([]string, 0, len(items))
	for _, item := range items {
		line, _ := item.(string)
		if object, ok := item.(map[string]any); ok {
			if line = sentence(object); line == "" {
				return ""
			}
			for _, name := range []string{"source", "path", "field"} {
				if text, err := marshal(object[name]); err == nil && object[name] != nil {
					line += " (" + name + " " + string(text) + ")"
				}
			}
		}
		if line == "" {
			return ""
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

// extensions are the members of problem details beside the ones that every
// problem has (RFC 9457 §3.2): they often say what was wrong.
func extensions(object map[string]any) string {
	rest := map[string]any{}
	for name, v := range object {
		if !slices.Contains([]string{"type", "status", "title", "detail", "instance", "source"}, name) {
			rest[name] = v
		}
	}
	if len(rest) == 0 {
		return ""
	}
	said := any(rest)
	if errors, ok := rest["errors"]; ok && len(rest) == 1 {
		said = errors
	}
	text, err := marshal(said)
	if err != nil {
		return ""
	}
	return ": " + string(text)
}

// withoutStacks leaves out what is about the plugin's insides, at any depth.
func withoutStacks(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"stack", "stackTrace", "stacktrace", "stack_trace", "trace", "exception"} {
			delete(v, name)
		}
		for _, inner := range v {
			withoutStacks(inner)
		}
	case []any:
		for _, inner := range v {
			withoutStacks(inner)
		}
	}
	return v
}

func shorten(s string) string {
	s = strings.TrimSpace(s)
	if len(s) <= maxFaultText {
		return s
	}
	cut := maxFaultText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + " …"
}
