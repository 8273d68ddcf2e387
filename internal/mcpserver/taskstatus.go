package mcpserver

import (
	"context"
	"errors"
	"strconv"

	"github.com/stagedoor/stagedoor/internal/session"
)

// appendTask writes the members of a task as its era has them (2025-11-25,
// basic/utilities/tasks, "Task"; the extension's specification, "Tasks").
func appendTask(dst []byte, t *session.Task, e era) []byte {
	names := [eras][2]string{legacy: {"ttl", "pollInterval"}, modern: {"ttlMs", "pollIntervalMs"}}[e]
	dst = appendString(append(dst, `"taskId":`...), t.ID)
	dst = appendString(append(dst, `,"status":`...), string(t.Status))
	if t.Message != "" {
		dst = appendString(append(dst, `,"statusMessage":`...), t.Message)
	}
	const layout = "2006-01-02T15:04:05.000Z"
	dst = appendString(append(dst, `,"createdAt":`...), t.Created.UTC().Format(layout))
	dst = appendString(append(dst, `,"lastUpdatedAt":`...), t.Updated.UTC().Format(layout))
	dst = append(append(append(dst, `,"`...), names[0]...), `":`...)
	dst = strconv.AppendInt(dst, t.Expires.Sub(t.Created).Milliseconds(), 10)
	dst = append(append(append(dst, `,"`...), names[1]...), `":`...)
	return strconv.AppendInt(dst, taskPoll.Milliseconds(), 10)
}

// appendDetailed writes a task of 2026-07-28 with what belongs to its status.
func appendDetailed(dst []byte, t *session.Task) []byte {
	dst = appendTask(dst, t, modern)
	switch t.Status {
	case session.TaskInputRequired:
		return append(append(dst, `,"inputRequests":`...), t.Asked...)
	case session.TaskCompleted:
		return append(append(dst, `,"result":`...), t.Outcome...)
	case session.TaskFailed:
		return append(append(dst, `,"error":`...), t.Outcome...)
	}
	return dst
}

// tellTask tells whoever wants to know that a task changed, here and elsewhere.
func (h *Handler) tellTask(ctx context.Context, t *session.Task) {
	h.taskNews.wake(t.ID)
	h.listeners.task(t.ID, t.Session)
	key := t.ID
	if t.Session != "" {
		key += " " + t.Session
	}
	h.signal(ctx, session.SignalTask, key)
}

// heardTask is told of a task by another replica.
func (h *Handler) heardTask(id, owner string) {
	h.taskNews.wake(id)
	h.listeners.task(id, owner)
	if w := h.works.get(id); w != nil {
		go w.look()
	}
}

// listenedTasks are those of the tasks that subscriptions/listen asks for which
// are the caller's; nil: it asks for none.
func (h *Handler) listenedTasks(x *exchange, m *envelope) (map[string]bool, *rpcError) {
	raw := member(m.param("notifications"), "taskIds")
	switch {
	case raw == nil || x.server.taskAfter == 0:
		return nil, nil
	case !declaresTasks(m):
		return nil, noTasks()
	case kind(raw) != '[' || len(elements(raw)) > maxListenedTasks:
		return nil, invalidParams("taskIds must be a list of at most 1000 ids")
	}
	tasks := map[string]bool{}
	for _, id := range elements(raw) {
		t, err := h.options.Store.Task(x.r.Context(), textOf(id))
		if err != nil && !errors.Is(err, session.ErrNotFound) {
			return nil, h.storeFault(x.r.Context(), x, err)
		}
		if err == nil && x.ownsTask(&t) {
			tasks[t.ID] = true
		}
	}
	return tasks, nil
}

// tellTasks tells of tasks that changed. What the database does not tell right
// now, clients find when they look.
func (n *notices) tellTasks(ctx context.Context) {
	for _, id := range n.listener.takeTasks() {
		t, err := n.h.options.Store.Task(ctx, id)
		switch {
		case err != nil:
		case n.listener.session != "":
			n.send("notifications/tasks/status", appendTask(nil, &t, legacy))
		default:
			n.send("notifications/tasks", appendDetailed(nil, &t))
		}
	}
}
