package invoke

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	"github.com/stagedoor/stagedoor/openapi"
)

// counting is an action with output.progress, as YAML writes it.
func counting(t *testing.T, progress, more string) *openapi.Action {
	t.Helper()
	return read(t, `
openapi: 3.1.0
info: {title: Jobs, version: "1"}
paths:
  /jobs:
    get:
      operationId: run
      parameters: [{name: n, in: query, schema: {type: integer}}]
      x-action: {input: {n: {default: 7}}, output: {progress: `+progress+more+`}}
      responses: {'200': {description: Done.}}
`)
}

// TestToldProgress: which items are progress, what is told of them, and what is
// left for the result.
func TestToldProgress(t *testing.T) {
	const steps = `'if .kind == "step" then {progress: .done, total: .of, message: .text} elif .kind == "note" then .text elif .kind == "at" then .done else null end'`
	for name, tt := range map[string]struct {
		progress, more string
		items          []string
		told           []string
		json           string
	}{
		"true":            {"true", "", []string{`{"progress":0,"total":2.50,"message":"on"}`, `{"progress":1e0,"x":1}`, `{"done":true,"progress":"all"}`}, []string{"{0 2.50 on}", "{1e0  }"}, `{"done":true,"progress":"all"}`},
		"several results": {"true", "", []string{`{"progress":1}`, `1`, `[2]`}, []string{"{1  }"}, `[1,[2]]`},
		"no result":       {"true", "", []string{`{"progress":1}`}, []string{"{1  }"}, `[]`},
		"only a result":   {"true", "", []string{`{"a":1}`}, nil, `{"a":1}`},
		"does not go up":  {"true", "", []string{`{"progress":5}`, `{"progress":5}`, `{"progress":-1}`, `{"progress":5.01}`, `"end"`}, []string{"{5  }", "{5.01  }"}, `"end"`},
		"absurd numbers":  {"true", "", []string{`{"progress":1e999999999}`, `{"progress":1,"total":1e999999999}`, `1`}, []string{"{1  }"}, `1`},
		"odd parts":       {"true", "", []string{`{"progress":1,"total":"2","message":3}`, `{"progress":true}`}, []string{"{1  }"}, `{"progress":true}`},
		"many digits":     {"true", "", []string{`{"progress":9007199254740993}`, `1`}, []string{"{9007199254740993  }"}, `1`},
		"a program": {steps, "", []string{`{"kind":"step","done":1,"of":3}`, `{"kind":"note","text":"half"}`, `{"kind":"at","done":2.5}`, `{"kind":"step","text":"nearly"}`, `{"kind":"end"}`},
			[]string{"{1 3 }", "{2  half}", "{2.5  }", "{3.5  nearly}"}, `{"kind":"end"}`},
		"it expects another item": {`'.a.b'`, "", []string{`"text"`, `{"a":{"b":1}}`}, []string{"{1  }"}, `"text"`},
		"it gives a list":         {`'[.]'`, "", []string{`1`, `2`}, nil, `[1,2]`},
		"it gives nothing":        {`'empty'`, "", []string{`1`}, nil, `1`},
		"it gives {}":             {`'{}'`, "", []string{`1`}, nil, `1`},
		"it knows more":           {`'if . == $status then $arguments.n else null end'`, "", []string{`200`, `1`}, []string{"{7  }"}, `1`},
		"select":                  {"true", `, select: .result`, []string{`{"progress":1}`, `{"result":{"a":1}}`}, []string{"{1  }"}, `{"a":1}`},
		"nothing said":            {"false", "", []string{`{"progress":5,"message":"m"}`, `2`}, []string{"{1  m}", "{2  }"}, `[{"progress":5,"message":"m"},2]`},
	} {
		for mediaType, write := range streams {
			t.Run(name+" "+mediaType, func(t *testing.T) {
				a := counting(t, tt.progress, tt.more)
				if mediaType == "text/event-stream" && (tt.progress != "true" || tt.more != "") {
					return // the program would be another one
				}
				body := ""
				for _, item := range tt.items {
					body += write(item)
				}
				var told []string
				ctx := WithProgress(t.Context(), func(p Progress) { told = append(told, fmt.Sprint(p)) })
				want := tt.json
				if mediaType == "text/event-stream" {
					want = events(t, tt.json)
				}
				for _, listening := range []bool{true, false} {
					if !listening {
						ctx = t.Context()
					}
					r, err := askIn(ctx, t, reply(200, mediaType, body), Options{}, a)
					if err != nil || string(r.JSON) != want {
						t.Errorf("listening %v: got %s %v, want %s", listening, r.JSON, err, want)
					}
				}
				if !slices.Equal(told, tt.told) {
					t.Errorf("told %q, want %q", told, tt.told)
				}
			})
		}
	}
}

// events puts what an event stream makes of items around them.
func events(t *testing.T, text string) string {
	t.Helper()
	event := func(item string) string { return `{"event":"message","data":` + item + `}` }
	if !strings.HasPrefix(text, "[") {
		return event(text)
	}
	items := (&checker{}).list("", []byte(text))
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = event(string(item))
	}
	return "[" + strings.Join(out, ",") + "]"
}

// TestProgressFaults: a program can refuse an item, and cannot run for ever.
func TestProgressFaults(t *testing.T) {
	for _, tt := range []struct {
		program string
		kind    Kind
	}{
		{`'if .error then error("job: \(.error)") else null end'`, Rejected},
		{`'def f: f; f'`, Timeout},
	} {
		_, err := ask(t, reply(200, "application/x-ndjson", `{"error":"disk full"}`+"\n1\n"), Options{}, counting(t, tt.program, ""))
		var e *Error
		if !errors.As(err, &e) || e.Kind != tt.kind || tt.kind == Rejected && e.Message != "job: disk full" {
			t.Errorf("%s: %v", tt.program, err)
		}
	}
}

// TestProgressIsNoPart: progress counts for no cap, and a stream that was cut
// stays a list.
func TestProgressIsNoPart(t *testing.T) {
	many := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for i := range 1000 {
			fmt.Fprintf(w, "{\"progress\":%d}\n", i)
		}
		fmt.Fprint(w, `{"a":1}`)
	}
	if r, err := ask(t, many, Options{MaxResponse: 100}, counting(t, "true", "")); err != nil || string(r.JSON) != `{"a":1}` || r.Cut != nil {
		t.Errorf("got %+v %v", r, err)
	}
	long := `{"progress":1}` + "\n" + `"first"` + "\n" + `"` + strings.Repeat("x", 200) + `"`
	if r, err := ask(t, reply(200, "application/x-ndjson", long), Options{MaxResponse: 100}, counting(t, "true", "")); err != nil || string(r.JSON) != `["first"]` || r.Cut == nil {
		t.Errorf("got %+v %v", r, err)
	}
}

// TestProgressGoesUp: whatever a plugin says, a caller is told values that go up.
func TestProgressGoesUp(t *testing.T) {
	c := newClient(t, Options{})
	up := func(values []float64, silent []bool) bool {
		var told []float64
		ctx := WithProgress(t.Context(), func(p Progress) {
			value, err := p.Value.Float64()
			if err != nil {
				t.Error(p, err)
			}
			told = append(told, value)
		})
		for i, value := range values {
			p := Progress{Value: numberOf(value)}
			if i < len(silent) && silent[i] {
				p.Value = ""
			}
			c.teller(ctx).told(p) // as if each were told by a call of its own
		}
		return slices.IsSorted(told) && len(slices.Compact(slices.Clone(told))) == len(told) && (len(values) == 0 || len(told) > 0)
	}
	if err := quick.Check(up, nil); err != nil {
		t.Error(err)
	}
}
