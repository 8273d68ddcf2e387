package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

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

// refuseUnusable leaves out the actions whose input schema does not compile, and
// says why. It compiles on all processors, and a schema that many actions share once.
func (d *Document) refuseUnusable() {
	faults := map[string]error{}
	budget := compileBudget
	var distinct []string
	for i := range d.Actions {
		schema := string(d.Actions[i].InputSchema)
		if _, known := faults[schema]; known {
			continue
		}
		if budget -= len(schema); budget < 0 {
			break
		}
		faults[schema] = nil
		distinct = append(distinct, schema)
	}
	found := make([]error, len(distinct))
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(distinct)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(distinct)); i = next.Add(1) - 1 {
				found[i] = compiles(json.RawMessage(distinct[i]))
			}
		})
	}
	workers.Wait()
	for i, schema := range distinct {
		faults[schema] = found[i]
	}
	d.Actions = slices.DeleteFunc(d.Actions, func(a Action) bool {
		err := faults[string(a.InputSchema)]
		if err != nil {
			d.Findings = append(d.Findings, Finding{
				Severity: SeverityError, Code: "schema-invalid", Operation: a.Operation, Location: a.Location,
				Message: fmt.Sprintf("schema of the arguments cannot be used: %v", err),
			})
		}
		return err != nil
	})
}
