package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// ArgumentRule binds and narrows arguments of actions, as one server has them.
type ArgumentRule struct {
	Path    string            // where it stands in the config, "servers.sales.arguments[0]"
	Actions []Rule            // of which one matches; none: every action of the server
	Bind    map[string]string // as ParseBound reads them
	Limit   map[string]Limit
}

// Limit narrows an argument: what is not said is not narrowed. Values are texts,
// which become what the argument's schema wants.
type Limit struct {
	Enum                []string
	Minimum, Maximum    string // numbers
	MaxLength, MaxItems int    // at least 1
	Pattern             string // RE2
}

// ruledArguments is what the rules of a server leave of an action's arguments.
type ruledArguments struct {
	plain   *Action // as the plugin has it
	bound   []bound // ordered by name
	limited []string
}

// bound is an argument that the server fills in.
type bound struct {
	name    string
	source  string // as the config has it
	text    Text
	literal json.RawMessage // where the text has no names
	schema  []property      // of the argument
}

// principalName is what of a principal can stand in a bound value.
var principalName = regexp.MustCompile(`^(subject|issuer|client|claims\.[^{}]+)$`)

// ParseBound reads the value of a bound argument: a text in which {subject},
// {issuer}, {client} and {claims.NAME} are the principal's; {{ and }} are braces.
func ParseBound(s string) (Text, error) { return parseText(s, principalName) }

// Binding is a bound argument, as one principal's calls have it.
type Binding struct {
	Argument string
	Source   string          // as the config has it
	Value    json.RawMessage // nil: calls are refused
	Refusal  string          // why they are
}

// Bindings lists the arguments that the server fills in, ordered by name.
func (a *Action) Bindings(p principal.Principal) (all []Binding) {
	if a.ruled == nil {
		return nil
	}
	for _, b := range a.ruled.bound {
		binding := Binding{Argument: b.name, Source: b.source}
		var err error
		if binding.Value, err = b.value(&p, a.ruled.plain); err != nil {
			binding.Value, binding.Refusal = nil, err.Error()
		}
		all = append(all, binding)
	}
	return all
}

// Limited lists the arguments that the server narrows, ordered by name.
func (a *Action) Limited() []string {
	if a.ruled == nil {
		return nil
	}
	return a.ruled.limited
}

// Argument is the schema of an argument; nil: there is none.
func (a *Action) Argument(name string) json.RawMessage { return a.properties()[name] }

// fill puts the bound arguments beside those that were given, and holds all of
// them to what the plugin's document says.
func (a *Action) fill(arguments map[string]any, p *principal.Principal) error {
	if a.ruled == nil {
		return nil
	}
	for _, b := range a.ruled.bound {
		value, err := b.value(p, a.ruled.plain)
		if err != nil {
			return denied(err.Error())
		}
		if arguments[b.name], err = jsonschema.UnmarshalJSON(bytes.NewReader(value)); err != nil {
			return denied("what the server fills in is no JSON")
		}
	}
	if a.ruled.plain.arguments.Validate(arguments) != nil { // whose words would tell of what is bound
		return &invoke.Error{Kind: invoke.InvalidArguments, Message: "invalid arguments: they do not go together with those that the server fills in"}
	}
	return nil
}

// given finds an argument that is the server's to fill in.
func (r *ruledArguments) given(arguments map[string]any) (name string, found bool) {
	if r == nil {
		return "", false
	}
	for _, b := range r.bound {
		if _, found := arguments[b.name]; found {
			return b.name, true
		}
	}
	return "", false
}

// value is the argument for a principal, in JSON. The error is for the caller:
// it says what of the token is missing.
func (b *bound) value(p *principal.Principal, a *Action) (value json.RawMessage, err error) {
	if b.literal != nil {
		return b.literal, nil // which was checked
	}
	if name, alone := b.text.alone(); alone {
		value, err = b.whole(p, name)
	} else {
		value, err = b.within(p)
	}
	if err != nil {
		return nil, err
	}
	if a.checkArgument(b.name, value) != nil { // whose words would tell of what is bound
		return nil, fmt.Errorf("%s is nothing that this action takes", ofToken(b.text.Names()[0]))
	}
	return value, nil
}

// whole is what the principal has under a name, with the type that the action
// wants. A text never becomes a list or an object.
func (b *bound) whole(p *principal.Principal, name string) (json.RawMessage, error) {
	found, err := known(p, name)
	if err != nil {
		return nil, err
	}
	text, isScalar := principal.Scalar(found)
	if !isScalar {
		return json.Marshal(found)
	}
	value := typed(b.schema, text)
	if kind := kindOf(value); kind == "array" || kind == "object" {
		return json.Marshal(text)
	}
	return value, nil
}

// within is a text with values of the principal in it, which have to be scalars.
func (b *bound) within(p *principal.Principal) (json.RawMessage, error) {
	values := map[string]string{}
	for _, name := range b.text.Names() {
		found, err := known(p, name)
		if err != nil {
			return nil, err
		}
		text, isScalar := principal.Scalar(found)
		if !isScalar {
			return nil, fmt.Errorf("%s is more than one value, of which this action takes one", ofToken(name))
		}
		values[name] = text
	}
	return json.Marshal(b.text.Fill(values))
}

// known is what of the principal has a name. What is empty is not known.
func known(p *principal.Principal, name string) (found any, err error) {
	switch name {
	case "subject":
		found = p.Subject
	case "issuer":
		found = p.Issuer
	case "client":
		found = p.Client
	default:
		found, _ = p.Claim(name[len("claims."):])
	}
	if found == nil || found == "" || p.IsAnonymous() {
		return nil, errors.New(ofToken(name) + " is missing, which this action takes")
	}
	return found, nil
}

// ofToken words a name of [ParseBound] for callers.
func ofToken(name string) string {
	if len(name) > len("claims.") && name[:len("claims.")] == "claims." {
		return fmt.Sprintf("claim %q of your token", name[len("claims."):])
	}
	return name + " of your token"
}
