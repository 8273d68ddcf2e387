package openapi

import (
	"mime"
	"strings"

	"go.yaml.in/yaml/v3"
)

// isMediaType tells what a Content-Type or Accept header can carry.
func isMediaType(s string) bool {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return false
	}
	_, _, err := mime.ParseMediaType(s)
	return err == nil
}

// formatOf tells how values of a schema are written as a media type.
func (r *reader) formatOf(essence string, schema *yaml.Node) Format {
	switch {
	case isLines(essence):
		return FormatLines
	case essence == "application/json-seq", strings.HasSuffix(essence, "+json-seq"):
		return FormatSequence
	case isJSONMedia(essence):
		return FormatJSON
	case essence == "application/x-www-form-urlencoded":
		return FormatForm
	case strings.HasPrefix(essence, "multipart/"):
		return FormatMultipart
	case essence == "application/xml", essence == "text/xml", strings.HasSuffix(essence, "+xml"):
		return FormatXML
	case isTextMedia(essence):
		return FormatText
	}
	switch schemaType := r.typeOf(schema); {
	case schemaType == "" && (essence == "*/*" || essence == "application/*") && !r.isFile(schema):
		return FormatJSON
	case schemaType == "string" && !r.isFile(schema) && essence != octetStream && !strings.HasSuffix(essence, "/*"):
		return FormatText
	case schemaType != "" && schemaType != "string" && (strings.HasPrefix(essence, "application/") || essence == "*/*") && essence != octetStream:
		return FormatJSON // vendors' own names for JSON, application/vnd.oci.image.manifest.v1 for example
	}
	return FormatBinary
}

const octetStream = "application/octet-stream"

// typeOf is the type that a schema gives its values, "" where it gives none, or several.
func (r *reader) typeOf(n *yaml.Node) string {
	for _, c := range r.conjuncts(n) {
		if t := get(c, "type"); t != nil {
			return t.Value
		}
		if get(c, "properties") != nil {
			return "object"
		}
	}
	return ""
}

// isFile tells a schema of bytes: 3.0's format binary, Swagger's type file,
// and what 3.1 says in its place (OpenAPI 3.1 §4.8.14.3).
func (r *reader) isFile(n *yaml.Node) bool {
	for _, c := range r.conjuncts(n) {
		mediaType, encoded := text(get(c, "contentMediaType")), get(c, "contentEncoding") != nil
		if text(get(c, "format")) == "binary" || text(get(c, "type")) == "file" || mediaType != "" && !encoded && isBinaryMedia(essence(mediaType)) {
			return true
		}
	}
	return false
}

// isLines tells the media types of one JSON text a line.
func isLines(essence string) bool {
	switch essence {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl", "application/jsonlines",
		"application/x-jsonlines", "application/json-lines", "application/x-json-stream", "application/stream+json", "text/x-ndjson":
		return true
	}
	return false
}

// isTextMedia tells the media types whose bytes are text.
func isTextMedia(essence string) bool {
	switch essence {
	case "application/yaml", "application/x-yaml", "application/graphql", "application/sql", "application/javascript", "application/ecmascript",
		"application/x-sh", "application/toml", "application/x-toml", "application/rtf", "application/x-pem-file":
		return true
	}
	return strings.HasPrefix(essence, "text/") || strings.HasSuffix(essence, "+yaml")
}

// isBinaryMedia tells the media types that are no text of any kind.
func isBinaryMedia(essence string) bool {
	return essence != "" && !isTextMedia(essence) && !isJSONMedia(essence) && !isLines(essence) && !strings.HasSuffix(essence, "xml")
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
