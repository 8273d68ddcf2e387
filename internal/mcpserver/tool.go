package mcpserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// era is how a client speaks: with sessions, or stateless.
type era int

const (
	legacy era = iota // up to 2025-11-25
	modern            // 2026-07-28
	eras
)

func eraOf(protocolVersion string) era {
	if mcp.IsModernProtocol(protocolVersion) {
		return modern
	}
	return legacy
}

// tool is an action as one server shows it, ready to be listed and called.
type tool struct {
	name   string
	action *registry.Action
	// wrap says that results stand in {"result": …} for legacy clients,
	// because the output schema's root is not an object there.
	wrap     bool
	typed    bool // has an output schema
	mirrored bool // has arguments that modern clients repeat in headers
	// meaning changes with what a call of the tool does, as far as it can be seen.
	meaning string
	defined [eras]mcp.Tool
	tasks   bool  // legacy clients may ask for a task
	listed  entry // in tools/list
	offered entry // its document, in resources/list
}

func newTool(t registry.Tool, tasks bool) (*tool, error) {
	if !validName(t.Name) {
		return nil, errors.New("name must match [a-zA-Z0-9_.-]{1,64}")
	}
	if t.Action == nil {
		return nil, errors.New("action is missing")
	}
	input, err := inputSchema(t.Action)
	if err != nil {
		return nil, err
	}
	built := &tool{name: t.Name, action: t.Action, tasks: tasks, typed: len(t.Action.OutputSchema) > 0, meaning: meaningOf(t.Action, input)}
	var outputs [eras][]byte
	if built.typed {
		output, err := compact(t.Action.OutputSchema)
		if err != nil {
			return nil, fmt.Errorf("output schema: %w", err)
		}
		built.wrap = !isObjectSchema(output)
		outputs = [eras][]byte{legacy: output, modern: output}
		if !t.Action.StrictOutput {
			outputs = [eras][]byte{legacy: openSchema(output, !built.wrap), modern: openSchema(output, false)}
		}
		if built.wrap {
			outputs[legacy] = wrapSchema(outputs[legacy])
		}
	}
	for e := range eras {
		built.defined[e] = define(t, input, outputs[e])
	}
	if tasks {
		built.defined[legacy].Execution = &mcp.ToolExecution{TaskSupport: mcp.TaskSupportOptional}
	}
	built.listed = newEntry(t.Name, t.Action, appendTool(nil, &built.defined[legacy]), appendTool(nil, &built.defined[modern]))
	built.offered = documentEntry(t)
	if !bytes.Contains(input, []byte(`"x-mcp-header"`)) {
		return built, nil // looking closer takes longer than all the rest
	}
	if err := mcp.ValidateParamHeaderAnnotations(&built.defined[modern]); err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}
	built.mirrored = len(mcp.ExtractParamHeaderBindings(&built.defined[modern])) > 0
	return built, nil
}

// meaningOf is a hash of the action, its input schema, and the request that it
// makes, save bodies and computed values: the same at all replicas that have the same documents.
func meaningOf(a *registry.Action, input []byte) string {
	words := []string{a.ID, string(input), a.Title, a.Request.Method}
	parameters := slices.Clone(a.Request.Parameters)
	for _, part := range a.Request.Path {
		words = append(words, part.Literal)
		if part.Parameter != nil {
			parameters = append(parameters, *part.Parameter)
		}
	}
	for _, p := range parameters {
		words = append(words, string(p.In), p.Name, p.Value.Argument, string(p.Value.Fixed))
	}
	for _, name := range slices.Sorted(maps.Keys(a.Request.Defaults)) {
		words = append(words, name, string(a.Request.Defaults[name]))
	}
	for _, b := range a.Bindings(principal.Principal{}) {
		words = append(words, b.Argument, b.Source)
	}
	sum := sha256.Sum256(unambiguous(words))
	return hex.EncodeToString(sum[:])
}

// validName holds names to what MCP and the clients' model providers allow:
// 64 characters, where MCP alone would allow 128.
func validName(name string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	return name != "" && len(name) <= 64 && strings.Trim(name, allowed) == ""
}

func inputSchema(a *registry.Action) ([]byte, error) {
	if len(a.InputSchema) == 0 {
		return []byte(`{"type":"object","additionalProperties":false}`), nil
	}
	input, err := compact(a.InputSchema)
	if err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}
	if !isObjectSchema(input) {
		return nil, errors.New(`input schema: root must have "type": "object"`)
	}
	return input, nil
}

func define(t registry.Tool, input, output []byte) mcp.Tool {
	hints := t.Action.Attributes
	return mcp.Tool{
		Name:            t.Name,
		Title:           t.Action.Title,
		Description:     t.Action.Description,
		RawInputSchema:  input,
		RawOutputSchema: output,
		// All four are explicit: what a client assumes of an absent one differs
		// from hint to hint.
		Annotations: mcp.ToolAnnotation{
			Title:           t.Action.Title, // 2025-03-26 has it only here
			ReadOnlyHint:    &hints.ReadOnly,
			DestructiveHint: &hints.Destructive,
			IdempotentHint:  &hints.Idempotent,
			OpenWorldHint:   &hints.OpenWorld,
		},
		Icons: icons(t.Action.Icons),
	}
}

func icons(in []registry.Icon) (out []mcp.Icon) {
	for _, i := range in {
		out = append(out, mcp.Icon{Src: i.Src, MIMEType: i.MIMEType, Sizes: i.Sizes, Theme: mcp.IconTheme(i.Theme)})
	}
	return out
}

// appendTool writes a tool with its schemas as their author ordered them.
func appendTool(dst []byte, t *mcp.Tool) []byte {
	dst = appendString(append(dst, `{"name":`...), t.Name)
	if t.Title != "" {
		dst = appendString(append(dst, `,"title":`...), t.Title)
	}
	if t.Description != "" {
		dst = appendString(append(dst, `,"description":`...), t.Description)
	}
	dst = append(append(dst, `,"inputSchema":`...), t.RawInputSchema...)
	if t.RawOutputSchema != nil {
		dst = append(append(dst, `,"outputSchema":`...), t.RawOutputSchema...)
	}
	if t.Execution != nil {
		dst = appendString(append(dst, `,"execution":{"taskSupport":`...), string(t.Execution.TaskSupport))
		dst = append(dst, '}')
	}
	dst = append(dst, `,"annotations":{`...)
	if t.Annotations.Title != "" {
		dst = append(appendString(append(dst, `"title":`...), t.Annotations.Title), ',')
	}
	dst = appendBool(append(dst, `"readOnlyHint":`...), *t.Annotations.ReadOnlyHint)
	dst = appendBool(append(dst, `,"destructiveHint":`...), *t.Annotations.DestructiveHint)
	dst = appendBool(append(dst, `,"idempotentHint":`...), *t.Annotations.IdempotentHint)
	dst = append(appendBool(append(dst, `,"openWorldHint":`...), *t.Annotations.OpenWorldHint), '}')
	if len(t.Icons) > 0 {
		shown, _ := json.Marshal(t.Icons) // texts
		dst = append(append(dst, `,"icons":`...), shown...)
	}
	return append(dst, '}')
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}
