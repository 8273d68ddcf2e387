package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	// tasksExtension names the tasks of 2026-07-28.
	tasksExtension    = "io.modelcontextprotocol/tasks"
	methodTasksUpdate = "tasks/update"
	// relatedTask is the member of _meta that names the task (2025-11-25,
	// basic/utilities/tasks, "Related Task Metadata").
	relatedTask = "io.modelcontextprotocol/related-task"

	taskTTL    = time.Hour // where a client names no other
	maxTaskTTL = 24 * time.Hour
	taskPoll   = time.Second // how often clients should look
	tasksPage  = 100
	// maxLetters bounds the answers that wait for the replica that works on a task.
	maxLetters = 100
	// maxListenedTasks bounds what one stream can ask for.
	maxListenedTasks = 1000
	// updateTime is how long an answer may take to the replica that asked, before the
	// client hears that it was taken.
	updateTime = 2 * time.Second
)

// legacyTasks tells whether a revision has tasks of its own.
func legacyTasks(version string) bool { return version == mcp.ProtocolVersion20251125 }

// declaresTasks tells whether the client of a request knows the extension.
func declaresTasks(m *envelope) bool {
	return isObject(member(member(m.capabilities, "extensions"), tasksExtension))
}

// taskMethod gives what answers a method about tasks, nil where it is none.
func (h *Handler) taskMethod(s *server, version, method string) offer {
	switch {
	case s.taskAfter == 0:
	case mcp.IsModernProtocol(version):
		switch method {
		case string(mcp.MethodTasksGet):
			return h.declared(h.getTask)
		case methodTasksUpdate:
			return h.declared(h.updateTask)
		case string(mcp.MethodTasksCancel):
			return h.declared(h.cancelTask)
		}
	case legacyTasks(version):
		switch method {
		case string(mcp.MethodTasksGet):
			return h.getTask
		case string(mcp.MethodTasksResult):
			return h.taskResult
		case string(mcp.MethodTasksList):
			return h.listTasks
		case string(mcp.MethodTasksCancel):
			return h.cancelTask
		}
	}
	return nil
}

// declared refuses clients that do not say that they know tasks.
func (h *Handler) declared(answer offer) offer {
	return func(ctx context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError) {
		if !declaresTasks(m) {
			return nil, noTasks()
		}
		return answer(ctx, x, e, m)
	}
}

func noTasks() *rpcError {
	return (&capabilities{names: []string{"extensions"}, parts: map[string][]string{"extensions": {tasksExtension}}}).fault()
}

// withTasks announces tasks where there are any.
func (s *server) withTasks(result json.RawMessage, method, version string) json.RawMessage {
	name, value := "tasks", `{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}`
	switch {
	case s.taskAfter == 0:
		return result
	case method == string(mcp.MethodServerDiscover):
		name, value = "extensions", `{"`+tasksExtension+`":{}}`
	case method != string(mcp.MethodInitialize) || !legacyTasks(version):
		return result
	}
	return setMember(result, "capabilities", setMember(member(result, "capabilities"), name, json.RawMessage(value)))
}

// findTask gives the caller's task. Another's is as unknown as one that never was.
func (h *Handler) findTask(ctx context.Context, x *exchange, m *envelope) (t session.Task, fault *rpcError) {
	raw := m.param("taskId")
	if !isString(raw) {
		return t, invalidParams("taskId must be a task's id")
	}
	t, err := h.options.Store.Task(ctx, unquote(raw))
	if err == nil {
		err = h.bury(ctx, &t)
	}
	if errors.Is(err, session.ErrNotFound) || err == nil && !(x.ownsTask(&t) && h.options.Now().Before(t.Expires)) {
		return t, invalidParams("task is unknown or has expired")
	}
	if err != nil {
		return t, h.storeFault(ctx, x, err)
	}
	return t, nil
}

func (x *exchange) ownsTask(t *session.Task) bool {
	return t.Server == x.server.name && t.Principal == x.key && t.Session == x.session.ID
}

// bury ends a task whose replica is no more.
func (h *Handler) bury(ctx context.Context, t *session.Task) error {
	if t.Status.Over() {
		return nil
	}
	alive := h.works.get(t.ID) != nil
	if t.Replica != h.options.Replica {
		var err error
		if alive, err = h.absent.alive(ctx, t.Replica); err != nil {
			return err
		}
	}
	if alive {
		return nil
	}
	fault := rpcError{code: mcp.INTERNAL_ERROR, message: "task was lost with the process that worked on it, and may have had effects"}
	lost := *t
	lost.Status, lost.Message, lost.Asked, lost.Outcome = session.TaskFailed, fault.message, nil, fault.appendBody(nil)
	changed, err := h.options.Store.UpdateTask(ctx, lost)
	if changed {
		h.options.Logger.LogAttrs(ctx, slog.LevelWarn, "task lost with its replica", slog.String("server", t.Server), slog.String("replica", t.Replica))
		h.tellTask(ctx, &lost)
	}
	if err == nil {
		*t, err = h.options.Store.Task(ctx, t.ID)
	}
	return err
}

// getTask is tasks/get.
func (h *Handler) getTask(ctx context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError) {
	t, fault := h.findTask(ctx, x, m)
	if fault != nil {
		return nil, fault
	}
	if e == legacy {
		return append(appendTask([]byte{'{'}, &t, e), '}'), nil
	}
	return append(appendDetailed(x.server.begin(e), &t), '}'), nil
}

// listTasks is tasks/list, in the order of the ids.
func (h *Handler) listTasks(ctx context.Context, x *exchange, _ era, m *envelope) (json.RawMessage, *rpcError) {
	list, after := "tasks "+x.session.ID, ""
	if m.cursor != nil && string(m.cursor) != "null" {
		ok := isString(m.cursor)
		if ok {
			after, ok = h.cursors.key(list, unquote(m.cursor))
		}
		if !ok {
			return nil, invalidParams("cursor is not one of this list")
		}
	}
	tasks, err := h.options.Store.Tasks(ctx, x.server.name, x.key, x.session.ID, after, tasksPage+1)
	if err != nil {
		return nil, h.storeFault(ctx, x, err)
	}
	dst, more := []byte(`{"tasks":[`), len(tasks) > tasksPage
	if more {
		tasks = tasks[:tasksPage]
	}
	comma := ""
	for i := range tasks {
		t := &tasks[i]
		if err := h.bury(ctx, t); err != nil || !h.options.Now().Before(t.Expires) {
			continue // it has just been purged, or will be
		}
		dst = append(appendTask(append(append(dst, comma...), '{'), t, legacy), '}')
		comma = ","
	}
	dst = append(dst, ']')
	if more {
		dst = appendString(append(dst, `,"nextCursor":`...), h.cursors.next(list, tasks[tasksPage-1].ID))
	}
	return append(dst, '}'), nil
}

// cancelTask is tasks/cancel. In 2026-07-28 it says no more than that it was
// heard, also of a task that is over.
func (h *Handler) cancelTask(ctx context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError) {
	t, fault := h.findTask(ctx, x, m)
	if fault != nil {
		return nil, fault
	}
	cancelled := t
	cancelled.Status, cancelled.Message, cancelled.Asked = session.TaskCancelled, "The task was cancelled by request.", nil
	cancelled.Updated = h.options.Now()
	o := outcome{text: "the task was cancelled", isError: true, pluginMeta: setMember(nil, relatedTask, relatedTo(t.ID))}
	cancelled.Outcome = o.append(nil, x.server, &tool{}, legacy)
	changed, err := h.options.Store.UpdateTask(ctx, cancelled)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return nil, h.storeFault(ctx, x, err)
	}
	if changed {
		h.tellTask(ctx, &cancelled)
		if w := h.works.get(t.ID); w != nil {
			w.stop()
		}
	}
	switch {
	case e == modern:
		return append(append([]byte{'{'}, x.server.meta...), '}'), nil
	case !changed:
		return nil, invalidParams("task is over already")
	}
	return append(appendTask([]byte{'{'}, &cancelled, e), '}'), nil
}

// updateTask is tasks/update: answers to what a task asks.
func (h *Handler) updateTask(ctx context.Context, x *exchange, _ era, m *envelope) (json.RawMessage, *rpcError) {
	t, fault := h.findTask(ctx, x, m)
	if fault != nil {
		return nil, fault
	}
	responses := m.param("inputResponses")
	if !isObject(responses) {
		return nil, invalidParams("inputResponses must be an object")
	}
	letter := json.RawMessage(`{}`)
	for key, answer := range requestsOf(responses) {
		request := member(t.Asked, key)
		if request == nil {
			continue // answered, or never asked
		}
		if problem := checkAnswer(request, answer); problem != "" {
			return nil, invalidParams("inputResponses " + quoteShort(key) + ": " + problem)
		}
		letter = addMember(letter, key, answer)
	}
	if len(letter) > len(`{}`) {
		if fault := h.answerTask(ctx, x, t.ID, letter); fault != nil {
			return nil, fault
		}
	}
	return append(append([]byte{'{'}, x.server.meta...), '}'), nil
}

// answerTask gives answers to whoever works on a task, and waits a moment until
// the task shows it.
func (h *Handler) answerTask(ctx context.Context, x *exchange, id string, letter json.RawMessage) *rpcError {
	news, done := h.taskNews.wait(id)
	defer done()
	err := h.options.Store.PutMail(ctx, taskAddress(id), maxLetters, letter)
	if errors.Is(err, session.ErrTooMany) {
		return invalidParams("too many answers wait for the task: call again later")
	}
	if err != nil {
		return h.storeFault(ctx, x, err)
	}
	h.mail.wake(taskAddress(id))
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	for {
		select {
		case <-news:
		case <-ctx.Done():
			return nil // it is taken, and seen later
		}
		t, err := h.options.Store.Task(ctx, id)
		if err != nil {
			return nil
		}
		outstanding := false
		for key := range requestsOf(letter) {
			outstanding = outstanding || member(t.Asked, key) != nil
		}
		if !outstanding {
			return nil
		}
	}
}

// taskResult is tasks/result: it waits until the task is over, and asks the
// client what the task has to ask meanwhile.
func (h *Handler) taskResult(ctx context.Context, x *exchange, _ era, m *envelope) (json.RawMessage, *rpcError) {
	news, done := h.taskNews.wait(textOf(m.param("taskId")))
	defer done()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	put, waiting := map[string]bool{}, false // questions; one after the other
	letters := make(chan json.RawMessage, 1)
	for {
		t, fault := h.findTask(ctx, x, m)
		switch {
		case fault != nil:
			return nil, fault
		case t.Status.Over():
			return resultOfTask(&t)
		}
		for key, request := range requestsOf(t.Asked) {
			if !put[key] && !waiting && (x.stream.allowed || x.forwards()) {
				put[key], waiting = true, true
				go func() { letters <- x.askForTask(ctx, t.ID, key, request) }()
			}
		}
		select {
		case <-news:
		case <-again.C:
		case letter := <-letters:
			waiting = false
			if fault := h.answerTask(ctx, x, t.ID, letter); fault != nil {
				return nil, fault
			}
		case <-ctx.Done():
			return nil, &rpcError{code: mcp.INTERNAL_ERROR, message: "task is not over yet: ask again"}
		case <-h.draining:
			return nil, &rpcError{code: mcp.INTERNAL_ERROR, message: "gateway is stopping: ask again"}
		}
	}
}

// askForTask puts a task's question to the client of this request, and gives what
// to tell the task.
func (x *exchange) askForTask(ctx context.Context, task, key string, request json.RawMessage) json.RawMessage {
	params := member(request, "params")
	meta := setMember(member(params, "_meta"), relatedTask, relatedTo(task))
	answer, err := x.askClient(ctx, methodOf(request), setMember(params, "_meta", meta))
	problem := "the client could not be asked"
	if said := (*clientError)(nil); errors.As(err, &said) {
		problem = said.Error()
	} else if err == nil {
		problem = checkAnswer(request, answer)
	}
	if problem != "" {
		return addMember(json.RawMessage(`{}`), taskFailure, appendString(nil, cutText(problem, 200)))
	}
	return addMember(json.RawMessage(`{}`), key, answer)
}

// resultOfTask gives what the call itself would have been answered with.
func resultOfTask(t *session.Task) (json.RawMessage, *rpcError) {
	var fault struct {
		Code    int
		Message string
		Data    json.RawMessage
	}
	if json.Unmarshal(t.Outcome, &fault) == nil && fault.Code != 0 {
		return nil, &rpcError{code: fault.Code, message: fault.Message, data: fault.Data}
	}
	return t.Outcome, nil
}

func relatedTo(task string) json.RawMessage {
	return append(appendString([]byte(`{"taskId":`), task), '}')
}
