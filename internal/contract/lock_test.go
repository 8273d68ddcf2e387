package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func tool(name, id, schema string) Tool {
	return Tool{name, Contract{Action: id, Operation: "GET /" + name, Input: json.RawMessage(schema)}}
}

// fleet are two servers with tools of two plugins.
func fleet(schema string) []ServerTools {
	return []ServerTools{
		{"one", []Tool{tool("a", "p:a", schema), tool("b", "p:b", `{}`), tool("c", "q:c", `{}`)}},
		{"two", []Tool{tool("a", "p:a", schema)}},
	}
}

const narrow, wide = `{"type":"string","maxLength":3}`, `{"maxLength":5,"type":"string"}`

func TestLockOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "actions.lock")
	if _, err := ReadLock(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	lock := NewLock(fleet(wide))
	for range 2 {
		if err := lock.Write(path); err != nil {
			t.Fatal(err)
		}
		read, err := ReadLock(path)
		if err != nil {
			t.Fatal(err)
		}
		if changes := read.Check(fleet(wide)); len(changes) > 0 {
			t.Error(changes)
		}
		lock = read
	}
	first, err := lock.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewLock(fleet(`{"type":"string","maxLength":5}`)).Bytes()
	if diff := cmp.Diff(string(first), string(again)); diff != "" || err != nil {
		t.Error("the order of members changes the file", diff, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Error(left, err)
	}
	if err := lock.Write(filepath.Join(t.TempDir(), "nowhere", "actions.lock")); err == nil {
		t.Error("written to a folder that is not there")
	}
}

// What a reviewer cannot have accepted is no lock.
func TestLockRefused(t *testing.T) {
	data, err := NewLock(fleet(wide)).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "1: is no JSON"},
		{"half", string(data[:len(data)/2]), ": is no JSON"},
		{"conflict", "{\n\n<<<<<<< HEAD\n", "3: merge conflict"},
		{"version", strings.Replace(string(data), `"version": 1`, `"version": 2`, 1), "3: is no lock file of version 1"},
		{"no version", "{}", "1: is no lock file of version 1"},
		{"unknown member", strings.Replace(string(data), `"servers"`, `"serfers"`, 1), `4: is no lock file: json: unknown field "serfers"`},
		{"by hand", strings.Replace(string(data), `"maxLength": 5`, `"maxLength": 6`, 1), ": contract of p:a does not have the hash"},
		{"no contract", strings.Replace(string(data), `"b": "p:b"`, `"b": "p:x"`, 1), "7: tool b of server one has no contract"},
		{"a type", `{"version": 1, "servers": []}`, "1: is no lock file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parseLock([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func tellLocked(changes []Change) (lines []string) {
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%s %s %s %s %t", c.Server, c.Tool, c.Action, c.Code, c.Breaking))
	}
	return lines
}

func TestLockCheck(t *testing.T) {
	lock := NewLock(fleet(wide))
	now := fleet(narrow)
	now[0].Tools = append(now[0].Tools[:1], tool("c", "q:d", `{}`), tool("e", "q:e", `{}`))
	want := []string{
		"one a p:a bound-tightened true",
		"one b p:b tool-removed true",
		"one c q:c tool-moved true",
		"one e q:e tool-added false",
		"two a p:a bound-tightened true",
	}
	if diff := cmp.Diff(want, tellLocked(lock.Check(now))); diff != "" {
		t.Error(diff)
	}
}

func TestBroken(t *testing.T) {
	lock := NewLock(fleet(wide))
	one, two := []Tool{tool("a", "p:a", wide), tool("b", "p:b", `{}`)}, []Tool{tool("a", "p:a", wide)}
	for _, c := range []struct {
		name  string
		tools map[string][]Tool
		want  []string
	}{
		{"the same", map[string][]Tool{"one": one, "two": two}, nil},
		{"wider", map[string][]Tool{"one": {tool("a", "p:a", `{}`), one[1]}, "two": {tool("a", "p:a", `{}`)}}, nil},
		{"more", map[string][]Tool{"one": append(one, tool("z", "p:z", `{}`)), "two": two, "three": two}, nil},
		{"narrower", map[string][]Tool{"one": {tool("a", "p:a", narrow), one[1]}, "two": {tool("a", "p:a", narrow)}}, []string{"one a p:a bound-tightened true", "two a p:a bound-tightened true"}},
		{"gone", map[string][]Tool{"one": one[:1], "two": two}, []string{"one b p:b tool-removed true"}},
		{"gone from a server", map[string][]Tool{"one": one}, []string{"two a p:a tool-removed true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, tellLocked(lock.Broken("p", c.tools))); diff != "" {
				t.Error(diff)
			}
		})
	}
	if changes := lock.Broken("other", nil); len(changes) > 0 {
		t.Error(changes)
	}
}

func TestKeep(t *testing.T) {
	old, next := NewLock(fleet(wide)), NewLock(nil)
	next.Keep(old, "p")
	if diff := cmp.Diff([]string{"p"}, next.Plugins()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]map[string]string{"one": {"a": "p:a", "b": "p:b"}, "two": {"a": "p:a"}}, next.Servers); diff != "" {
		t.Error(diff)
	}
	next = NewLock(append(fleet(narrow), ServerTools{"three", []Tool{tool("n", "p:new", `{}`)}}))
	next.Keep(old, "p")
	want, _ := old.Bytes()
	delete(next.Servers, "three")
	if got, err := next.Bytes(); err != nil || !bytes.Equal(got, want) || next.Size() != 4 {
		t.Errorf("%d %v %s", next.Size(), err, cmp.Diff(string(want), string(got)))
	}
}

// Two documents of 1,000 operations, each of which changed, deep down in what
// it refers to on many ways: within 2 seconds.
func TestManyActions(t *testing.T) {
	contracts := func(last string) (all []Contract) {
		defs := ""
		for i := range 8 {
			defs += fmt.Sprintf(`"d%d":{"type":"object","properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}},`, i, i+1, i+1)
		}
		schema := `{"type":"object","properties":{"x":{"$ref":"#/$defs/d0"}},"$defs":{` + defs + `"d8":` + last + `}}`
		for i := range 1000 {
			all = append(all, Contract{Action: fmt.Sprintf("p:%d", i), Input: json.RawMessage(schema), Output: json.RawMessage(`{"type":"object"}`)})
		}
		return all
	}
	old, now := contracts(`{"type":"string"}`), contracts(`{"type":"integer"}`)
	took := time.Hour
	for range 3 { // the best of three: others use the machine, too
		begin := time.Now()
		if changes := Diff(old, now); len(changes) < 1000 || !Breaking(changes) {
			t.Fatalf("%d changes", len(changes))
		}
		took = min(took, time.Since(begin))
	}
	t.Log(took)
	if took > 2*time.Second && !raced {
		t.Errorf("took %v", took)
	}
}

// FuzzDiff holds that no schema is too strange to be compared, nothing differs
// from itself, and what only one side has is never overlooked.
func FuzzDiff(f *testing.F) {
	for _, seed := range []string{
		`{"type":"object","properties":{"a":{"$ref":"#"}}}`, `{"anyOf":[{"$ref":"#/anyOf/1"},{"$ref":"#/anyOf/0"}]}`, `{"$id":"x","$ref":"y"}`,
		`{"not":{"not":{"$ref":"#"}}}`, `{"minimum":1e999999999,"multipleOf":-1}`, `{"type":["string",1],"enum":{}}`, `{"patternProperties":{"(":1}}`, `[]`, `{"$ref":"#/%zz"}`,
		`{"oneOf":[{"$ref":"#"},{"$ref":"#"}]}`, `{"allOf":[{"$ref":"#"}],"unevaluatedProperties":false}`, `{"required":[1],"dependentRequired":{"a":["a"]}}`,
	} {
		f.Add(seed, `{"type":"string"}`)
		f.Add(`{"properties":{"a":false}}`, seed)
	}
	f.Fuzz(func(t *testing.T, old, now string) {
		if len(old)+len(now) > 2000 {
			return
		}
		a := Contract{Action: "p:a", Input: json.RawMessage(old), Output: json.RawMessage(now)}
		b := Contract{Action: "p:a", Input: json.RawMessage(now), Output: json.RawMessage(old)}
		if same := Diff([]Contract{a}, []Contract{a}); len(same) > 0 {
			t.Fatal(same)
		}
		begin := time.Now()
		Diff([]Contract{a}, []Contract{b})
		if took := time.Since(begin); took > 10*time.Second {
			t.Fatalf("took %v", took)
		}
	})
}
