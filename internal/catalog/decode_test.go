package catalog

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"documents":   {"a: 1\n---\nb: 2\n", `[{"a":1},{"b":2}]`},
		"no document": {"", `null`},
		"only dashes": {"---\n---\n# nothing\n", `null`},
		"scalars":     {"{a: 1.5, b: true, c: ~, d: 2026-01-01, e: '1', f: yes, g: 0x10}", `[{"a":1.5,"b":true,"c":null,"d":"2026-01-01","e":"1","f":"yes","g":16}]`},
		"number keys": {"1: a\ntrue: b\n", `[{"1":"a","true":"b"}]`},
		"alias":       {"a: &x [1]\nb: *x\n", `[{"a":[1],"b":[1]}]`},
		"mark":        {"\ufeffa: 1\n", `[{"a":1}]`},
		"json":        {`{"a": {"b": [1, "2"]}}`, `[{"a":{"b":[1,"2"]}}]`},
		"windows":     {"a: 1\r\n---\r\nb: 2\r\n", `[{"a":1},{"b":2}]`},
	} {
		documents, err := decode([]byte(c.yaml))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var values []any
		for _, d := range documents {
			values = append(values, d.value)
		}
		got, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// hostile files, each with the message that it must give.
func hostile() map[string]struct{ content, message string } {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'k'; i++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*%c,", i-1), 10))
	}
	fat := "a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a,", 1000) + "]\n"
	return map[string]struct{ content, message string }{
		"alias bomb":     {bomb, "too many values"},
		"fat aliases":    {fat, "too many values"},
		"self alias":     {"a: &a [*a]\n", "nested deeper"},
		"5000 deep flow": {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "nested deeper"},
		"5000 deep json": {strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), "nested deeper"},
		"5000 deep list": {strings.Repeat("- ", 5000) + "a", "nested deeper"},
		"million deep":   {strings.Repeat("[", 1_000_000), "exceeded max depth"},
		"too large":      {strings.Repeat("a", maxFileBytes+1), "larger than 5 MiB"},
		"binary":         {"\x7fELF\x00\x01\x02", "binary"},
		"not utf-8":      {"a: \xff\xfe\n", "not UTF-8"},
		"not yaml":       {"a: [b\nc: }", "not YAML"},
		"twice":          {"a: 1\na: 2\n", `key "a" stands here twice`},
		"merge":          {"a: &a {b: 1}\nc: {<<: *a}\n", "merge keys"},
		"map as key":     {"? {a: b}\n: c\n", "key must be text"},
		"not a number":   {"a: .nan\n", "not a number that JSON knows"},
		"infinite":       {"a: -.inf\n", "not a number that JSON knows"},
		"bytes":          {"a: !!binary aGk=\n", "binary values"},
		"bad tag":        {"a: !!int x\n", ""},
	}
}

func TestDecodeRefusesHostileFiles(t *testing.T) {
	for name, c := range hostile() {
		start := time.Now()
		documents, err := decode([]byte(c.content))
		if err == nil && len(documents) == 1 {
			err = documents[0].err
		}
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v; want %q", name, err, c.message)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range hostile() {
		if len(c.content) < 1000 {
			f.Add([]byte(c.content))
		}
	}
	f.Add([]byte(component("a")))
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, err := decode(data)
		if err != nil {
			return
		}
		for _, d := range documents {
			if d.err != nil {
				continue
			}
			if _, err := json.Marshal(d.value); err != nil {
				t.Errorf("a document cannot be JSON: %v", err)
			}
			_ = d.invalid(validate(d.value))
		}
	})
}
