package mcpserver

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// Whatever passes checkJSON is walked without a panic and to the same
// understanding as encoding/json's, apart from the names that we refuse.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(list))
	f.Add([]byte(modernCall(`"a"`, "fake_echo", `{"a":[1,{"b":"\\\"}"}],"c":null}`)))
	f.Add([]byte(initializeBody("2025-11-25")))
	f.Add([]byte(` { "id" : -1e5 , "jsonrpc":"2.0","result":[ ] } `))
	f.Add([]byte(`{"jsonrpc":"2.0","method":"\u0070ing","id":"\ud800","params":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if checkJSON(raw) != nil || kind(raw) != '{' {
			return
		}
		m, fault := parseEnvelope(raw)
		if fault != nil {
			return
		}
		var want struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
		}
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if want.Method != m.method || !bytes.Equal(want.Params, m.params) || !bytes.Equal(want.ID, m.id) {
			t.Errorf("%s: %q %s %s, want %+v", raw, m.method, m.params, m.id, want)
		}
		if !m.response && !json.Valid(m.message()) {
			t.Errorf("%s was written anew as %s", raw, m.message())
		}
	})
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\x00\u2028é\xff")
	f.Fuzz(func(t *testing.T, s string) {
		raw := appendString(nil, s)
		var got string
		if err := json.Unmarshal(raw, &got); err != nil || !utf8.Valid(raw) {
			t.Fatalf("%q became %q: %v", s, raw, err)
		}
		if utf8.ValidString(s) && got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// A wrapped schema is JSON whose result is the schema, whatever it was.
func FuzzWrapSchema(f *testing.F) {
	f.Add([]byte(ownersSchema))
	f.Add([]byte(`{"$defs":{},"a":{"$ref":"#"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		schema, err := compact(raw)
		if err != nil {
			return
		}
		if wrapped := wrapSchema(schema); !json.Valid(wrapped) || !isObjectSchema(wrapped) {
			t.Errorf("%s became %s", schema, wrapped)
		}
	})
}
