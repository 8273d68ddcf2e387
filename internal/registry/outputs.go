package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

const (
	// outputShare is the part of one processor that checking outputs may take: 1/50.
	outputShare = 50
	// outputBurst is how much checking is saved up while there is little to do.
	outputBurst = 20 * time.Millisecond
	// outputQueue bounds the answers that wait to be checked, and outputBytes
	// what they hold.
	outputQueue = 64
	outputBytes = 8 << 20
	// maxMismatches bounds what is told of one action.
	maxMismatches = 20
)

// Mismatch is an answer that breaks its action's output schema.
type Mismatch struct {
	Action *Action
	// Complaint says where in the answer and what was expected, without what
	// was there; "" where it was told before.
	Complaint string
}

// Outputs holds answers to the output schemas of their actions, beside the
// calls and after them: a plugin that breaks its own document is told of, and
// its answer is delivered all the same. What it has no time for it leaves out.
type Outputs struct {
	waiting chan output
	held    atomic.Int64 // bytes of those that wait
	resting atomic.Bool
	tell    func(Mismatch)
}

type output struct {
	action *Action
	answer json.RawMessage
}

// checked is what is kept of an action between checks. Only Outputs.Run uses it.
type checked struct {
	compiled bool
	schema   *jsonschema.Schema // nil: it cannot be compiled
	told     map[string]bool
}

// NewOutputs makes a checker that tells of mismatches, one after the other,
// while [Outputs.Run] runs.
func NewOutputs(tell func(Mismatch)) *Outputs {
	return &Outputs{waiting: make(chan output, outputQueue), tell: tell}
}

// offer takes an answer to be checked, if there is time.
func (o *Outputs) offer(a *Action, answer json.RawMessage) {
	if o == nil || len(a.OutputSchema) == 0 || len(answer) == 0 || o.resting.Load() {
		return
	}
	size := int64(len(answer))
	if o.held.Add(size) <= outputBytes {
		select {
		case o.waiting <- output{a, answer}:
			return
		default:
		}
	}
	o.held.Add(-size)
}

// Run checks answers until the context ends. It rests when it has used its
// share of time.
func (o *Outputs) Run(ctx context.Context) {
	budget, last := outputBurst, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case next := <-o.waiting:
			begin := time.Now()
			budget = min(budget+begin.Sub(last)/outputShare, outputBurst)
			o.check(next)
			o.held.Add(-int64(len(next.answer)))
			last = time.Now()
			budget -= last.Sub(begin)
		}
		if budget >= 0 {
			continue
		}
		o.resting.Store(true)
		select {
		case <-ctx.Done():
			return
		case <-time.After(-budget * outputShare):
		}
		o.resting.Store(false)
	}
}

// check holds one answer to its schema.
func (o *Outputs) check(next output) {
	known := next.action.checked
	if !known.compiled { // with the first answer: most documents have many more schemas than are ever used
		known.compiled, known.told = true, map[string]bool{}
		if schema, err := compile(next.action.OutputSchema); err == nil {
			known.schema = schema
		}
	}
	if known.schema == nil {
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(next.answer))
	if err != nil {
		return
	}
	if _, absurd := absurdNumber(v, nil); absurd {
		return
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(known.schema.Validate(v), &invalid) {
		return
	}
	complaint := mismatch(invalid)
	if known.told[complaint] || len(known.told) >= maxMismatches {
		complaint = ""
	} else {
		known.told[complaint] = true
	}
	o.tell(Mismatch{next.action, complaint})
}

// mismatch words the first leaf of a validation error: where, with any index
// of a list as [], and which keyword of the schema says otherwise.
func mismatch(err *jsonschema.ValidationError) string {
	for len(err.Causes) > 0 {
		err = err.Causes[0]
	}
	at := make([]string, 0, len(err.InstanceLocation))
	for _, token := range err.InstanceLocation {
		if token != "" && strings.Trim(token, "0123456789") == "" {
			token = "[]"
		}
		at = append(at, token)
	}
	where := strings.ReplaceAll(strings.Join(at, "."), ".[]", "[]")
	if where == "" {
		where = "the answer"
	}
	_, pointer, _ := strings.Cut(err.SchemaURL, "#")
	keyword := strings.Join(err.ErrorKind.KeywordPath(), "/")
	if keyword == "required" || keyword == "type" { // these quote names and types, not values
		return clip(fmt.Sprintf("%s: %s", where, err.ErrorKind.LocalizedString(message.NewPrinter(language.English))))
	}
	return clip(fmt.Sprintf("%s: does not fit %s/%s of the schema", where, pointer, keyword))
}
