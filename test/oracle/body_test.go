package oracle_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/openapi"
)

// takeBody gives a body to swagger-client as a person would: forms field by
// field, files as files, and all that is no object as JSON or plain text.
func (c *call) takeBody(t *testing.T, content *openapi.Content, body any) {
	t.Helper()
	object, isObject := body.(map[string]any)
	switch {
	case content.Format == openapi.FormatBinary:
		c.RequestBody = fileOf("body", body)
	case isObject && (content.Format == openapi.FormatForm || content.Format == openapi.FormatMultipart):
		fields := map[string]any{}
		for name, v := range object {
			e := content.Encoding[name]
			fields[name] = encoded(t, v) // it reads fields as JSON if it can
			if e.File {
				fields[name] = fileOf(name, v)
			}
			u := useOf(&openapi.Parameter{In: openapi.InBody, Style: string(content.Format), AllowReserved: e.AllowReserved, Explode: e.Style != ""}, v)
			u.file = e.File
			c.uses = append(c.uses, u)
		}
		c.RequestBody = fields
		return
	case content.Format == openapi.FormatText:
		c.RequestBody = body
	case isObject:
		c.RequestBody = body
	default:
		c.RequestBody = encoded(t, body)
	}
	c.uses = append(c.uses, useOf(&openapi.Parameter{In: openapi.InBody, Style: string(content.Format)}, body))
}

// takeParameters gives a body to swagger-client as Swagger 2.0 has it: as the
// body parameter, or as one parameter for each field of a form.
func (c *call) takeParameters(t *testing.T, spec map[string]any, content *openapi.Content, body any) {
	t.Helper()
	c.ContentType = essence(content.MediaType)
	object, _ := body.(map[string]any)
	for _, v := range object {
		c.uses = append(c.uses, useOf(&openapi.Parameter{In: openapi.InBody, Style: string(content.Format)}, v))
	}
	for _, item := range spec["paths"].(map[string]any) {
		for _, operation := range item.(map[string]any) {
			parameters, _ := operation.(map[string]any)["parameters"].([]any)
			for _, p := range parameters {
				p, _ := p.(map[string]any)
				name, _ := p["name"].(string)
				switch v, given := object[name]; {
				case p["in"] == "body":
					c.Parameters["body."+name] = body
				case p["in"] == "formData" && given && content.Encoding[name].File:
					c.Parameters["formData."+name] = fileOf(name, v)
				case p["in"] == "formData" && given:
					c.Parameters["formData."+name] = v
				}
			}
		}
	}
}

// contentOf is what of a body's plan a media type belongs to.
func contentOf(plan *openapi.Body, mediaType string) *openapi.Content {
	for i := range plan.Contents {
		if essence(plan.Contents[i].MediaType) == essence(mediaType) {
			return &plan.Contents[i]
		}
	}
	return &plan.Contents[0]
}

// The files that are drawn, as arguments.
func files() []any {
	return []any{
		"aGVsbG8=", "data:image/png;base64,iVBORw0KGgo=",
		map[string]any{"data": "/+8=", "filename": "a b.bin"},
		map[string]any{"text": "line\r\nü", "filename": "é.txt", "mediaType": "text/plain"},
	}
}

// fileOf gives a file, or a list of them, to swagger-client.
func fileOf(name string, v any) any {
	file := map[string]any{"data": v, "name": name, "type": "application/octet-stream"}
	switch v := v.(type) {
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, fileOf(name, item))
		}
		return out
	case string:
		if head, data, isURL := strings.Cut(v, ";base64,"); isURL {
			file["data"], file["type"] = data, strings.TrimPrefix(head, "data:")
		}
	case map[string]any:
		for from, to := range map[string]string{"data": "data", "filename": "name", "mediaType": "type"} {
			if said, ok := v[from]; ok {
				file[to] = said
			}
		}
		if text, ok := v["text"].(string); ok {
			file["data"] = []byte(text)
		}
	}
	return map[string]any{"$file": file}
}

// putFiles replaces the files among drawn arguments by ones that can be read.
func putFiles(r *rand.Rand, plan *openapi.Body, arguments map[string]any) {
	if plan == nil {
		return
	}
	put := func(v *openapi.Value) {
		all := files()
		switch old := arguments[v.Argument].(type) {
		case nil:
		case []any:
			for i := range old {
				old[i] = all[r.IntN(len(all))]
			}
		default:
			arguments[v.Argument] = all[r.IntN(len(all))]
		}
	}
	content := plan.Contents[0]
	if plan.ContentType != nil {
		if name, ok := arguments[plan.ContentType.Argument].(string); ok {
			content = *contentOf(plan, name)
		}
	}
	if plan.Whole != nil && content.Format == openapi.FormatBinary {
		put(plan.Whole)
	}
	for _, m := range plan.Members {
		if content.Encoding[m.Path[0]].File {
			put(&m.Value)
		}
	}
	if plan.Whole == nil {
		return
	}
	if object, ok := arguments[plan.Whole.Argument].(map[string]any); ok {
		for name := range object {
			if content.Encoding[name].File {
				object[name] = files()[r.IntN(len(files()))]
			}
		}
	}
}

// bodyOf gives the value of a body; ok is false when there is none.
func bodyOf(plan *openapi.Body, arguments map[string]any) (v any, ok bool) {
	if plan == nil {
		return nil, false
	}
	if plan.Whole != nil {
		if v, ok = arguments[plan.Whole.Argument]; ok {
			return v, true
		}
	}
	object := map[string]any{}
	for _, m := range plan.Members {
		if member, ok := arguments[m.Value.Argument]; ok {
			object[m.Path[0]] = member
		}
	}
	return object, len(object) > 0 || plan.Required
}

// declared is the media type under which the operation declares what we sent.
func declared(spec map[string]any, contentType string) string {
	paths, _ := spec["paths"].(map[string]any)
	for _, item := range paths {
		for _, operation := range item.(map[string]any) {
			body, _ := operation.(map[string]any)["requestBody"].(map[string]any)
			content, _ := body["content"].(map[string]any)
			for name := range content {
				if essence(name) == essence(contentType) {
					return name
				}
			}
			for name, media := range content {
				if strings.HasSuffix(name, "*") { // it knows no ranges
					content[contentType] = media
				}
			}
		}
	}
	return contentType
}

func essence(mediaType string) string {
	e, _, _ := strings.Cut(mediaType, ";")
	return strings.ToLower(strings.TrimSpace(e))
}
