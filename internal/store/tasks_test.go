package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func newTask(id string) session.Task {
	return session.Task{
		ID: id, Server: "catalog", Principal: "ada", Session: "s", Tool: "build", Status: session.TaskWorking, Message: "é", Replica: "r1",
		Created: time.UnixMilli(1000), Updated: time.UnixMilli(2000), Expires: time.UnixMilli(9000),
	}
}

func createTask(t *testing.T, db *store.DB, task session.Task) {
	t.Helper()
	if err := db.CreateTask(t.Context(), task); err != nil {
		t.Fatal(err)
	}
}

func TestTasks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		want := newTask("x")
		createTask(t, a, want)
		createTask(t, a, newTask("other"))
		if err := a.CreateTask(t.Context(), want); err == nil {
			t.Error("the same id was accepted twice")
		}
		got, err := b.Task(t.Context(), "x")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(err, diff)
		}

		want.Status, want.Message, want.Replica, want.Expires = session.TaskInputRequired, "", "r2", time.UnixMilli(10_000)
		want.Asked, want.Outcome = json.RawMessage(`{"k":"\u0000"}`), json.RawMessage("\xff\x00")
		thief := want
		thief.Server, thief.Principal, thief.Session, thief.Tool, thief.Created = "t", "t", "t", "t", time.UnixMilli(1)
		before := time.Now().Truncate(time.Millisecond)
		if changed, err := b.UpdateTask(t.Context(), thief); !changed || err != nil {
			t.Errorf("update: %v, %v", changed, err)
		}
		got, err = a.Task(t.Context(), "x")
		if err != nil || got.Updated.Before(before) {
			t.Errorf("updated %v, %v", got.Updated, err)
		}
		want.Updated = got.Updated
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if got, err := a.Task(t.Context(), "other"); err != nil || cmp.Diff(newTask("other"), got) != "" {
			t.Error(err, cmp.Diff(newTask("other"), got))
		}
		for _, id := range []string{"gone", "\xff", ""} {
			if _, err := a.Task(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("task %q: %v, want not found", id, err)
			}
			if changed, err := a.UpdateTask(t.Context(), newTask(id)); changed || !errors.Is(err, session.ErrNotFound) {
				t.Errorf("update of %q: %v, %v, want not found", id, changed, err)
			}
		}
	})
}

// Who finishes, fails and cancels a task at once: one wins, and it stays so.
func TestTaskEndsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		for round := range 10 {
			id := fmt.Sprint(round)
			createTask(t, dbs[0], newTask(id))
			var won atomic.Value
			var wg sync.WaitGroup
			for i, status := range []session.TaskStatus{session.TaskCompleted, session.TaskFailed, session.TaskCancelled, session.TaskCompleted} {
				wg.Go(func() {
					task := newTask(id)
					task.Status, task.Message = status, fmt.Sprint(i)
					changed, err := dbs[i%2].UpdateTask(t.Context(), task)
					if err != nil {
						t.Error(err)
					}
					if changed && won.Swap(task.Message) != nil {
						t.Error("two ended it")
					}
				})
			}
			wg.Wait()
			if changed, err := dbs[0].UpdateTask(t.Context(), newTask(id)); changed || err != nil {
				t.Errorf("it works again: %v, %v", changed, err)
			}
			if got, err := dbs[1].Task(t.Context(), id); err != nil || got.Message != won.Load() {
				t.Errorf("%+v, %v; %v won", got, err, won.Load())
			}
		}
	})
}

func TestTaskLists(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		for i := range 5 {
			createTask(t, db, newTask(fmt.Sprint("t", i)))
		}
		for i, change := range []func(*session.Task){
			func(t *session.Task) { t.Server = "other" },
			func(t *session.Task) { t.Principal = "bob" },
			func(t *session.Task) { t.Session = "" },
		} {
			task := newTask(fmt.Sprint("foreign", i))
			change(&task)
			createTask(t, db, task)
		}
		for _, test := range []struct {
			session, after string
			limit          int
			want           []string
		}{
			{"s", "", 10, []string{"t0", "t1", "t2", "t3", "t4"}},
			{"s", "", 2, []string{"t0", "t1"}},
			{"s", "t1", 2, []string{"t2", "t3"}},
			{"s", "t3", 2, []string{"t4"}},
			{"s", "t4", 2, nil},
			{"s", "t3 that is gone", 2, []string{"t4"}},
			{"", "", 10, []string{"foreign2"}},
			{"x", "", 10, nil},
		} {
			tasks, err := db.Tasks(t.Context(), "catalog", "ada", test.session, test.after, test.limit)
			var got []string
			for _, task := range tasks {
				got = append(got, task.ID)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("session %q after %q: %v %s", test.session, test.after, err, diff)
			}
		}
	})
}

func TestPurge(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		old, young := newTask("old"), newTask("young")
		old.Expires, young.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(2*time.Hour)
		createTask(t, db, old)
		createTask(t, db, young)
		for nonce, until := range map[string]time.Time{"old": old.Expires, "young": young.Expires} {
			if first, err := db.Spend(t.Context(), nonce, until); !first || err != nil {
				t.Errorf("nonce %s: %v, %v", nonce, first, err)
			}
		}
		if err := errors.Join(db.PutMail(t.Context(), "a", 1, []byte("1")), db.Beat(t.Context(), session.Replica{ID: "r"})); err != nil {
			t.Fatal(err)
		}
		if n, err := db.Purge(t.Context(), store.PurgeAfter{Expired: 3 * time.Hour, Mail: time.Hour, Replicas: time.Hour}); n != 0 || err != nil {
			t.Errorf("purged %d, %v; want nothing", n, err)
		}
		if n, err := db.Purge(t.Context(), store.PurgeAfter{Expired: time.Hour, Mail: time.Hour, Replicas: time.Hour}); n != 2 || err != nil {
			t.Errorf("purged %d, %v; want 2", n, err)
		}
		if _, err := db.Task(t.Context(), "young"); err != nil {
			t.Error(err)
		}
		if first, err := db.Spend(t.Context(), "young", young.Expires); first || err != nil {
			t.Errorf("the young nonce is forgotten: %v", err)
		}
		if n, err := db.Purge(t.Context(), store.PurgeAfter{Expired: time.Hour, Mail: -time.Hour, Replicas: -time.Hour}); n != 2 || err != nil {
			t.Errorf("purged %d, %v; want 2", n, err)
		}
	})
}
