package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/stagedoor/stagedoor/internal/suggest"
	"github.com/stagedoor/stagedoor/openapi"
)

// nothingLoads refuses to load whatever a schema points at: schemas come from
// plugins, and must not make the gateway open files or URLs.
type nothingLoads struct{}

func (nothingLoads) Load(url string) (any, error) {
	return nil, fmt.Errorf("schema refers to %s, which is not loaded", url)
}

// compileAll compiles the input schemas of many actions on all processors: of
// all that happens to a large document, this takes longest. Those that the last
// part has are not compiled again.
func compileAll(actions []openapi.Action, last *Part) ([]*jsonschema.Schema, []error) {
	schemas, errs := make([]*jsonschema.Schema, len(actions)), make([]error, len(actions))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				schemas[i], errs[i] = compile(actions[i].InputSchema)
			}
		})
	}
	for i, a := range actions {
		if was := last.action(a.Name); was != nil && bytes.Equal(was.InputSchema, a.InputSchema) {
			schemas[i] = was.arguments
		} else {
			next <- i
		}
	}
	close(next)
	workers.Wait()
	return schemas, errs
}

// compile compiles a JSON Schema 2020-12.
func compile(schema json.RawMessage) (compiled *jsonschema.Schema, err error) {
	defer func() {
		if recover() != nil {
			compiled, err = nil, errors.New("the validator cannot read it")
		}
	}()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothingLoads{})
	const url = "stagedoor:///input"
	if err := c.AddResource(url, doc); err != nil {
		return nil, err
	}
	return c.Compile(url)
}

// maxComplaints bounds how many faults of one call are told at once.
const maxComplaints = 8

// decodeArguments reads and validates arguments. The error says, argument by
// argument, what was expected, so that a model can mend its call.
func (a *Action) decodeArguments(raw json.RawMessage) (map[string]any, error) {
	if len(bytes.TrimSpace(raw)) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		raw = json.RawMessage("{}")
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("arguments are not JSON: %w", err)
	}
	arguments, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("arguments have to be an object")
	}
	if named(raw) != held(arguments) { // who reads the first of two would see another call than the plugin gets
		return nil, errors.New("invalid arguments: a name is given twice in one object")
	}
	if at, ok := absurdNumber(arguments, nil); ok {
		return nil, fmt.Errorf("invalid arguments: %s: number is out of range", place(at))
	}
	err = a.arguments.Validate(v)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		return nil, errors.New(a.complaint(invalid))
	}
	if name, found := a.ruled.given(arguments); found { // which an open schema lets pass
		return nil, fmt.Errorf("invalid arguments: %s is not known here", place([]string{name}))
	}
	return arguments, err
}

// named counts the members of all objects in JSON text that is known to be valid.
func named(raw []byte) (n int) {
	inString := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case c == ':' && !inString:
			n++
		}
	}
	return n
}

// held counts the members of all objects in a value.
func held(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, item := range v {
			n += held(item)
		}
	case []any:
		for _, item := range v {
			n += held(item)
		}
	}
	return n
}

// checkArgument validates one argument by itself.
func (a *Action) checkArgument(name string, raw json.RawMessage) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("argument is not JSON: %w", err)
	}
	if at, ok := absurdNumber(v, []string{name}); ok {
		return fmt.Errorf("invalid arguments: %s: number is out of range", place(at))
	}
	schema := a.arguments.Properties[name]
	if schema == nil {
		return nil
	}
	err = schema.Validate(v)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		below(invalid, name)
		return errors.New(a.complaint(invalid))
	}
	return err
}

// below puts a validation error's places below an argument.
func below(err *jsonschema.ValidationError, argument string) {
	err.InstanceLocation = append([]string{argument}, err.InstanceLocation...)
	for _, cause := range err.Causes {
		below(cause, argument)
	}
}

// absurdNumber finds a number that no API takes and that costs the validator,
// which calculates exactly, more time and memory than any plugin is worth.
func absurdNumber(v any, at []string) ([]string, bool) {
	switch v := v.(type) {
	case json.Number:
		_, exponent, _ := strings.Cut(strings.ToLower(v.String()), "e")
		e, err := strconv.Atoi(strings.TrimPrefix(exponent, "+"))
		return at, len(v) > 400 || exponent != "" && (err != nil || e > 400 || e < -400)
	case []any:
		for i, item := range v {
			if at, ok := absurdNumber(item, append(at, strconv.Itoa(i))); ok {
				return at, true
			}
		}
	case map[string]any:
		for name, item := range v {
			if at, ok := absurdNumber(item, append(at, name)); ok {
				return at, true
			}
		}
	}
	return nil, false
}

// complaint lists the leaves of a validation error, each with its argument.
func (a *Action) complaint(err *jsonschema.ValidationError) string {
	var lines []string
	a.collect(err, &lines)
	slices.Sort(lines) // the validator looks at members in any order
	lines = slices.Compact(lines)
	if len(lines) > maxComplaints {
		lines = append(lines[:maxComplaints], fmt.Sprintf("and %d more", len(lines)-maxComplaints))
	}
	return "invalid arguments: " + strings.Join(lines, "; ")
}

func (a *Action) collect(err *jsonschema.ValidationError, lines *[]string) {
	if len(err.Causes) > 0 {
		for _, cause := range err.Causes {
			a.collect(cause, lines)
		}
		return
	}
	english := message.NewPrinter(language.English)
	switch k := err.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			*lines = append(*lines, fmt.Sprintf("%s is missing", place(append(slices.Clone(err.InstanceLocation), name))))
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			line := place(append(slices.Clone(err.InstanceLocation), name)) + " is not known here"
			if len(err.InstanceLocation) == 0 {
				if hint := suggest.Hint(name, slices.Collect(maps.Keys(a.arguments.Properties))); hint != "" {
					line += " (" + hint + ")"
				}
			}
			*lines = append(*lines, line)
		}
	case *kind.Minimum:
		*lines = append(*lines, outOfBounds(err, "at least", k.Want, k.Got))
	case *kind.ExclusiveMinimum:
		*lines = append(*lines, outOfBounds(err, "more than", k.Want, k.Got))
	case *kind.Maximum:
		*lines = append(*lines, outOfBounds(err, "at most", k.Want, k.Got))
	case *kind.ExclusiveMaximum:
		*lines = append(*lines, outOfBounds(err, "less than", k.Want, k.Got))
	default:
		line := place(err.InstanceLocation) + ": " + err.ErrorKind.LocalizedString(english)
		*lines = append(*lines, clip(line))
	}
}

// outOfBounds tells of a number with all its digits, which the validator's own
// words do not.
func outOfBounds(err *jsonschema.ValidationError, relation string, want, got *big.Rat) string {
	return clip(fmt.Sprintf("%s: has to be %s %s, and is %s", place(err.InstanceLocation), relation, digits(want), digits(got)))
}

func digits(r *big.Rat) string {
	if places, exact := r.FloatPrec(); exact {
		return r.FloatString(places)
	}
	return r.RatString()
}

// maxComplaint bounds one complaint, which may quote what the caller sent.
const maxComplaint = 300

func clip(s string) string {
	if len(s) <= maxComplaint {
		return s
	}
	return strings.ToValidUTF8(s[:maxComplaint], "") + " …"
}

// place writes an instance location as a person would: orderFields[0].order.
func place(location []string) string {
	if len(location) == 0 {
		return "arguments"
	}
	var b strings.Builder
	for i, token := range location {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			b.WriteString("[" + token + "]")
		case i > 0:
			b.WriteString("." + token)
		default:
			b.WriteString(token)
		}
	}
	return b.String()
}
