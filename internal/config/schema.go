package config

import (
	"bytes"
	"encoding/json"
)

type object = map[string]any

// JSONSchema is the JSON Schema (2020-12) of the YAML file, for editors.
func JSONSchema() []byte {
	s := schemas{"reference": object{
		"description": "A value from the environment: ${NAME} or ${NAME:-default}.",
		"type":        "string",
		"pattern":     `\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}`,
	}, "secret": object{
		"description": secretHint + ".",
		"anyOf": []any{
			object{"type": "string", "minLength": 1},
			object{
				"type":                 "object",
				"minProperties":        1,
				"maxProperties":        1,
				"additionalProperties": false,
				"properties": object{
					"env":  object{"type": "string", "minLength": 1, "description": "Environment variable that holds the secret."},
					"file": object{"type": "string", "minLength": 1, "description": "File that holds the secret; relative to the config file. Read when the secret is used."},
				},
			},
		},
	}}
	root := s.section(table())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Stagedoor config"
	root["$defs"] = s
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		return nil // maps of strings, numbers and lists: cannot happen
	}
	return b.Bytes()
}

// schemas are the $defs.
type schemas map[string]any

func (d schemas) section(s *shape) object {
	properties := object{}
	for _, f := range s.fields {
		p := d.value(f.shape)
		if f.shape.kind != secret {
			p = orNull(p)
		}
		p["description"] = f.doc
		switch {
		case f.def != "" && (f.shape.kind == boolean || f.shape.kind == integer):
			p["default"] = json.RawMessage(f.def)
		case f.def != "":
			p["default"] = f.def
		}
		properties[f.key] = p
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties}
}

func (d schemas) value(s *shape) object {
	switch s.kind {
	case boolean:
		return orReference(object{"type": "boolean"})
	case integer:
		if s.more != "" {
			return orReference(object{"type": "integer", "minimum": 1})
		}
		return orReference(object{"type": "integer"})
	case size:
		if s.more != "" {
			return orReference(object{"type": "integer", "minimum": 1}, notZero(sizePattern))
		}
		return orReference(object{"type": "integer", "minimum": 0}, object{"type": "string", "pattern": sizePattern})
	case duration:
		if s.more != "" {
			return orReference(notZero(durationPattern))
		}
		return orReference(object{"type": "string", "pattern": durationPattern}, object{"const": 0})
	case secret:
		return object{"$ref": "#/$defs/secret"}
	case anyScalar:
		return object{"type": []string{"string", "number", "boolean"}}
	case list:
		items := object{"type": "array", "items": d.value(s.elem)}
		if s.one {
			return object{"anyOf": []any{d.plain(s.elem), items}}
		}
		return items
	case named:
		o := object{"type": "object", "additionalProperties": orNull(d.value(s.elem))}
		if s.names != "" {
			o["propertyNames"] = object{"pattern": s.names}
		}
		return o
	case section:
		if d[s.goType] == nil {
			d[s.goType] = object{} // holds the place while its fields are made
			d[s.goType] = d.section(s)
		}
		ref := object{"$ref": "#/$defs/" + s.goType}
		if s.plain == "" {
			return ref
		}
		return object{"anyOf": []any{d.plain(s), ref}}
	}
	if s.enum != nil {
		return orReference(object{"enum": s.enum})
	}
	return object{"type": "string"}
}

// plain is what a plain string in the place of a section may be.
func (d schemas) plain(s *shape) object {
	f, _ := s.child(s.plain)
	return d.value(f.shape)
}

// notZero are the texts of a pattern that have a digit other than 0.
func notZero(pattern string) object {
	return object{"type": "string", "pattern": pattern, "allOf": []any{object{"pattern": "[1-9]"}}}
}

func orReference(forms ...any) object {
	return object{"anyOf": append(forms, object{"$ref": "#/$defs/reference"})}
}

// orNull lets a value be empty, which keeps the default.
func orNull(o object) object {
	if forms, ok := o["anyOf"].([]any); ok {
		return object{"anyOf": append(forms, object{"type": "null"})}
	}
	switch t := o["type"].(type) {
	case string:
		o["type"] = []string{t, "null"}
		return o
	case []string:
		o["type"] = append(t, "null")
		return o
	}
	return object{"anyOf": []any{o, object{"type": "null"}}}
}
