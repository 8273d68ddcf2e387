package mcpserver

import (
	"maps"
	"slices"
	"sync"
)

// listKind is one of the lists that a server offers, as a bit.
type listKind uint8

const (
	toolsList listKind = 1 << iota
	promptsList
	resourcesList
)

// listName is a list as method names and signals have it.
type listName struct {
	list listKind
	name string
}

func listNames() [3]listName {
	return [3]listName{{toolsList, "tools"}, {promptsList, "prompts"}, {resourcesList, "resources"}}
}

// listener is a client's open stream that is told of changes.
type listener struct {
	server  string
	session string   // empty: 2026-07-28
	lists   listKind // those that it wants to be told of

	mu      sync.Mutex
	changed listKind        // not told yet
	updated []string        // resources, not told yet
	tasks   map[string]bool // those that a client of 2026-07-28 asked for
	due     []string        // tasks that changed, not told yet
	ended   bool            // the session or the server is gone
	quiet   bool            // a newer stream of the session is told instead
	wake    chan struct{}
}

// take gives what there is to tell.
func (l *listener) take() (changed listKind, updated []string, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.quiet {
		changed, updated = l.changed&l.lists, l.updated
	}
	l.changed, l.updated = 0, nil
	return changed, updated, l.ended
}

// takeTasks gives the tasks that there is something to tell about.
func (l *listener) takeTasks() (due []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.quiet {
		due = l.due
	}
	l.due = nil
	return due
}

func (l *listener) tell(change func(*listener)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
	nudge(l.wake)
}

// listeners are all open streams of this replica.
type listeners struct {
	mu  sync.Mutex
	all map[*listener]struct{}
	// bySession has a session's streams, the newest last, which is the only one that
	// may not be quiet: each message goes to one of them only (2025-11-25,
	// basic/transports, "Multiple Connections").
	bySession map[string][]*listener
}

// add gives the function that takes the stream out again. It tells whether
// nothing of the session is told here any more.
func (ls *listeners) add(l *listener) (remove func() (last bool)) {
	l.wake = make(chan struct{}, 1)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.all == nil {
		ls.all, ls.bySession = map[*listener]struct{}{}, map[string][]*listener{}
	}
	ls.all[l] = struct{}{}
	if l.session != "" {
		own := ls.bySession[l.session]
		if len(own) > 0 { // all before it are quiet already
			own[len(own)-1].silence(true)
		}
		ls.bySession[l.session] = append(own, l)
	}
	return func() bool { return ls.remove(l) }
}

func (ls *listeners) remove(l *listener) (last bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.all, l)
	if l.session == "" {
		return false
	}
	heard := !l.silence(true)
	rest := slices.DeleteFunc(ls.bySession[l.session], func(o *listener) bool { return o == l })
	if len(rest) == 0 {
		delete(ls.bySession, l.session)
		return heard
	}
	ls.bySession[l.session] = rest
	if heard {
		rest[len(rest)-1].silence(false)
	}
	return false
}

// silence tells what it was before.
func (l *listener) silence(quiet bool) (before bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.quiet = l.quiet, quiet
	return before
}

// each tells the listeners of a server; the quiet ones hear only of the end.
func (ls *listeners) each(server string, change func(*listener)) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.all {
		if l.server == server {
			l.tell(change)
		}
	}
}

// any tells whether somebody listens to the server.
func (ls *listeners) any(server string) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.all {
		if l.server == server {
			return true
		}
	}
	return false
}

// task tells of a task: the streams that asked for it, and those of its session.
func (ls *listeners) task(id, session string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.all {
		if l.tasks[id] || session != "" && l.session == session {
			l.tell(func(l *listener) { l.due = append(l.due, id) })
		}
	}
}

// allTasks tells of all tasks that were asked for: news may have been missed.
func (ls *listeners) allTasks() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.all {
		l.tell(func(l *listener) { l.due = slices.Collect(maps.Keys(l.tasks)) })
	}
}

// end closes the streams of a session.
func (ls *listeners) end(session string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.bySession[session] {
		l.tell(func(l *listener) { l.ended = true })
	}
}

// newest is told where a session's newest stream is, here or at another
// replica. All replicas hear it in the same order, and so agree.
func (ls *listeners) newest(session string, here bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if own := ls.bySession[session]; len(own) > 0 {
		own[len(own)-1].silence(!here)
	}
}

// has tells whether a session has a stream here.
func (ls *listeners) has(session string) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.bySession[session]) > 0
}

// count is how many streams are open.
func (ls *listeners) count() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return len(ls.all)
}
