package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// work is a call that may become a task, or is one. Nobody else changes the task
// while this replica lives, save that anybody may cancel it.
type work struct {
	h    *Handler
	d    *dialogue
	tool *tool
	stop context.CancelFunc
	done chan struct{} // closed when the call came to its end
	o    outcome       // of the call, after done
	err  error

	held func() // see [exchange]

	mu     sync.Mutex
	asking bool // the client is asked in the answer to its request
	task   session.Task
}

// works are the tasks that this replica works on.
type works struct {
	mu   sync.Mutex
	all  map[string]*work
	busy sync.WaitGroup
}

func (ws *works) add(id string, w *work) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all == nil {
		ws.all = map[string]*work{}
	}
	if ws.all[id] == nil {
		ws.busy.Add(1)
	}
	ws.all[id] = w
}

func (ws *works) remove(id string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all[id] != nil {
		ws.busy.Done()
	}
	delete(ws.all, id)
}

// wait waits for all tasks to end.
func (ws *works) wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { // ends with the last task, which has a deadline
		ws.busy.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (ws *works) get(id string) *work {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.all[id]
}

func (ws *works) each(f func(*work)) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.all {
		f(w)
	}
}

// callOrTask answers tools/call. Clients that know tasks get one: in 2025-11-25
// when they ask for it, in 2026-07-28 when the call takes long.
func (h *Handler) callOrTask(ctx context.Context, x *exchange, e era, m *envelope, t *tool, arguments json.RawMessage) (outcome, error) {
	augmented := m.param("task")
	switch {
	case x.server.taskAfter == 0, e == modern && !declaresTasks(m), e == legacy && (augmented == nil || !legacyTasks(x.session.ProtocolVersion)):
		return h.answerCall(ctx, x, e, m, t, arguments)
	}
	d, fault := h.newDialogue(x, e, m, arguments, t.name, t.meaning)
	if fault != nil {
		return outcome{}, fault
	}
	w := &work{h: h, d: d, tool: t, stop: func() {}, done: make(chan struct{})}
	if e == legacy {
		return outcome{}, h.callAsTask(ctx, w, augmented, arguments)
	}
	d.by = w.askModern
	w.start(ctx, arguments, taskTTL)
	gone := context.AfterFunc(ctx, w.stop)
	defer gone()
	late := time.NewTimer(x.server.taskAfter)
	defer late.Stop()
	select {
	case <-w.done:
	case <-late.C:
		if !gone() {
			break // the client went, and the call with it
		}
		if made, ok := w.become(ctx, taskTTL); ok {
			result := append(x.server.typed("task", nil), ',')
			return outcome{}, &otherResultError{append(appendTask(result, &made, e), '}')}
		}
		defer context.AfterFunc(ctx, w.stop)()
	}
	<-w.done
	w.stop()
	return w.o, w.err
}

// callAsTask begins a task of 2025-11-25.
func (h *Handler) callAsTask(ctx context.Context, w *work, augmented, arguments json.RawMessage) error {
	ttl, fault := taskLife(augmented)
	if fault != nil {
		return fault
	}
	w.d.by, w.d.capabilities = w.ask, w.d.x.session.Capabilities
	if !w.create(ctx, ttl) {
		return &rpcError{code: -32603, message: "task could not be kept (reference " + w.d.x.ref + ")"}
	}
	result := append(appendTask([]byte(`{"task":{`), &w.task, legacy), `}}`...)
	w.start(ctx, arguments, ttl)
	go w.finish() //nolint:gosec // the task outlives its request
	return &otherResultError{result}
}

// taskLife reads how long a client wants its task to be kept.
func taskLife(augmented json.RawMessage) (time.Duration, *rpcError) {
	raw := member(augmented, "ttl")
	if !isObject(augmented) {
		return 0, invalidParams("task must be an object")
	}
	if raw == nil || string(raw) == "null" {
		return taskTTL, nil
	}
	ms, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(ms > 0) {
		return 0, invalidParams("task.ttl must be a number of milliseconds")
	}
	return time.Duration(min(max(ms, 1000), float64(maxTaskTTL.Milliseconds()))) * time.Millisecond, nil
}

// start makes the call, whatever becomes of the request.
func (w *work) start(ctx context.Context, arguments json.RawMessage, life time.Duration) {
	ctx, w.stop = context.WithTimeout(context.WithoutCancel(ctx), life)
	go func() {
		defer close(w.done)
		defer func() {
			if p := recover(); p != nil {
				w.h.options.Logger.LogAttrs(ctx, slog.LevelError, "task panic", slog.String("ref", w.d.x.ref),
					slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
				w.err = internalError(w.d.x.ref)
			}
		}()
		w.o, w.err = w.h.rounds(ctx, w.d, w.tool, arguments)
	}()
}

// become makes a task of a call that is under way, unless it is the client's
// turn, or the database is away.
func (w *work) become(ctx context.Context, ttl time.Duration) (made session.Task, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asking || !w.create(ctx, ttl) {
		return made, false
	}
	go w.finish() //nolint:gosec // the task outlives its request
	return w.task, true
}

// create keeps the task: only what is in the database may be told of.
func (w *work) create(ctx context.Context, ttl time.Duration) bool {
	now, x := w.h.options.Now(), w.d.x
	w.task = session.Task{
		ID: newSessionID(), Server: x.server.name, Principal: x.key, Session: x.session.ID, Tool: w.tool.name,
		Status: session.TaskWorking, Message: "The call is being made.", Replica: w.h.options.Replica,
		Created: now, Updated: now, Expires: now.Add(ttl),
	}
	w.h.works.add(w.task.ID, w)
	err := w.h.options.Store.CreateTask(ctx, w.task)
	if err == nil {
		w.held, x.held = x.held, nil
		return true
	}
	w.h.works.remove(w.task.ID)
	w.task = session.Task{}
	_ = w.h.storeFault(ctx, x, err) // logged there
	return false
}

// askModern asks in the answer to the request as long as there is one to come.
func (w *work) askModern(ctx context.Context, t *turn) (map[string]json.RawMessage, error) {
	w.mu.Lock()
	if w.task.ID != "" {
		w.mu.Unlock()
		return w.ask(ctx, t)
	}
	w.asking = true
	w.mu.Unlock()
	answers, err := w.d.askModern(ctx, t)
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asking = false
	}
	return answers, err
}

func taskAddress(id string) string { return "task " + id }

// taskFailure is the key of mail that says why there will be no answer.
const taskFailure = "!"

// ask shows in the task what is asked, until all of it is answered. Keys are
// unique in the task's life: they begin with the round.
func (w *work) ask(ctx context.Context, t *turn) (map[string]json.RawMessage, error) {
	prefix := strconv.Itoa(t.Round) + "."
	address := taskAddress(w.task.ID)
	news, done := w.h.mail.wait(address)
	defer done()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	given, told := map[string]json.RawMessage{}, false
	for {
		missing, fault := t.take(given, true)
		if fault != nil { // whoever took the answers looked at them
			return nil, unanswerable(fault.message)
		}
		status, asked := session.TaskWorking, json.RawMessage(nil)
		if missing != nil {
			status, asked = session.TaskInputRequired, json.RawMessage(`{}`)
			for key, request := range requestsOf(missing) {
				asked = addMember(asked, prefix+key, request)
			}
		}
		if !told {
			told = w.show(ctx, status, asked)
		}
		if missing == nil {
			return t.Answers, nil
		}
		select {
		case <-news:
		case <-again.C:
		case <-ctx.Done():
			return nil, w.d.unanswered(ctx, ctx.Err())
		}
		mail, _ := w.h.options.Store.TakeMail(ctx, address) // what stays there is found the next time
		for _, letter := range mail {
			for key, answer := range requestsOf(letter) {
				if key == taskFailure {
					return nil, unanswerable(textOf(answer))
				}
				if own, ok := strings.CutPrefix(key, prefix); ok {
					given[own], told = answer, false
				}
			}
		}
	}
}

// show changes the task. Where that does not work, it is tried again.
func (w *work) show(ctx context.Context, status session.TaskStatus, asked json.RawMessage) (ok bool) {
	w.mu.Lock()
	w.task.Status, w.task.Asked, w.task.Message = status, asked, "The call is being made."
	if asked != nil {
		w.task.Message = "The call needs input."
	}
	task := w.task
	w.mu.Unlock()
	changed, err := w.h.options.Store.UpdateTask(ctx, task)
	if err != nil {
		_ = w.h.storeFault(ctx, w.d.x, err) // logged there
		return false
	}
	if !changed { // it was cancelled
		w.stop()
		return true
	}
	w.h.tellTask(ctx, &task)
	return true
}

// finish writes what the call came to, as soon as the database takes it.
func (w *work) finish() {
	<-w.done
	w.stop()
	if w.held != nil {
		w.held()
	}
	w.mu.Lock()
	w.conclude()
	task := w.task
	w.mu.Unlock()
	defer w.h.works.remove(task.ID)
	for w.h.options.Now().Before(task.Expires) {
		ctx, cancel := context.WithTimeout(context.Background(), logTimeout)
		changed, err := w.h.options.Store.UpdateTask(ctx, task)
		if changed {
			w.h.tellTask(ctx, &task)
		}
		cancel()
		if err == nil || errors.Is(err, session.ErrNotFound) {
			return
		}
		select {
		case <-time.After(logRetry):
		case <-w.h.draining:
			return // it was tried; others see that this replica is gone
		}
	}
}

// conclude puts the call's end into the task.
func (w *work) conclude() {
	t, x := &w.task, w.d.x
	t.Asked, t.Status, t.Message = nil, session.TaskCompleted, "The call is done."
	if w.err != nil {
		_, fault := instead(w.err)
		if fault == nil {
			fault = internalError(x.ref)
		}
		t.Status, t.Message, t.Outcome = session.TaskFailed, fault.message, fault.appendBody(nil)
		return
	}
	if w.d.era == legacy {
		w.o.pluginMeta = setMember(w.o.pluginMeta, relatedTask, relatedTo(t.ID))
		if w.o.isError { // (2025-11-25, basic/utilities/tasks, "Task Status")
			t.Status, t.Message = session.TaskFailed, "The call failed."
		}
	}
	t.Outcome = w.o.append(nil, x.server, w.tool, w.d.era)
}

// look ends the work when somebody else has ended the task.
func (w *work) look() {
	ctx, cancel := context.WithTimeout(context.Background(), signalTimeout)
	defer cancel()
	w.mu.Lock()
	id := w.task.ID
	w.mu.Unlock()
	if t, err := w.h.options.Store.Task(ctx, id); err == nil && t.Status.Over() {
		w.stop()
	}
}
