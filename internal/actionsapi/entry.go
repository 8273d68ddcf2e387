package actionsapi

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"sync"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/openapi"
)

// entry is an action as it stands in a list. All but the action is made by
// ready, when it is first needed: a call does not wait for the whole list.
type entry struct {
	action *registry.Action
	made   sync.Once
	wrap   bool // results stand in {"result": …}
	json   []byte
	sum    [sha256.Size]byte // of json
}

// entryView is the wire form. Backstage passes on members that it does not
// know: openWorld, tags and deprecated are ours.
type entryView struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	PluginID    string             `json:"pluginId"`
	Attributes  openapi.Attributes `json:"attributes"`
	Tags        []string           `json:"tags,omitempty"`
	Deprecated  bool               `json:"deprecated,omitempty"`
	Examples    []openapi.Example  `json:"examples,omitempty"`
	Schema      schemaView         `json:"schema"`
}

type schemaView struct {
	Input  json.RawMessage `json:"input"`
	Output json.RawMessage `json:"output"`
}

func (e *entry) ready() *entry {
	e.made.Do(e.make)
	return e
}

func (e *entry) make() {
	a := e.action
	output := parse([]byte(`{"type":"object"}`))
	if len(a.OutputSchema) > 0 {
		output = inline(parse(a.OutputSchema))
	}
	// Backstage takes nothing but objects: of any other output its MCP server
	// makes an error, and templates get nothing.
	if e.wrap = output.get("type").text() != "object"; e.wrap {
		output = wrap(output)
	}
	v := entryView{
		ID: a.ID, Name: a.Name, PluginID: a.Plugin, Attributes: a.Attributes, Tags: a.Tags, Deprecated: a.Deprecated,
		Title: cmp.Or(a.Title, a.Name),
	}
	v.Description = cmp.Or(a.Description, v.Title)
	v.Schema.Input = a.InputSchema
	if len(v.Schema.Input) == 0 {
		v.Schema.Input = json.RawMessage(`{"type":"object","additionalProperties":false}`)
	}
	outputs := &node{kind: '['}
	for _, example := range a.Examples {
		example.Title = cmp.Or(example.Title, v.Title)
		if example.Output != nil {
			example.Output = e.object(example.Output)
			outputs.items = append(outputs.items, parse(example.Output))
		}
		v.Examples = append(v.Examples, example)
	}
	if len(outputs.items) > 0 && output.get("examples") == nil { // they are what Backstage's dry runs then show
		output = output.with(member{"examples", outputs})
	}
	v.Schema.Output = output.append(nil)
	e.json = marshal(v)
	e.sum = sha256.Sum256(e.json)
}

// output is a result as an object.
func (e *entry) output(r *invoke.Result) json.RawMessage {
	var out json.RawMessage
	switch {
	case r.JSON != nil:
		out = e.object(r.JSON)
	case r.Binary != nil:
		out = marshal(struct {
			MediaType string `json:"mediaType"`
			Base64    string `json:"base64"`
		}{r.Binary.MediaType, base64.StdEncoding.EncodeToString(r.Binary.Data)})
	default:
		out = e.object(marshal(r.Text))
	}
	if r.Cut == nil {
		return out
	}
	// Inside, where the model behind Backstage can see it: what stands beside the
	// output, Backstage drops.
	note := append([]byte(`{"_truncated":`), marshal(r.Cut.Note)...)
	rest := bytes.TrimLeft(out[1:], " \t\r\n")
	if rest[0] != '}' {
		note = append(note, ',')
	}
	return append(note, rest...)
}

// object puts what is no object, or may be another time, into one.
func (e *entry) object(value json.RawMessage) json.RawMessage {
	if !e.wrap && isObject(value) {
		return value
	}
	return append(append(json.RawMessage(`{"result":`), value...), '}')
}
