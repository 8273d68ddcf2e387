package openapi

import (
	"errors"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// itemProgress is "progress: true": objects with a number called progress, which
// of a server-sent event are its data.
const itemProgress = `(if type == "object" and has("data") and keys - ["data", "event", "id"] == [] then .data else . end)
	| if type == "object" and (.progress | type) == "number" then {progress, total, message} else null end`

// xOutput decodes "output".
func (r *reader) xOutput(x *xAction, n *yaml.Node) bool {
	fields := map[string]func(*yaml.Node) error{
		"select":   func(v *yaml.Node) (err error) { x.selects, err = compileNode(v); return err },
		"progress": func(v *yaml.Node) (err error) { x.progress, err = progressQuery(v); return err },
		"schema":   schemaInto(&x.schema),
		"success":  func(v *yaml.Node) (err error) { x.success, err = statuses(v); return err },
		"mode": func(v *yaml.Node) error {
			x.mcp = isString(v) && v.Value == "mcp"
			if !x.mcp {
				return errors.New(`expected "mcp"`)
			}
			return nil
		},
	}
	for _, known := range []Known{InputResponses, RequestState, ClientCapabilities} {
		fields[string(known)] = func(v *yaml.Node) error {
			t, err := parseTarget(text(v))
			if err == nil && (t.in == InPath || t.isContentType()) {
				err = fmt.Errorf("target %q is part of each request, and there is not always a value for it", t)
			}
			x.known = append(x.known, xAssignment{target: t, node: v, known: known})
			return err
		}
	}
	return r.fields(n, "x-action.output", fields) && r.outputAgrees(x, n)
}

// outputAgrees refuses fields that say nothing without another one, or beside it.
func (r *reader) outputAgrees(x *xAction, n *yaml.Node) bool {
	var message string
	switch {
	case x.mcp && x.progress != nil:
		message = "progress is for streams of plain values; with mode: mcp the plugin sends notifications/progress"
	case !x.mcp && len(x.known) > 0:
		message = string(x.known[0].known) + " needs mode: mcp"
	default:
		return true
	}
	r.report(SeverityError, "x-action-invalid", n, "x-action.output: "+message, "")
	return false
}

// progressQuery decodes "progress": true, or a jq program.
func progressQuery(n *yaml.Node) (*Query, error) {
	switch {
	case isTrue(n):
		return compileQuery(itemProgress)
	case isBool(n):
		return nil, nil
	case isString(n):
		return compileQuery(n.Value)
	}
	return nil, errors.New("expected true, or a jq program as a string")
}

// statuses decodes "success".
func statuses(n *yaml.Node) (success []int, err error) {
	for _, s := range items(n) {
		status, err := strconv.Atoi(s.Value)
		if err != nil || status < 200 || status > 599 {
			return nil, fmt.Errorf("%q is not an HTTP status from 200 to 599", s.Value)
		}
		success = append(success, status)
	}
	if len(success) == 0 {
		return nil, errors.New("expected a list of statuses, for example [200, 404]")
	}
	return success, nil
}

// responsePlan writes down how an answer becomes a result.
func (x *xAction) responsePlan() ResponsePlan {
	p := ResponsePlan{Success: x.success, Select: x.selects, Progress: x.progress, MCP: x.mcp}
	for _, a := range x.known {
		p.Answers = p.Answers || a.known == InputResponses
		p.State = p.State || a.known == RequestState
	}
	return p
}
