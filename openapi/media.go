package openapi

import (
	"encoding/json"
	"fmt"
	"mime"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

type requestBody struct {
	node        *yaml.Node
	required    bool
	description string
	mediaType   string
	schema      *yaml.Node
}

func (r *reader) loadBody(o *operation, n *yaml.Node) bool {
	if n == nil || isNull(n) {
		return true
	}
	n, ok := r.follow(n, SeverityError, "request body")
	if !ok {
		return false
	}
	n = r.described(n)
	var rb openapi3.RequestBody
	if err := json.Unmarshal(rawJSON(r.skeleton(n)), &rb); err != nil {
		r.report(SeverityError, "request-body-invalid", n, kinMessage(err), "")
		return false
	}
	content := get(n, "content")
	mediaType, media := preferredMedia(content)
	if media == nil {
		if len(rb.Content) == 0 {
			return true // nothing is described, so nothing can be sent
		}
		names := make([]string, 0, len(rb.Content))
		for k := range pairs(content) {
			names = append(names, k.Value)
		}
		if !rb.Required {
			r.report(SeverityWarning, "request-body-unsupported", content,
				"the optional request body is left out: its media types are "+strings.Join(names, ", "), "offer application/json too")
			return true
		}
		r.report(SeverityError, "request-body-unsupported", content,
			"the request body's media types are "+strings.Join(names, ", "), "offer application/json too")
		return false
	}
	if !isMediaType(mediaType) {
		r.report(SeverityError, "request-body-invalid", content, fmt.Sprintf("%q is no media type", mediaType), "")
		return false
	}
	o.body = &requestBody{
		node: n, required: rb.Required, description: rb.Description,
		mediaType: mediaType, schema: get(media, "schema"),
	}
	return true
}

// isMediaType tells what a Content-Type or Accept header can carry.
func isMediaType(s string) bool {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return false
	}
	_, _, err := mime.ParseMediaType(s)
	return err == nil
}

// preferredMedia picks what to send: application/json, else the first JSON
// family type, else form fields.
func preferredMedia(content *yaml.Node) (string, *yaml.Node) {
	for _, fits := range []func(string) bool{
		func(essence string) bool { return essence == "application/json" },
		isJSONMedia,
		func(essence string) bool { return essence == "application/x-www-form-urlencoded" },
		func(essence string) bool { return essence == "*/*" || essence == "application/*" },
	} {
		for k, media := range pairs(content) {
			if isMapping(media) && fits(essence(k.Value)) {
				if strings.HasSuffix(essence(k.Value), "/*") {
					return "application/json", media
				}
				return k.Value, media
			}
		}
	}
	return "", nil
}

// essence is a media type without its parameters, in lower case.
func essence(mediaType string) string {
	e, _, _ := strings.Cut(mediaType, ";")
	return strings.ToLower(strings.TrimSpace(e))
}

// isJSONMedia tells application/json, text/json and the +json suffix (RFC 6839).
// JSON Patch is one too; sequences of JSON texts are not.
func isJSONMedia(essence string) bool {
	return essence == "application/json" || essence == "text/json" || strings.HasSuffix(essence, "+json")
}
