package openapi

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/internal/suggest"
)

// xAction is one x-action object, decoded but not yet joined with its
// operation. docs/x-action.md explains the fields, specs/x-action.schema.json
// is their normative schema.
type xAction struct {
	node        *yaml.Node
	name        string
	title       string
	description string
	attributes  map[string]*yaml.Node // booleans
	input       []xInput
	only        []*yaml.Node // nil: everything is shown
	fixed       []xAssignment
	request     []xAssignment
	secrets     []xAssignment // names of the operator's secrets
	selects     *Query
	progress    *Query
	mcp         bool
	known       []xAssignment // what the gateway knows of a call
	schema      *yaml.Node
	success     []int
	examples    []Example
	tags        []string
	scopes      []string
	timeout     time.Duration
	deprecated  *bool
}

// xInput is one entry of "input".
type xInput struct {
	name         string
	node         *yaml.Node
	target       *target
	title        string
	description  string
	defaultValue *yaml.Node
	example      *yaml.Node
	schema       *yaml.Node
	mcpHeader    *yaml.Node
	hidden       bool
	required     *bool
}

// xAssignment is one entry of "fixed" (value), "request" (query) or "secrets"
// (name), or a target that "output" names.
type xAssignment struct {
	target target
	node   *yaml.Node
	query  *Query
	secret string
	known  Known
}

// xActions decodes an operation's x-action: none, one or several. ok is false
// when it is there but cannot be used; then the findings say why.
func (r *reader) xActions(op *yaml.Node) (specs []*xAction, ok bool) {
	n := get(op, "x-action")
	switch {
	case n == nil:
		return nil, true
	case isTrue(n):
		return []*xAction{{node: n}}, true
	case isMapping(n):
		x, ok := r.xAction(n)
		return []*xAction{x}, ok
	case isSequence(n) && len(n.Content) > 0:
		ok = true
		for _, c := range n.Content {
			if !isMapping(c) {
				r.report(SeverityError, "x-action-invalid", c, "x-action's list holds something that is not an object", "")
				ok = false
				continue
			}
			x, good := r.xAction(c)
			specs, ok = append(specs, x), ok && good
		}
		return specs, ok
	}
	r.report(SeverityError, "x-action-invalid", n, "x-action is neither a boolean, an object nor a list of objects", "")
	return nil, false
}

// fields calls the function that belongs to each key of an object, and reports
// keys that have none. Each function returns what is wrong with its value.
func (r *reader) fields(n *yaml.Node, what string, known map[string]func(*yaml.Node) error) bool {
	if !isMapping(n) {
		r.report(SeverityError, "x-action-invalid", n, what+" is not an object", "")
		return false
	}
	ok := true
	for k, v := range pairs(n) {
		set, isKnown := known[k.Value]
		if !isKnown {
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			r.report(SeverityError, "x-action-unknown-field", k,
				fmt.Sprintf("%s: unknown field %q", what, k.Value), suggest.Hint(k.Value, names))
			ok = false
			continue
		}
		if err := set(v); err != nil {
			r.report(SeverityError, "x-action-invalid", v, fmt.Sprintf("%s.%s: %v", what, k.Value, err), "")
			ok = false
		}
	}
	return ok
}

func (r *reader) xAction(n *yaml.Node) (*xAction, bool) {
	x := &xAction{node: n}
	ok := true
	nested := func(decode func(*yaml.Node) bool) func(*yaml.Node) error {
		return func(v *yaml.Node) error {
			ok = decode(v) && ok
			return nil
		}
	}
	good := r.fields(n, "x-action", map[string]func(*yaml.Node) error{
		"name":        actionName(&x.name),
		"title":       stringInto(&x.title),
		"description": stringInto(&x.description),
		"attributes":  nested(func(v *yaml.Node) bool { return r.xAttributes(x, v) }),
		"input":       nested(func(v *yaml.Node) bool { return r.xInputs(x, v) }),
		"only":        namesInto(&x.only),
		"fixed":       nested(func(v *yaml.Node) bool { return r.xAssignments(&x.fixed, v, "fixed") }),
		"request":     nested(func(v *yaml.Node) bool { return r.xAssignments(&x.request, v, "request") }),
		"secrets":     nested(func(v *yaml.Node) bool { return r.xAssignments(&x.secrets, v, "secrets") }),
		"output":      nested(func(v *yaml.Node) bool { return r.xOutput(x, v) }),
		"examples":    nested(func(v *yaml.Node) bool { return r.xExamples(x, v) }),
		"tags":        stringsInto(&x.tags),
		"scopes":      stringsInto(&x.scopes),
		"timeout":     durationInto(&x.timeout),
		"deprecated":  boolInto(&x.deprecated),
	})
	return x, ok && good
}

func (r *reader) xAttributes(x *xAction, n *yaml.Node) bool {
	x.attributes = map[string]*yaml.Node{}
	known := map[string]func(*yaml.Node) error{}
	for _, name := range []string{"readOnly", "destructive", "idempotent", "openWorld"} {
		known[name] = func(v *yaml.Node) error {
			x.attributes[name] = v
			return wantBool(v)
		}
	}
	return r.fields(n, "x-action.attributes", known)
}

func (r *reader) xInputs(x *xAction, n *yaml.Node) bool {
	if !isMapping(n) {
		return r.fields(n, "x-action.input", nil)
	}
	ok := true
	for k, v := range pairs(n) {
		in := xInput{name: k.Value, node: k}
		if !argumentName.MatchString(k.Value) {
			r.report(SeverityError, "x-action-invalid", k,
				fmt.Sprintf("x-action.input: argument name %q does not match %s", k.Value, argumentName), "")
			ok = false
		}
		good := r.fields(v, "x-action.input."+k.Value, map[string]func(*yaml.Node) error{
			"for": func(v *yaml.Node) error {
				t, err := parseTarget(text(v))
				in.target = &t
				return err
			},
			"title":       stringInto(&in.title),
			"description": stringInto(&in.description),
			"default":     nodeInto(&in.defaultValue),
			"example":     nodeInto(&in.example),
			"schema":      schemaInto(&in.schema),
			"mcpHeader":   func(v *yaml.Node) error { in.mcpHeader = v; return stringInto(new(string))(v) },
			"hidden":      func(v *yaml.Node) error { in.hidden = isTrue(v); return wantBool(v) },
			"required":    boolInto(&in.required),
		})
		x.input, ok = append(x.input, in), ok && good
	}
	return ok
}

func (r *reader) xAssignments(into *[]xAssignment, n *yaml.Node, field string) bool {
	if !isMapping(n) {
		return r.fields(n, "x-action."+field, nil)
	}
	ok := true
	for k, v := range pairs(n) {
		a := xAssignment{node: v}
		var err error
		if a.target, err = parseTarget(k.Value); err == nil && field == "request" {
			a.query, err = compileNode(v)
		}
		if err == nil && field == "secrets" {
			a.secret, err = r.secret(v)
		}
		if err != nil {
			r.report(SeverityError, "x-action-invalid", k, fmt.Sprintf("x-action.%s: %v", field, err), "")
			ok = false
		}
		*into = append(*into, a)
	}
	return ok
}

// secret is the name of a secret that the operator has for this plugin: no
// document gets at any other.
func (r *reader) secret(n *yaml.Node) (string, error) {
	if !isString(n) {
		return "", errors.New("expected the name of a secret")
	}
	if !slices.Contains(r.opts.Secrets, n.Value) {
		return "", fmt.Errorf("the plugin's config has no secret %q", n.Value)
	}
	return n.Value, nil
}

func (r *reader) xExamples(x *xAction, n *yaml.Node) bool {
	if !isSequence(n) {
		r.report(SeverityError, "x-action-invalid", n, "x-action.examples is not a list", "")
		return false
	}
	ok := true
	for i, c := range n.Content {
		var e Example
		good := r.fields(c, fmt.Sprintf("x-action.examples[%d]", i), map[string]func(*yaml.Node) error{
			"title":       stringInto(&e.Title),
			"description": stringInto(&e.Description),
			"input":       jsonInto(&e.Input),
			"output":      jsonInto(&e.Output),
		})
		x.examples, ok = append(x.examples, e), ok && good
	}
	return ok
}

// argumentName is what model providers admit as a property of a tool's input.
var argumentName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
