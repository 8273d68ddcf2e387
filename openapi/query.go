package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/itchyny/gojq"
)

// Query is a compiled jq program. It sees its input as ".", and the variables
// $arguments (what the caller sent) and $status (the HTTP status; 0 while a
// request is being built). Beside jq's own functions it has fromyaml.
type Query struct {
	source string
	code   *gojq.Code
}

// compileQuery compiles a jq program. It has no access to files, modules,
// environment or further inputs.
func compileQuery(source string) (*Query, error) {
	parsed, err := gojq.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("jq program: %w", err)
	}
	code, err := gojq.Compile(parsed,
		gojq.WithVariables([]string{"$arguments", "$status"}),
		gojq.WithEnvironLoader(func() []string { return nil }),
		gojq.WithFunction("fromyaml", 0, 0, fromYAML))
	if err != nil {
		return nil, fmt.Errorf("jq program: %w", err)
	}
	return &Query{source, code}, nil
}

// fromYAML is jq's fromjson for YAML, with the bounds of a document.
func fromYAML(input any, _ []any) any {
	source, ok := input.(string)
	if !ok {
		return errors.New("fromyaml: expected a string")
	}
	if len(source) > defaultMaxBytes {
		return errors.New("fromyaml: text is too long")
	}
	root, err := parseTree([]byte(source), false)
	if err != nil {
		return fmt.Errorf("fromyaml: %w", err)
	}
	t := newResolver("", false)
	if root = t.resolve(root, 0); t.fatal != nil {
		return fmt.Errorf("fromyaml: %s", t.fatal.Message)
	}
	if len(t.findings) > 0 { // a key that stands twice
		return fmt.Errorf("fromyaml: %s", t.findings[0].Message)
	}
	dec := json.NewDecoder(bytes.NewReader(rawJSON(value(root))))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return fmt.Errorf("fromyaml: %w", err)
	}
	return v
}

// String is the program's source; that of no program is empty.
func (q *Query) String() string {
	if q == nil {
		return ""
	}
	return q.source
}

// Run gives the program's first output; nil when it has none or it is null.
// An error made by the program itself (error("…")) is returned as *QueryError:
// its text is the document author's word to the caller.
func (q *Query) Run(ctx context.Context, input, arguments any, status int) (any, error) {
	out, ok := q.code.RunWithContext(ctx, input, arguments, status).Next()
	if !ok {
		return nil, nil
	}
	if err, isErr := out.(error); isErr {
		var halt *gojq.HaltError
		if errors.As(err, &halt) && halt.Value() == nil {
			return nil, nil
		}
		var said gojq.ValueError
		if errors.As(err, &said) {
			return nil, &QueryError{Message: fmt.Sprint(said.Value())}
		}
		return nil, fmt.Errorf("jq %q: %w", q.source, err)
	}
	return out, nil
}

// QueryError is a jq program's own error("message").
type QueryError struct{ Message string }

func (e *QueryError) Error() string { return e.Message }
