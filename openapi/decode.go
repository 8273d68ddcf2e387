package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"
)

// The functions here decode one value of an x-action each, and say what they
// expected.

func stringInto(into *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if !isString(n) {
			return errors.New("expected a string")
		}
		*into = n.Value
		return nil
	}
}

var actionNamePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func actionName(into *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if !isString(n) || !actionNamePattern.MatchString(n.Value) {
			return fmt.Errorf("expected a name like register-entity (%s), got %q", actionNamePattern, n.Value)
		}
		*into = n.Value
		return nil
	}
}

func wantBool(n *yaml.Node) error {
	if !isBool(n) {
		return errors.New("expected true or false")
	}
	return nil
}

func boolInto(into **bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		b := isTrue(n)
		*into = &b
		return wantBool(n)
	}
}

func nodeInto(into **yaml.Node) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		*into = n
		return nil
	}
}

func jsonInto(into *json.RawMessage) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		*into = rawJSON(value(n))
		return nil
	}
}

func schemaInto(into **yaml.Node) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if !isMapping(n) && !isBool(n) {
			return errors.New("expected a JSON Schema object")
		}
		*into = n
		return nil
	}
}

func stringsInto(into *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		for _, c := range items(n) {
			if !isString(c) {
				return errors.New("expected a list of strings")
			}
			*into = append(*into, c.Value)
		}
		if !isSequence(n) {
			return errors.New("expected a list of strings")
		}
		return nil
	}
}

func namesInto(into *[]*yaml.Node) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		var names []string
		*into = []*yaml.Node{}
		if err := stringsInto(&names)(n); err != nil {
			return err
		}
		*into = append(*into, n.Content...)
		return nil
	}
}

// maxTimeout is for how long a document may have a call hold its connection.
const maxTimeout = 10 * time.Minute

func durationInto(into *time.Duration) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		d, err := time.ParseDuration(n.Value)
		if err != nil || d <= 0 {
			return fmt.Errorf("expected a duration like 30s, got %q", n.Value)
		}
		if d > maxTimeout {
			return fmt.Errorf("a call may take %v at most, got %v", maxTimeout, d)
		}
		*into = d
		return nil
	}
}

// compileNode compiles a jq program.
func compileNode(n *yaml.Node) (*Query, error) {
	if !isString(n) {
		return nil, errors.New("expected a jq program as a string")
	}
	return compileQuery(n.Value)
}
