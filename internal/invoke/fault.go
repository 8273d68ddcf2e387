package invoke

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxFaultText bounds what a plugin's error says to a model.
const maxFaultText = 2000

// fault maps an answer that is no success. What a plugin says to a 4xx is for
// the caller, who may mend the call; what it says to anything else is not.
func (c *Client) fault(resp *http.Response, body []byte) *Error {
	status := resp.StatusCode
	said := fmt.Errorf("answer: %.500q", body)
	switch {
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		return &Error{Kind: Unavailable, Status: status, Message: fmt.Sprintf("the plugin does not accept the gateway's credentials (HTTP %d)", status), Err: said}
	case status >= 400 && status < 500:
		message := fmt.Sprintf("HTTP %d %s", status, http.StatusText(status))
		if text := c.discreet(faultText(body)); text != "" {
			message += ": " + text
		}
		return &Error{Kind: Rejected, Status: status, Message: message, Err: said}
	case status >= 300 && status < 400:
		return &Error{Kind: Unavailable, Status: status, Message: fmt.Sprintf("the plugin redirects (HTTP %d), which is not followed", status), Err: said}
	}
	return &Error{Kind: Unavailable, Status: status, Message: fmt.Sprintf("the plugin failed (HTTP %d)", status), Err: said}
}

// faultText finds the sentence in an error body: Backstage's {error:{name,
// message}}, problem details (RFC 9457), {message}, {error: "…"}; else the
// body itself without stacks.
func faultText(body []byte) string {
	v, err := unmarshal(body)
	if err != nil {
		if !utf8.Valid(body) || strings.HasPrefix(strings.TrimSpace(string(body)), "<") {
			return "" // binary, or a proxy's HTML page
		}
		return shorten(string(body))
	}
	object, ok := v.(map[string]any)
	if !ok {
		return shorten(string(body))
	}
	inner, ok := object["error"].(map[string]any)
	if !ok {
		inner = object
	}
	if text := sentence(inner, "name", "message"); text != "" && inner["message"] != nil {
		return text
	}
	if text := sentence(object, "title", "detail"); text != "" {
		return text
	}
	if text := sentence(object, "error", "error_description"); text != "" {
		return text
	}
	for _, o := range []map[string]any{object, inner} {
		for _, key := range []string{"stack", "stackTrace", "stacktrace", "trace", "exception"} {
			delete(o, key)
		}
	}
	text, err := marshal(object)
	if err != nil {
		return ""
	}
	return shorten(string(text))
}

func sentence(object map[string]any, keys ...string) string {
	var parts []string
	for _, key := range keys {
		if text, ok := object[key].(string); ok && text != "" {
			parts = append(parts, text)
		}
	}
	if errors, ok := object["errors"]; ok && len(parts) > 0 {
		if text, err := marshal(errors); err == nil {
			parts = append(parts, string(text))
		}
	}
	return shorten(strings.Join(parts, ": "))
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

// discreet takes the plugin's own address out of a text.
func (c *Client) discreet(text string) string {
	text = strings.ReplaceAll(text, c.base.Host, "[plugin]")
	if name := c.base.Hostname(); strings.Contains(name, ".") {
		text = strings.ReplaceAll(text, name, "[plugin]")
	}
	return text
}
