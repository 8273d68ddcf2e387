package bridge

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func newBudget(n int64) *budget {
	b := &budget{}
	b.left.Store(n)
	return b
}

// all reads a stream to its end.
func all(r io.Reader, b *budget) (data []string, at cursor, err error) {
	stream := newEventStream(r, b)
	for {
		var event []byte
		if event, err = stream.next(&at); err != nil {
			return data, at, err
		}
		data = append(data, string(event))
	}
}

func TestEvents(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want string // events, with | between them
		at   cursor
	}{
		"empty":                 {"", "", cursor{}},
		"comments":              {": a\n:\n\n", "", cursor{}},
		"one":                   {"data: a\n\n", "a", cursor{}},
		"no space":              {"data:a\n\n", "a", cursor{}},
		"one space only":        {"data:  a\n\n", " a", cursor{}},
		"no colon":              {"data\n\ndata: a\n\n", "a", cursor{}},
		"lines":                 {"data: a\ndata: b\n\n", "a\nb", cursor{}},
		"CR":                    {"data: a\rdata: b\r\r", "a\nb", cursor{}},
		"CRLF":                  {"data: a\r\ndata: b\r\n\r\n", "a\nb", cursor{}},
		"mixed":                 {"data: a\r\ndata: b\r\n\ndata: c\n\r", "a\nb|c", cursor{}},
		"byte order mark":       {"\xEF\xBB\xBFdata: a\n\n", "a", cursor{}},
		"unfinished":            {"data: a\n\nid: 2\ndata: b\n", "a", cursor{}},
		"id without data":       {"id: 1\n\n", "", cursor{id: "1"}},
		"id with priming":       {"id: 1\ndata:\n\n", "", cursor{id: "1"}},
		"id holds":              {"id: 1\ndata: a\n\ndata: b\n\n", "a|b", cursor{id: "1"}},
		"id taken back":         {"id: 1\ndata: a\n\nid\ndata: b\n\n", "a|b", cursor{}},
		"id with a null":        {"id: 1\ndata: a\n\nid: 2\x00\ndata: b\n\n", "a|b", cursor{id: "1"}},
		"retry":                 {"retry: 1500\n\n", "", cursor{retry: 1500 * time.Millisecond}},
		"retry for ever":        {"retry: 4000000000\n\n", "", cursor{retry: maxRetry}},
		"retry of other kinds":  {"retry: -1\nretry: 1.5\nretry: x\nretry: 99999999999999999999\n\n", "", cursor{}},
		"message":               {"event: message\ndata: a\n\n", "a", cursor{}},
		"another kind":          {"event: ping\ndata: a\n\ndata: b\n\n", "b", cursor{}},
		"another kind, with id": {"id: 1\nevent: ping\ndata: a\n\n", "", cursor{id: "1"}},
		"unknown fields":        {"x: y\nDATA: z\n data: z\ndata: a\n\n", "a", cursor{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBudget(1 << 20)
			for kind, r := range map[string]io.Reader{"whole": strings.NewReader(tt.text), "bytes": iotest.OneByteReader(strings.NewReader(tt.text))} {
				data, at, err := all(r, b)
				want := strings.Split(tt.want, "|")
				if tt.want == "" {
					want = nil
				}
				if !slices.Equal(data, want) || at != tt.at || !errors.Is(err, io.EOF) {
					t.Errorf("%s: %q %+v %v", kind, data, at, err)
				}
			}
			if b.left.Load() != 1<<20 {
				t.Error("the budget is not what it was")
			}
		})
	}
}

// TestEventsAtOnce: an event is there with its empty line; nothing waits for what
// may follow a CR.
func TestEventsAtOnce(t *testing.T) {
	read, write := io.Pipe()
	defer write.Close()
	go func() { _, _ = io.WriteString(write, "data: a\r\r") }()
	if data, err := newEventStream(read, newBudget(100)).next(&cursor{}); err != nil || string(data) != "a" {
		t.Error(data, err)
	}
}

// TestBudget: streams together hold what they may, and give it back.
func TestBudget(t *testing.T) {
	b := newBudget(1000)
	_, _, err := all(strings.NewReader("data: "+strings.Repeat("x", 2000)), b)
	if !errors.Is(err, errTooMuch) || b.left.Load() != 1000 {
		t.Error(err, b.left.Load())
	}
	_, _, err = all(strings.NewReader(strings.Repeat("data: x\n", 200)), b)
	if !errors.Is(err, errTooMuch) || b.left.Load() != 1000 {
		t.Error(err, b.left.Load())
	}
	if _, _, err := readAll(strings.NewReader(strings.Repeat("x", 1001)), b); !errors.Is(err, errTooMuch) || b.left.Load() != 1000 {
		t.Error(err, b.left.Load())
	}
	data, done, err := readAll(strings.NewReader("abc"), b)
	if err != nil || string(data) != "abc" || b.left.Load() != 997 {
		t.Error(err, b.left.Load())
	}
	if done(); b.left.Load() != 1000 {
		t.Error(b.left.Load())
	}
}

// FuzzEvents: whatever a server sends, however it is cut, comes to the same
// events, and never to more than was sent.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("id: 1\nretry: 5\ndata: a\r\ndata:b\r\rdata: c\n\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		b := newBudget(1 << 20)
		whole, at, _ := all(bytes.NewReader(text), b)
		cut = min(max(cut, 0), len(text))
		parts, partsAt, _ := all(io.MultiReader(bytes.NewReader(text[:cut]), bytes.NewReader(text[cut:])), b)
		if strings.Join(whole, "|") != strings.Join(parts, "|") || at != partsAt {
			t.Errorf("%q at %d: %q %v, %q %v", text, cut, whole, at, parts, partsAt)
		}
		if len(strings.Join(whole, "")) > len(text) || b.left.Load() != 1<<20 {
			t.Errorf("%q: %q", text, whole)
		}
	})
}

// FuzzMessage: no line makes the bridge panic, and what it takes has ids that
// can be told apart.
func FuzzMessage(f *testing.F) {
	for _, line := range []string{initialize25, initialized, `[{"jsonrpc":"2.0","id":1,"method":"a"}]`, `{"jsonrpc":"2.0","id":-0,"result":null}`, `{"jsonrpc":"2.0","id":1e400,"method":"a","params":[{}]}`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			return
		}
		m, fault := parseMessage(line)
		if fault != nil {
			return
		}
		for _, id := range m.ids {
			if keyOf(id) == "" {
				t.Errorf("%s: id %s", line, id)
			}
		}
	})
}

func TestKeys(t *testing.T) {
	for _, same := range [][]string{{"1", "1.0", "1e0", "10e-1"}, {"0", "-0", "0.0"}, {`"a"`, `"\u0061"`}, {`"1"`}, {"1.5"}, {"9007199254740993"}, {"9007199254740992"}, {"1e400"}, {`""`}} {
		for _, id := range same {
			if keyOf([]byte(id)) != keyOf([]byte(same[0])) || keyOf([]byte(id)) == "" {
				t.Errorf("%s: %q", id, keyOf([]byte(id)))
			}
		}
	}
	if keyOf([]byte(`"1"`)) == keyOf([]byte("1")) || keyOf([]byte("9007199254740993")) == keyOf([]byte("9007199254740992")) {
		t.Error("ids that differ are the same")
	}
	for _, id := range []string{"", "null", "true", "{}", "[1]"} {
		if keyOf([]byte(id)) != "" {
			t.Errorf("%s is no id", id)
		}
	}
}
