package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

const withTasks = `{"elicitation":{},"sampling":{},"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}`

// taskServers are the curious ones with calls that become tasks at once.
func taskServers(after time.Duration) []*registry.Server {
	servers := curiousServers()
	for i := range servers {
		servers[i].TaskAfter = after
	}
	return servers
}

func newTasks(t testing.TB, after time.Duration, o Options) (*Handler, *inquirer) {
	t.Helper()
	h, plugin := newCurious(t, o)
	if err := h.SetServers(taskServers(after)); err != nil {
		t.Fatal(err)
	}
	return h, plugin
}

// shownTask is a task of either era.
type shownTask struct {
	ResultType, TaskID, Status, StatusMessage, CreatedAt, LastUpdatedAt string
	TTL, TTLMs, PollInterval, PollIntervalMs                            *int64
	InputRequests                                                       map[string]json.RawMessage
	Result                                                              *pendingResult
	Error                                                               *struct{ Code int }
	Task                                                                *shownTask
	Tasks                                                               []shownTask
	NextCursor                                                          string
}

func shownIn(t testing.TB, a answer) (s shownTask) {
	t.Helper()
	if a.Error != nil {
		t.Fatalf("error %d %s", a.Error.Code, a.Error.Message)
	}
	if err := json.Unmarshal(a.Result, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// about makes a 2026-07-28 request about a task.
func about(t testing.TB, h http.Handler, method, id, user, more string) (int, answer) {
	t.Helper()
	return aboutWith(t, h, method, id, user, more, withTasks)
}

func aboutWith(t testing.TB, h http.Handler, method, id, user, more, capabilities string) (int, answer) {
	t.Helper()
	hs := modernHeaders(method, id)
	hs["X-User"] = user
	w := serve(h, "POST", "/mcp/curious", hs, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"taskId":"`+id+`"`+more+
		`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":`+capabilities+`}}}`)
	return w.Code, decode(t, w.Body)
}

// awaits looks at a task until it has a status.
func awaits(t testing.TB, h http.Handler, id string, status session.TaskStatus) shownTask {
	t.Helper()
	until := time.NewTimer(10 * time.Second)
	defer until.Stop()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		_, a := about(t, h, "tasks/get", id, "", "")
		if s := shownIn(t, a); s.Status == string(status) {
			return s
		}
		select {
		case <-look.C:
		case <-until.C:
			t.Fatalf("task is not %s: %s", status, a.Result)
		}
	}
}

// begins makes a call that becomes a task.
func (r asking) begins(t testing.TB, h http.Handler) shownTask {
	t.Helper()
	r.capabilities = withTasks
	_, a := r.do(t, h)
	s := shownIn(t, a)
	if s.ResultType != "task" || s.Status != "working" || s.TaskID == "" || s.TTLMs == nil || *s.TTLMs <= 0 || s.PollIntervalMs == nil || s.TTL != nil {
		t.Fatalf("want a task, got %s", a.Result)
	}
	return s
}

func TestTasksModern(t *testing.T) {
	h, plugin := newTasks(t, time.Millisecond, Options{})
	discovered := serve(h, "POST", "/mcp/curious", modernHeaders("server/discover", ""), `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{`+modernMeta+`}}`).Body.String()
	if !strings.Contains(discovered, `"extensions":{"io.modelcontextprotocol/tasks":{}}`) || strings.Contains(discovered, `"tasks":{`) {
		t.Errorf("discover: %s", discovered)
	}
	made := asking{tool: "slow", arguments: `{"a":1}`}.begins(t, h)
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		if status, a := aboutWith(t, h, method, made.TaskID, "", `,"inputResponses":{}`, allCapabilities); status != 400 || a.code() != -32021 ||
			string(a.Error.Data) != `{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}` {
			t.Errorf("%s without the extension: %d %+v", method, status, a.Error)
		}
		for _, stranger := range []struct{ id, user string }{{made.TaskID, "eve"}, {"nope", ""}} {
			if _, a := about(t, h, method, stranger.id, stranger.user, `,"inputResponses":{}`); a.code() != -32602 {
				t.Errorf("%s of %+v: %+v", method, stranger, a.Error)
			}
		}
	}
	for _, method := range []string{"tasks/list", "tasks/result"} {
		if _, a := about(t, h, method, made.TaskID, "", ""); a.code() != -32601 {
			t.Errorf("%s: %+v", method, a.Error)
		}
	}
	wrong := modernHeaders("tasks/get", "another")
	if w := serve(h, "POST", "/mcp/curious", wrong, `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"`+made.TaskID+`",`+modernMeta+`}}`); w.Code != 400 {
		t.Errorf("another Mcp-Name: %s", w.Body)
	}
	awaits(t, h, made.TaskID, session.TaskWorking)
	close(plugin.gate)
	done := awaits(t, h, made.TaskID, session.TaskCompleted)
	if done.ResultType != "complete" || string(done.Result.StructuredContent) != `{"arguments":{"a":1},"answers":null,"state":""}` || done.Error != nil {
		t.Errorf("got %+v", done)
	}
	if _, a := about(t, h, "tasks/cancel", made.TaskID, "", ""); string(member(a.Result, "resultType")) != `"complete"` || member(a.Result, "taskId") != nil {
		t.Errorf("cancel of what is over: %s %+v", a.Result, a.Error)
	}
	if again := awaits(t, h, made.TaskID, session.TaskCompleted); again.Result == nil {
		t.Error("a cancellation took the result")
	}
	waitFor(t, func() bool { return h.works.get(made.TaskID) == nil })
	// Clients that know no tasks wait for the result.
	asking{tool: "slow"}.completes(t, h)
}

// Fast calls answer as ever, and questions before the time are no tasks.
func TestNoTask(t *testing.T) {
	h, plugin := newTasks(t, time.Hour, Options{})
	r := asking{tool: "plain", capabilities: withTasks, more: `,"task":{"ttl":7}`}
	r.completes(t, h)
	asks := asking{tool: "name", capabilities: withTasks}
	p := asks.asks(t, h, "user_name")
	asks.with(`{"user_name":`+ada+`}`, p.RequestState).completes(t, h)
	drop := asking{tool: "drop", capabilities: withTasks}
	p = drop.asks(t, h, "confirm")
	drop.with(agreed, p.RequestState).completes(t, h)
	drop.with(agreed, p.RequestState).fails(t, h, -32602, "used before")
	if plugin.count("drop") != 1 {
		t.Errorf("%d calls", plugin.count("drop"))
	}
	// A client that goes takes its call along.
	ctx, cancel := context.WithCancel(t.Context())
	request := newRequest("POST", "/mcp/curious", modernHeaders("tools/call", "slow"), strings.Replace(modernCall("1", "slow", "{}"), `Capabilities":{}`, `Capabilities":`+withTasks, 1))
	time.AfterFunc(time.Millisecond, cancel)
	if w := serveRequest(h, request.WithContext(ctx)); !strings.Contains(w.Body.String(), "cancelled") {
		t.Errorf("got %s", w.Body)
	}
}

func TestTaskIsCancelled(t *testing.T) {
	h, plugin := newTasks(t, time.Millisecond, Options{})
	made := asking{tool: "slow"}.begins(t, h)
	_, a := about(t, h, "tasks/cancel", made.TaskID, "", "")
	if string(member(a.Result, "resultType")) != `"complete"` {
		t.Errorf("got %s %+v", a.Result, a.Error)
	}
	awaits(t, h, made.TaskID, session.TaskCancelled)
	waitFor(t, func() bool { return h.works.get(made.TaskID) == nil })
	close(plugin.gate)
	awaits(t, h, made.TaskID, session.TaskCancelled)
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	until := time.NewTimer(10 * time.Second)
	defer until.Stop()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-until.C:
			t.Fatal("it did not come to that")
		}
	}
}

// Tasks of both eras at two replicas, where one asks and the other is answered.
func TestTasksAcrossReplicas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		plugin := &inquirer{gate: make(chan struct{})}
		first, second := pair(t, open, Options{Secret: []byte("0123456789abcdef0123456789abcdef"), Invoker: plugin})
		a, b := first.Handler, second.Handler
		for _, h := range []*Handler{a, b} {
			if err := h.SetServers(taskServers(time.Nanosecond)); err != nil {
				t.Fatal(err)
			}
		}
		t.Run("modern", func(t *testing.T) {
			made := session.Task{}
			for made.ID == "" { // a question may be faster than the task
				_, answer := asking{tool: "many", capabilities: withTasks}.do(t, a)
				made.ID = shownIn(t, answer).TaskID
			}
			s := awaits(t, b, made.ID, session.TaskInputRequired)
			if len(s.InputRequests) != 3 || s.InputRequests["1.n"] == nil {
				t.Fatalf("got %+v", s.InputRequests)
			}
			if _, answer := about(t, b, "tasks/update", made.ID, "", `,"inputResponses":{"1.n":7}`); answer.code() != -32602 {
				t.Errorf("a bad answer: %+v", answer)
			}
			_, answer := about(t, b, "tasks/update", made.ID, "", `,"inputResponses":{"1.n":`+ada+`,"nope":{}}`)
			if string(member(answer.Result, "resultType")) != `"complete"` {
				t.Fatalf("got %+v", answer.Error)
			}
			_, answer = about(t, b, "tasks/get", made.ID, "", "")
			if s := shownIn(t, answer); len(s.InputRequests) != 2 || s.InputRequests["1.n"] != nil {
				t.Errorf("after a part of the answers: %+v", s.InputRequests)
			}
			about(t, a, "tasks/update", made.ID, "", `,"inputResponses":{"1.c":`+sampled+`,"1.r":`+rooted+`}`)
			done := awaits(t, b, made.ID, session.TaskCompleted)
			if !strings.Contains(string(done.Result.StructuredContent), "Ada") {
				t.Errorf("got %+v", done.Result)
			}
			made2 := asking{tool: "slow"}.begins(t, a)
			about(t, b, "tasks/cancel", made2.TaskID, "", "")
			waitFor(t, func() bool { return a.works.get(made2.TaskID) == nil })
		})
		t.Run("2025-11-25", func(t *testing.T) { legacyTaskAcross(t, a, b, plugin) })
	})
}

func augmented(id, tool, task string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `","arguments":{},"task":` + task + `}}`
}

func taskBody(id, method, task string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":{"taskId":"` + task + `"}}`
}

func legacyTaskAcross(t *testing.T, a, b *Handler, plugin *inquirer) {
	first, second := listen(t, a).URL+"/mcp/curious", listen(t, b).URL+"/mcp/curious"
	c := converse(t, first, "2025-11-25", allCapabilities)
	made := shownIn(t, c.call(augmented("1", "drop_name", `{"ttl":60000}`))).Task
	if made == nil || made.Status != "working" || made.TTL == nil || *made.TTL != 60000 || made.PollInterval == nil || made.TTLMs != nil {
		t.Fatalf("got %+v", made)
	}
	c.url = second
	c.answers["elicitation/create"] = `{"action":"accept","content":{"confirm":true,"name":"Ada"}}`
	got := resultOfAnswer(t, c.call(taskBody("2", "tasks/result", made.TaskID)))
	if got.IsError || !strings.Contains(string(got.StructuredContent), "Ada") ||
		string(got.Meta[relatedTask]) != `{"taskId":"`+made.TaskID+`"}` {
		t.Errorf("got %+v", got)
	}
	if len(c.asked) != 2 || !strings.Contains(c.asked[0], `"`+relatedTask+`":{"taskId":"`+made.TaskID) || !strings.Contains(c.asked[0], "confirm") {
		t.Errorf("asked %q", c.asked)
	}
	again := c.call(taskBody("3", "tasks/result", made.TaskID))
	if resultOfAnswer(t, again).IsError {
		t.Errorf("got %s", again.Result)
	}
	if s := shownIn(t, c.call(taskBody("4", "tasks/get", made.TaskID))); s.Status != "completed" || s.ResultType != "" {
		t.Errorf("got %+v", s)
	}
	// One that is not confirmed has failed, and was not called.
	before := plugin.count("drop")
	declinedTask := shownIn(t, c.call(augmented("5", "drop", `{}`))).Task
	c.answers["elicitation/create"] = `{"action":"decline"}`
	if got := resultOfAnswer(t, c.call(taskBody("6", "tasks/result", declinedTask.TaskID))); !got.IsError || plugin.count("drop") != before {
		t.Errorf("got %+v", got)
	}
	if s := shownIn(t, c.call(taskBody("7", "tasks/get", declinedTask.TaskID))); s.Status != "failed" {
		t.Errorf("got %+v", s)
	}
	if answer := c.call(taskBody("8", "tasks/cancel", declinedTask.TaskID)); answer.code() != -32602 {
		t.Errorf("cancel of what is over: %s", answer.Result)
	}
	slow := shownIn(t, c.call(augmented("9", "slow", `{}`))).Task
	if s := shownIn(t, c.call(taskBody("10", "tasks/cancel", slow.TaskID))); s.Status != "cancelled" {
		t.Errorf("got %+v", s)
	}
	if got := resultOfAnswer(t, c.call(taskBody("11", "tasks/result", slow.TaskID))); !got.IsError {
		t.Errorf("got %+v", got)
	}
	waitFor(t, func() bool { return a.works.get(slow.TaskID) == nil && b.works.get(slow.TaskID) == nil })
	listed := shownIn(t, c.call(`{"jsonrpc":"2.0","id":12,"method":"tasks/list"}`))
	if len(listed.Tasks) != 3 || listed.NextCursor != "" {
		t.Errorf("got %+v", listed)
	}
	stranger := converse(t, first, "2025-11-25", allCapabilities)
	for _, method := range []string{"tasks/get", "tasks/result", "tasks/cancel"} {
		if answer := stranger.call(taskBody("1", method, made.TaskID)); answer.code() != -32602 {
			t.Errorf("%s by another session: %s", method, answer.Result)
		}
	}
	for _, bad := range []string{`7`, `{"ttl":0}`, `{"ttl":"1"}`, `{"ttl":-1}`} {
		if answer := c.call(augmented("13", "plain", bad)); answer.code() != -32602 {
			t.Errorf("task %s: %s", bad, answer.Result)
		}
	}
}

// A task's client whose user cannot be asked learns why.
func TestTaskIsNotAnswered(t *testing.T) {
	h, _ := newTasks(t, time.Hour, Options{})
	c := converse(t, listen(t, h).URL+"/mcp/curious", "2025-11-25", allCapabilities)
	for said, want := range map[string]string{"!the user went away": "the user went away", `{}`: "action must be"} {
		c.answers["elicitation/create"] = said
		made := shownIn(t, c.call(augmented("1", "name", `{}`))).Task
		if got := resultOfAnswer(t, c.call(taskBody("2", "tasks/result", made.TaskID))); !got.IsError || !strings.Contains(got.Content[0].Text, want) {
			t.Errorf("got %+v", got)
		}
	}
	unable := converse(t, c.url, "2025-11-25", `{}`)
	made := shownIn(t, unable.call(augmented("1", "drop", `{}`))).Task
	if got := resultOfAnswer(t, unable.call(taskBody("2", "tasks/result", made.TaskID))); !got.IsError || !strings.Contains(got.Content[0].Text, "cannot ask the user") {
		t.Errorf("got %+v", got)
	}
}

// Older revisions, and servers that have none, know nothing of tasks.
func TestTasksElsewhere(t *testing.T) {
	h, _ := newTasks(t, time.Hour, Options{})
	url := listen(t, h).URL
	for version, want := range map[string]bool{"2025-06-18": false, "2025-11-25": true} {
		initialized := serve(h, "POST", "/mcp/curious", nil, initializeBody(version)).Body.String()
		if strings.Contains(initialized, `"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}`) != want {
			t.Errorf("%s: %s", version, initialized)
		}
	}
	c := converse(t, url+"/mcp/curious", "2025-06-18", `{}`)
	if got := resultOfAnswer(t, c.call(augmented("1", "plain", `{}`))); got.StructuredContent == nil {
		t.Errorf("got %+v", got)
	}
	if answer := c.call(taskBody("2", "tasks/get", "x")); answer.code() != -32601 {
		t.Errorf("got %s %+v", answer.Result, answer.Error)
	}
	if err := h.SetServers(curiousServers()); err != nil {
		t.Fatal(err)
	}
	c = converse(t, url+"/mcp/curious", "2025-11-25", `{}`)
	if got := resultOfAnswer(t, c.call(augmented("1", "plain", `{}`))); got.StructuredContent == nil {
		t.Errorf("got %+v", got)
	}
	for _, method := range []string{"tasks/get", "tasks/list", "tasks/result", "tasks/cancel"} {
		if answer := c.call(taskBody("2", method, "x")); answer.code() != -32601 {
			t.Errorf("%s: %s %+v", method, answer.Result, answer.Error)
		}
	}
	asking{tool: "plain", capabilities: withTasks}.completes(t, h)
}

func TestTaskPages(t *testing.T) {
	db := openStore(t)
	h, _ := newTasks(t, time.Hour, Options{Store: db})
	c := converse(t, listen(t, h).URL+"/mcp/curious", "2025-11-25", `{}`)
	for i := range 2*tasksPage + 7 {
		err := db.CreateTask(t.Context(), session.Task{
			ID: fmt.Sprintf("t%03d", i), Server: "curious", Session: c.id, Status: session.TaskCompleted, Outcome: json.RawMessage(`{}`),
			Created: time.Now(), Expires: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for cursor := ""; ; {
		body := `{"jsonrpc":"2.0","id":1,"method":"tasks/list","params":{}}`
		if cursor != "" {
			body = `{"jsonrpc":"2.0","id":1,"method":"tasks/list","params":{"cursor":"` + cursor + `"}}`
		}
		page := shownIn(t, c.call(body))
		for _, s := range page.Tasks {
			ids = append(ids, s.TaskID)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if len(ids) != 2*tasksPage+7 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != 2*tasksPage+7 {
		t.Errorf("%d tasks on the pages", len(ids))
	}
	for _, bad := range []string{`"x"`, `7`} {
		if answer := c.call(`{"jsonrpc":"2.0","id":1,"method":"tasks/list","params":{"cursor":` + bad + `}}`); answer.code() != -32602 {
			t.Errorf("cursor %s: %s", bad, answer.Result)
		}
	}
}

// The tasks of a replica that died without a word have failed.
func TestTaskOfDeadReplica(t *testing.T) {
	db := openStore(t)
	h, _ := newTasks(t, time.Millisecond, Options{Store: db})
	h.absent.sure = 0
	for id, replica := range map[string]string{"theirs": "dead", "ours": h.options.Replica} {
		err := db.CreateTask(t.Context(), session.Task{
			ID: id, Server: "curious", Status: session.TaskWorking, Replica: replica, Created: time.Now(), Expires: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, a := about(t, h, "tasks/get", id, "", "")
		if s := shownIn(t, a); s.Status != "failed" || s.Error == nil || s.Error.Code != -32603 || !strings.Contains(s.StatusMessage, "lost") {
			t.Errorf("%s: %s", id, a.Result)
		}
	}
	expired := session.Task{ID: "old", Server: "curious", Status: session.TaskCompleted, Created: time.Now(), Expires: time.Now().Add(-time.Second)}
	if err := db.CreateTask(t.Context(), expired); err != nil {
		t.Fatal(err)
	}
	if _, a := about(t, h, "tasks/get", "old", "", ""); a.code() != -32602 {
		t.Errorf("an expired one: %s", a.Result)
	}
}

// brittle is a store whose tasks cannot be written for a while.
type brittle struct {
	Store
	mu   sync.Mutex
	away int // how many more writes fail; < 0: all
}

func (b *brittle) fails() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away == 0 {
		return nil
	}
	b.away--
	return session.ErrAway
}

func (b *brittle) CreateTask(ctx context.Context, t session.Task) error {
	if err := b.fails(); err != nil {
		return err
	}
	return b.Store.CreateTask(ctx, t)
}

func (b *brittle) UpdateTask(ctx context.Context, t session.Task) (bool, error) {
	if err := b.fails(); err != nil {
		return false, err
	}
	return b.Store.UpdateTask(ctx, t)
}

func TestTasksWithoutDatabase(t *testing.T) {
	db := &brittle{Store: openStore(t), away: 1}
	h, plugin := newTasks(t, time.Millisecond, Options{Store: db})
	time.AfterFunc(20*time.Millisecond, func() { close(plugin.gate) })
	asking{tool: "slow", capabilities: withTasks}.completes(t, h) // no task: the client waits
	plugin.gate = make(chan struct{})
	made := asking{tool: "slow"}.begins(t, h)
	db.mu.Lock()
	db.away = 1
	db.mu.Unlock()
	close(plugin.gate)
	awaits(t, h, made.TaskID, session.TaskCompleted) // the result is not lost
}

// Clients that listen are told of their tasks, and of nobody else's.
func TestTaskNotifications(t *testing.T) {
	h, plugin := newTasks(t, time.Millisecond, Options{})
	url := listen(t, h).URL + "/mcp/curious"
	made := asking{tool: "slow"}.begins(t, h)
	foreign := asking{tool: "slow", user: "eve"}.begins(t, h)
	body := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"taskIds":["` + made.TaskID + `","` + foreign.TaskID + `","x"]},` +
		strings.Replace(modernMeta, `Capabilities":{}`, `Capabilities":`+withTasks, 1) + `}}`
	r, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range modernHeaders("subscriptions/listen", "") {
		r.Header.Set(k, v)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	messages := make(chan string, 100)
	go readEvents(response.Body, messages)
	if first := <-messages; !strings.Contains(first, `"taskIds":["`+made.TaskID+`"]`) {
		t.Errorf("acknowledged %s", first)
	}
	if now := <-messages; !strings.Contains(now, `"notifications/tasks"`) || !strings.Contains(now, `"working"`) || !strings.Contains(now, "subscriptionId") {
		t.Errorf("told %s", now)
	}
	close(plugin.gate)
	if end := <-messages; !strings.Contains(end, made.TaskID) || !strings.Contains(end, `"result":{`) {
		t.Errorf("told %s", end)
	}
	refused := strings.Replace(body, withTasks, `{}`, 1)
	w := serve(h, "POST", "/mcp/curious", modernHeaders("subscriptions/listen", ""), refused)
	if decode(t, w.Body).code() != -32021 {
		t.Error("a client without the extension may listen")
	}
}

func readEvents(body interface{ Read([]byte) (int, error) }, messages chan<- string) {
	defer close(messages)
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data != "" {
			messages <- data
		}
	}
}
