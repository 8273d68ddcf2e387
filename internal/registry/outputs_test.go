package registry

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

const thingSchema = `{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"color":{"enum":["red"]},"when":{"type":"string","format":"date-time"},
"parts":{"type":"array","items":{"$ref":"#/$defs/Part"}}},"$defs":{"Part":{"type":"object","properties":{"size":{"type":"integer","maximum":9}}}}}`

func outputAction(schema string) *Action {
	return &Action{ID: "p:a", Plugin: "p", Action: openapi.Action{Name: "a", OutputSchema: json.RawMessage(schema)}, checked: &checked{}}
}

func TestMismatches(t *testing.T) {
	var told []Mismatch
	o := NewOutputs(func(m Mismatch) { told = append(told, m) })
	for _, tt := range []struct{ schema, answer, want string }{
		{thingSchema, `{"name":"x","color":"red","parts":[{"size":9},{}],"other":1}`, "none"},
		{thingSchema, `{}`, "the answer: missing property 'name'"},
		{thingSchema, `{"name":null}`, "name: got null, want string"},
		{thingSchema, `{"name":"x","parts":[{"size":1},{"size":"hunter2"}]}`, "parts[].size: got string, want integer"},
		{thingSchema, `{"name":"x","parts":[{"size":77}]}`, "parts[].size: does not fit /$defs/Part/properties/size/maximum of the schema"},
		{thingSchema, `{"name":"x","color":"hunter2"}`, "color: does not fit /properties/color/enum of the schema"},
		{thingSchema, `{"name":"x","when":"yesterday"}`, "none"}, // formats are annotations (2020-12, §7.2.1)
		{thingSchema, `[]`, "the answer: got array, want object"},
		{thingSchema, `{"name":"x","n":1e999999999}`, "none"},
		{`{"type":"object","pattern":"(?<"}`, `{}`, "none"}, // cannot be compiled
		{`{"$ref":"https://elsewhere.example/x"}`, `{}`, "none"},
	} {
		told = nil
		o.check(output{outputAction(tt.schema), json.RawMessage(tt.answer)})
		got := "none"
		if len(told) > 0 {
			got = told[0].Complaint
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.answer, got, tt.want)
		}
	}
}

// TestMismatchesAreToldOnce, however hot the action and whatever its values.
func TestMismatchesAreToldOnce(t *testing.T) {
	count, words := 0, 0
	o := NewOutputs(func(m Mismatch) {
		count++
		if m.Complaint != "" {
			words++
		}
	})
	a := outputAction(thingSchema)
	for i := range 100 {
		o.check(output{a, json.RawMessage(`{"name":"x","parts":[` + `{},{},{}`[:3*(i%3)+2] + `,{"size":"v` + time.Duration(i).String() + `"}]}`)})
	}
	if count != 100 || words != 1 {
		t.Errorf("counted %d, told %d", count, words)
	}
	open := outputAction(`{"type":"object","additionalProperties":{"type":"integer"}}`)
	words = 0
	for i := range 100 {
		o.check(output{open, json.RawMessage(`{"k` + time.Duration(i).String() + `":"x"}`)})
	}
	if words != maxMismatches {
		t.Errorf("told %d, want %d", words, maxMismatches)
	}
}

// TestOutputsRest: a checker without time leaves answers out instead of holding
// up calls, and goes on later.
func TestOutputsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan time.Duration, 1)
		count := 0
		o := NewOutputs(func(Mismatch) {
			count++
			time.Sleep(<-slow) // synctest's clock: this is how long the check took
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go o.Run(ctx)
		a, answer := outputAction(thingSchema), json.RawMessage(`[]`)
		slow <- outputBurst + time.Second // one second over what was saved up
		o.offer(a, answer)
		time.Sleep(outputBurst + time.Second)
		synctest.Wait()
		for range 10 * outputQueue {
			o.offer(a, answer) // does not block
		}
		time.Sleep(outputShare*time.Second - time.Millisecond)
		synctest.Wait()
		if count != 1 {
			t.Errorf("%d checks although the time is used up", count)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		slow <- 0
		o.offer(a, answer)
		synctest.Wait()
		if count != 2 {
			t.Errorf("%d checks, want one more", count)
		}
		var nobody *Outputs
		nobody.offer(a, answer)
	})
}
