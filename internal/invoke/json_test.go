package invoke

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

func TestMended(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1}`:                 `{"a":1}`,
		`"\ud83d\ude00"`:          `"\ud83d\ude00"`,
		`"\uD83D\uDE00"`:          `"\uD83D\uDE00"`,
		`"\ud83d"`:                `"\ufffd"`,
		`"\ude00"`:                `"\ufffd"`,
		`"\ude00\ud83d"`:          `"\ufffd\ufffd"`,
		`"\ud83d\ud83d\ude00"`:    `"\ufffd\ud83d\ude00"`,
		`"\ud83dx\ude00"`:         `"\ufffdx\ufffd"`,
		`"\\ud83d"`:               `"\\ud83d"`,
		`"\\\ud83d"`:              `"\\\ufffd"`,
		`{"\udbff":["\u00e9\""]}`: `{"\ufffd":["\u00e9\""]}`,
		"\"\xff\\ud800\"":         "\"\uFFFD\\ufffd\"",
	} {
		if got := string(mended([]byte(text))); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// What a plugin that speaks MCP says passes through as it is, so that it has to
// be mended; in streams, too.
func TestMendedAnswers(t *testing.T) {
	c, r := newClient(t, Options{}), &Result{}
	in := &answer{status: 200, body: []byte(`{"content": [{"type":"text","text":"\ud83d"}]}`)}
	if err := c.asJSON(speaking(), in, r); err != nil {
		t.Fatal(err)
	}
	for _, got := range [][]byte{r.JSON, jsonItem(in.body, nil)} {
		if string(got) != `{"content":[{"type":"text","text":"\ufffd"}]}` {
			t.Errorf("%s", got)
		}
	}
}

// FuzzMended: what comes out means what encoding/json reads, and has no half of
// a character left.
func FuzzMended(f *testing.F) {
	f.Add([]byte(`{"\ud83d\ude00":"\ude00\\ud800"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var before, after any
		if !utf8.Valid(text) || json.Unmarshal(text, &before) != nil { // of bytes that are none, encoding/json makes as many
			return
		}
		got := mended(bytes.Clone(text))
		if err := json.Unmarshal(got, &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Fatalf("%q became %q: %v", text, got, err)
		}
		if again := mended(bytes.Clone(got)); !bytes.Equal(again, got) {
			t.Fatalf("%q became %q and then %q", text, got, again)
		}
	})
}
