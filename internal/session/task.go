package session

import (
	"encoding/json"
	"time"
)

// Task is a call that goes on after its request was answered (2025-11-25,
// basic/utilities/tasks, and the extension io.modelcontextprotocol/tasks). It
// belongs to a server and a principal, and to the session where there is one.
type Task struct {
	ID        string // unguessable
	Server    string
	Principal string
	Session   string // empty: made by a revision without sessions
	Tool      string
	Status    TaskStatus
	Message   string // of the status
	Replica   string // who works on it
	// Outcome is the result of tools/call, or the JSON-RPC error of a failed task.
	Outcome json.RawMessage
	// Asked are the input requests that wait for the client, by key.
	Asked   json.RawMessage
	Created time.Time
	Updated time.Time
	// Expires is when the task may be forgotten.
	Expires time.Time
}

// TaskStatus is a state of a task.
type TaskStatus string

// The states; the last three are for ever.
const (
	TaskWorking       TaskStatus = "working"
	TaskInputRequired TaskStatus = "input_required"
	TaskCompleted     TaskStatus = "completed"
	TaskFailed        TaskStatus = "failed"
	TaskCancelled     TaskStatus = "cancelled"
)

// Over tells whether the state is for ever.
func (s TaskStatus) Over() bool {
	return s == TaskCompleted || s == TaskFailed || s == TaskCancelled
}
