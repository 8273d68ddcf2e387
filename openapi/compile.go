package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiles tells why a schema is none that a validator takes. All that is known
// to be wrong with schemas is mended while they are translated; this is for
// the rest, so that it refuses one operation now and not a call later.
func compiles(schema json.RawMessage) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the validator cannot read it")
		}
	}()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return err
	}
	const place = "tool:schema"
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	if err = c.AddResource(place, doc); err == nil {
		_, err = c.Compile(place)
	}
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return nil
}

// noLoader opens nothing: schemas are self-contained.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) { return nil, fmt.Errorf("%s is not opened", url) }

// compileBudget bounds the text of the schemas that Read compiles for one
// document. It costs more than all else; what is beyond is compiled when it is served.
const compileBudget = 512 << 10

// usable reports an action's input schema when it does not compile.
func (r *reader) usable(o *operation, schema json.RawMessage) bool {
	if r.compiled += len(schema); r.compiled > compileBudget {
		return true
	}
	err := compiles(schema)
	if err != nil {
		r.report(SeverityError, "schema-invalid", o.node, fmt.Sprintf("schema of the arguments cannot be used: %v", err), "")
	}
	return err == nil
}
