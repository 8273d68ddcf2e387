package mcpserver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// document is all that there is to know of the tool's action, in Markdown.
// Where the plugin is stays inside: of the request it has method and path.
func (t *tool) document() string {
	a := t.action
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", cmp.Or(a.Title, t.name))
	fmt.Fprintf(&b, "Tool `%s`, action `%s`", t.name, a.ID)
	if a.Operation != "" {
		fmt.Fprintf(&b, ": `%s`", a.Operation)
	}
	b.WriteString("\n\n")
	if text := cmp.Or(a.FullDescription, a.Description); text != "" {
		b.WriteString(text + "\n\n")
	}
	fmt.Fprintf(&b, "- attributes: %s\n", t.attributes())
	if len(a.Tags) > 0 {
		fmt.Fprintf(&b, "- tags: %s\n", strings.Join(a.Tags, ", "))
	}
	if len(a.Scopes) > 0 {
		fmt.Fprintf(&b, "- scopes: %s\n", strings.Join(a.Scopes, ", "))
	}
	if a.Deprecated {
		b.WriteString("- deprecated\n")
	}
	writeJSON(&b, "## Input schema", t.defined[modern].RawInputSchema)
	writeJSON(&b, "## Output schema", a.OutputSchema)
	for _, example := range a.Examples {
		fmt.Fprintf(&b, "\n## Example: %s\n", cmp.Or(example.Title, "a call"))
		if example.Description != "" {
			b.WriteString("\n" + example.Description + "\n")
		}
		writeJSON(&b, "Input:", example.Input)
		writeJSON(&b, "Output:", example.Output)
	}
	return b.String()
}

func (t *tool) attributes() string {
	a := t.action.Attributes
	words := []string{}
	for _, w := range []struct {
		holds   bool
		yes, no string
	}{
		{a.ReadOnly, "only reads", "changes something"},
		{a.Destructive, "may destroy or overwrite", ""},
		{a.Idempotent, "idempotent", ""},
		{a.OpenWorld, "reaches beyond the company's own systems", ""},
	} {
		if !w.holds {
			w.yes = w.no
		}
		if w.yes != "" {
			words = append(words, w.yes)
		}
	}
	return strings.Join(words, ", ")
}

func writeJSON(b *strings.Builder, heading string, raw json.RawMessage) {
	var indented bytes.Buffer
	if len(raw) == 0 || json.Indent(&indented, raw, "", "  ") != nil {
		return
	}
	fmt.Fprintf(b, "\n%s\n\n```json\n%s\n```\n", heading, indented.Bytes())
}
