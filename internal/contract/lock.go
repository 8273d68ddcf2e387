package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Lock is what an operator has accepted: the contracts of all tools of all
// servers. It is not changed once it is in use.
type Lock struct {
	// Servers has, by server and tool name, the id of the action.
	Servers map[string]map[string]string
	// Actions has the contracts, by id.
	Actions map[string]Locked
}

// Locked is a contract with its hash.
type Locked struct {
	Hash string `json:"hash"`
	Contract
}

// ServerTools are the tools of a server.
type ServerTools struct {
	Server string
	Tools  []Tool
}

// lockVersion is the version of the file's form.
const lockVersion = 1

// lockFile is a lock as JSON has it.
type lockFile struct {
	Comment string                       `json:"$comment"`
	Version int                          `json:"version"`
	Servers map[string]map[string]string `json:"servers"`
	Actions map[string]Locked            `json:"actions"`
}

const lockComment = "Contracts of the tools, as they were accepted. stagedoor lock writes this file; review what it changes. See docs/diff.md."

// NewLock locks tools as they are.
func NewLock(servers []ServerTools) *Lock {
	l := &Lock{Servers: map[string]map[string]string{}, Actions: map[string]Locked{}}
	for _, s := range servers {
		l.Servers[s.Server] = map[string]string{}
		for _, t := range s.Tools {
			l.Servers[s.Server][t.Name] = t.Action
			if _, known := l.Actions[t.Action]; !known {
				l.Actions[t.Action] = Locked{t.Hash(), t.Contract}
			}
		}
	}
	return l
}

// Keep leaves a plugin's tools as another lock has them: those whose tools are
// not known at the moment, and those of which nobody took what changed.
func (l *Lock) Keep(other *Lock, plugin string) {
	for _, tools := range l.Servers {
		maps.DeleteFunc(tools, func(_, id string) bool { return PluginOf(id) == plugin })
	}
	for server, tools := range other.Servers {
		for tool, id := range tools {
			if PluginOf(id) != plugin {
				continue
			}
			if l.Servers[server] == nil {
				l.Servers[server] = map[string]string{}
			}
			l.Servers[server][tool] = id
			l.Actions[id] = other.Actions[id]
		}
	}
	used := map[string]bool{}
	for _, tools := range l.Servers {
		for _, id := range tools {
			used[id] = true
		}
	}
	maps.DeleteFunc(l.Actions, func(id string, _ Locked) bool { return !used[id] })
}

// Plugins are those that have locked tools, sorted.
func (l *Lock) Plugins() []string {
	names := map[string]bool{}
	for id := range l.Actions {
		names[PluginOf(id)] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Size is how many tools are locked, of all servers.
func (l *Lock) Size() (tools int) {
	for _, server := range l.Servers {
		tools += len(server)
	}
	return tools
}

// PluginOf is the plugin of an action's id.
func PluginOf(id string) string {
	plugin, _, _ := strings.Cut(id, ":")
	return plugin
}

// maxLock bounds a lock file, in bytes.
const maxLock = 256 << 20

// ReadLock reads a lock file. An error names the file and, where it can, the
// line; it is fs.ErrNotExist where there is no file.
func ReadLock(path string) (*Lock, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLock+1))
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	if len(data) > maxLock {
		return nil, fmt.Errorf("%s: is larger than %d bytes", path, maxLock)
	}
	l, err := parseLock(data)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return l, nil
}

// parseLock reads a lock. Its errors begin with a line.
func parseLock(data []byte) (*Lock, error) {
	for i, line := range bytes.Split(data, []byte("\n")) {
		for _, mark := range []string{"<<<<<<< ", "=======", ">>>>>>> ", "||||||| "} {
			if bytes.HasPrefix(line, []byte(mark)) {
				return nil, fmt.Errorf("%d: merge conflict is not resolved: take either side, then run stagedoor lock", i+1)
			}
		}
	}
	var version struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("%d: is no JSON: %w", lineOf(data, err), err)
	}
	if version.Version == nil || *version.Version != lockVersion {
		return nil, fmt.Errorf("%d: is no lock file of version %d, the only one that is known", lineAt(data, max(0, bytes.Index(data, []byte(`"version"`)))), lockVersion)
	}
	var file lockFile
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("%d: is no lock file: %w", lineOf(data, err), err)
	}
	l := &Lock{Servers: file.Servers, Actions: file.Actions}
	if err := l.check(data); err != nil {
		return nil, err
	}
	return l, nil
}

// check finds contracts that were changed by hand, and tools without any.
func (l *Lock) check(data []byte) error {
	for _, id := range slices.Sorted(maps.Keys(l.Actions)) {
		if locked := l.Actions[id]; locked.Action != id || locked.Contract.Hash() != locked.Hash {
			return fmt.Errorf("%d: contract of %s does not have the hash that stands beside it: was it changed by hand? Take the file as it was, or remove it and lock anew",
				lineAt(data, max(0, bytes.LastIndex(data, []byte(shown(id)+":")))), id)
		}
	}
	for _, server := range slices.Sorted(maps.Keys(l.Servers)) {
		for _, tool := range slices.Sorted(maps.Keys(l.Servers[server])) {
			if _, ok := l.Actions[l.Servers[server][tool]]; !ok {
				return fmt.Errorf("%d: tool %s of server %s has no contract", lineAt(data, max(0, bytes.Index(data, []byte(shown(tool)+":")))), tool, server)
			}
		}
	}
	return nil
}

// lineOf is the line of a JSON error.
func lineOf(data []byte, err error) int {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return lineAt(data, int(syntax.Offset))
	case errors.As(err, &kind):
		return lineAt(data, int(kind.Offset))
	}
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return lineAt(data, max(0, bytes.Index(data, []byte(name))))
	}
	return lineAt(data, len(data))
}

func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}

// Bytes is the lock as its file has it: the same for the same contracts.
func (l *Lock) Bytes() ([]byte, error) {
	file := lockFile{lockComment, lockVersion, l.Servers, map[string]Locked{}}
	for id, locked := range l.Actions {
		file.Actions[id] = Locked{locked.Hash, locked.canonicalRaw()}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(file); err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	return b.Bytes(), nil
}

// canonicalRaw is the contract with the members of its schemas sorted.
func (c Contract) canonicalRaw() Contract {
	c.Input = json.RawMessage(shown(decoded(c.Input)))
	if c.Output != nil {
		c.Output = json.RawMessage(shown(decoded(c.Output)))
	}
	return c
}

// Write writes the lock in one step: a reader sees the old file or the new one.
func (l *Lock) Write(path string) (err error) {
	data, err := l.Bytes()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("lock file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // what went wrong is told
		}
	}()
	mode := os.FileMode(0o644)
	if info, statErr := os.Stat(path); statErr == nil {
		mode = info.Mode().Perm()
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("lock file: %w", err)
	}
	return nil
}

// Check tells in what the tools of all servers differ from what is locked.
func (l *Lock) Check(servers []ServerTools) []Change {
	var changes []Change
	now := map[string]map[string]Tool{}
	budget := newBudget()
	diffs := map[string][]Change{} // by action
	for _, s := range servers {
		now[s.Server] = map[string]Tool{}
		for _, t := range s.Tools {
			now[s.Server][t.Name] = t
			if _, locked := l.Servers[s.Server][t.Name]; !locked {
				changes = append(changes, Change{Server: s.Server, Tool: t.Name, Action: t.Action, Code: ToolAdded, Message: "tool is not locked yet"})
			}
		}
	}
	for _, server := range slices.Sorted(maps.Keys(l.Servers)) {
		for _, tool := range slices.Sorted(maps.Keys(l.Servers[server])) {
			changes = append(changes, l.compare(budget, diffs, server, tool, now[server])...)
		}
	}
	return arrange(changes)
}

// Broken tells what breaks the lock in a new generation of a plugin. tools are
// the tools that it would have, by server: those that are locked, and are
// missing, are gone.
func (l *Lock) Broken(plugin string, tools map[string][]Tool) []Change {
	var changes []Change
	budget, diffs := newBudget(), map[string][]Change{}
	for _, server := range slices.Sorted(maps.Keys(l.Servers)) {
		now := map[string]Tool{}
		for _, t := range tools[server] {
			now[t.Name] = t
		}
		for _, tool := range slices.Sorted(maps.Keys(l.Servers[server])) {
			if PluginOf(l.Servers[server][tool]) == plugin {
				changes = append(changes, l.compare(budget, diffs, server, tool, now)...)
			}
		}
	}
	return arrange(slices.DeleteFunc(changes, func(c Change) bool { return !c.Breaking }))
}

// compare compares one locked tool with what there is now. diffs remembers what
// came of actions, for other servers.
func (l *Lock) compare(b *budget, diffs map[string][]Change, server, tool string, now map[string]Tool) []Change {
	id := l.Servers[server][tool]
	t, there := now[tool]
	switch {
	case !there:
		return []Change{{Server: server, Tool: tool, Action: id, Code: ToolRemoved, Breaking: true, Message: "tool is gone"}}
	case t.Action != id:
		return []Change{{Server: server, Tool: tool, Action: id, Code: ToolMoved, Breaking: true, Message: fmt.Sprintf("tool was action %s, is %s", id, t.Action)}}
	}
	found, known := diffs[id]
	if locked := l.Actions[id]; !known && t.Hash() != locked.Hash {
		found = b.diff(locked.Contract, t.Contract)
	}
	diffs[id] = found
	out := slices.Clone(found)
	for i := range out {
		out[i].Server, out[i].Tool = server, tool
	}
	return out
}
