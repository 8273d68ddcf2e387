package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/session"
)

// memory is a database that can be away.
type memory struct {
	mu      sync.Mutex
	records []audit.Record
	fault   error
	hangs   bool
	batches int
}

func (m *memory) AddAudit(ctx context.Context, records []audit.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	m.batches++
	if m.fault == nil {
		m.records = append(m.records, records...)
	}
	return m.fault
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = err
}

func (m *memory) all() []audit.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records
}

var ada = &principal.Principal{Kind: principal.User, Subject: "ada", Issuer: "https://idp.example", Client: "cli", Actor: "plugin:x", Token: principal.NewToken("canary-token")}

func call(i int) audit.Call {
	return audit.Call{
		Face: audit.MCP, Door: "sales", Ref: fmt.Sprint("ref", i), Principal: ada, Client: "inspector/1", Method: "tools/call", Tool: "billing_get",
		Action: "billing:get", Plugin: "billing", Rule: "rules[0]", Arguments: []byte(`{"password":"canary","id":7}`), Outcome: "ok", Status: 200, Duration: time.Millisecond,
	}
}

func TestDecisions(t *testing.T) {
	for _, test := range []struct {
		outcome, action string
		want            audit.Decision
	}{
		{"ok", "a:b", audit.Allowed}, {"rejected", "a:b", audit.Allowed}, {"internal", "a:b", audit.Allowed}, {"not_confirmed", "a:b", audit.Allowed},
		{"denied", "a:b", audit.Denied}, {"unknown_tool", "a:b", audit.Denied}, {"unknown_tool", "", audit.Unknown}, {"unknown_action", "", audit.Unknown},
		{"invalid_request", "", audit.Invalid}, {"invalid_arguments", "a:b", audit.Invalid}, {"insufficient_scope", "a:b", audit.InsufficientScope},
		{"rate_limited", "a:b", audit.RateLimited},
	} {
		c := audit.Call{Outcome: test.outcome, Action: test.action}
		if got := c.Decision(); got != test.want {
			t.Errorf("%s of %q is %s, want %s", test.outcome, test.action, got, test.want)
		}
	}
	for status, want := range map[int]audit.Decision{
		400: audit.Unauthenticated, 401: audit.Unauthenticated, 403: audit.Denied, 429: audit.RateLimited, 503: audit.Unauthenticated,
	} {
		c := audit.Turned(audit.MCP, "sales", "ref", "POST", &principal.Refusal{Status: status})
		if got := c.Decision(); got != want || c.Principal != nil {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}

// TestLine holds the log's line to what the docs say.
func TestLine(t *testing.T) {
	for _, test := range []struct {
		arguments string
		call      audit.Call
		want      string
	}{
		{audit.NoArguments, call(1), `level=INFO msg=call face=mcp server=sales method=tools/call tool=billing_get principal=ada decision=allowed outcome=ok duration=1ms ref=ref1 kind=user issuer=https://idp.example oauthClient=cli actor=plugin:x client=inspector/1 plugin=billing action=billing:get rule=rules[0] status=200`},
		{audit.Redacted, audit.Call{Face: audit.Stdio, Door: "sales", Principal: &principal.Principal{}, Tool: "a\nb", Arguments: []byte(`{"password":"canary","id":7}`), Outcome: "unknown_tool"}, `level=INFO msg=call face=stdio server=sales method="" tool="a\nb" principal="" decision=unknown outcome=unknown_tool duration=0s ref="" arguments="{\"id\":7,\"password\":\"[redacted]\"}"`},
		{audit.Fingerprint, audit.Call{Face: audit.MCP, Door: "sales", Principal: ada, Outcome: "internal", Err: errors.New("inner.host")}, `level=ERROR msg=call face=mcp server=sales method="" tool="" principal=ada decision=allowed outcome=internal duration=0s ref="" kind=user issuer=https://idp.example oauthClient=cli actor=plugin:x error=inner.host`},
		{audit.NoArguments, audit.Turned(audit.ActionsAPI, "actions-api", "r", "GET", &principal.Refusal{Status: 401, Message: "token is unknown"}), `level=INFO msg=call face=actions-api server=actions-api method=GET tool="" principal="" decision=unauthenticated outcome=unauthenticated duration=0s ref=r status=401 error="token is unknown"`},
	} {
		var log bytes.Buffer
		trail := audit.New(audit.Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Key: []byte("key")})
		trail.Set(audit.Settings{Arguments: test.arguments, Database: true}) // there is none, and nobody minds
		trail.Record(t.Context(), test.call)
		if _, line, _ := strings.Cut(strings.TrimSpace(log.String()), " "); line != test.want {
			t.Errorf("got  %s\nwant %s", line, test.want)
		}
	}
}

// start runs a trail with the database on, until stop.
func start(t *testing.T, m *memory, log *bytes.Buffer) (trail *audit.Trail, lost *atomic.Int64, stop func()) {
	lost = new(atomic.Int64)
	trail = audit.New(audit.Options{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})), Key: []byte("key"), Store: m, Lost: func(n int) { lost.Add(int64(n)) }})
	trail.Set(audit.Settings{Arguments: audit.Fingerprint, Database: true})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { trail.Run(ctx) })
	return trail, lost, func() { cancel(); running.Wait() }
}

func TestRecordsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		trail, lost, stop := start(t, m, new(bytes.Buffer))
		for i := range 1000 {
			trail.Record(t.Context(), call(i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(m.all()) != 1000 || m.batches > 10 {
			t.Errorf("%d records in %d batches", len(m.all()), m.batches)
		}
		trail.Record(t.Context(), call(1000))
		stop()
		records := m.all()
		if len(records) != 1001 || lost.Load() != 0 {
			t.Fatalf("%d records at the end, %d lost", len(records), lost.Load())
		}
		ids := map[string]bool{}
		for _, r := range records {
			ids[r.ID] = true
		}
		r := records[1000]
		asJSON, err := json.Marshal(r)
		if len(ids) != 1001 || err != nil || strings.Contains(string(asJSON), "canary") {
			t.Errorf("%d ids, %v, %s", len(ids), err, asJSON)
		}
		if r.Ref != "ref1000" || r.Subject != "ada" || r.Kind != "user" || len(r.Arguments) != 16 || r.Arguments != records[0].Arguments || r.Count != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// TestDatabaseAway: records wait, and what there is no room for is counted;
// calls never wait.
func TestDatabaseAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := &memory{fault: fmt.Errorf("x: %w", session.ErrAway)}, new(bytes.Buffer)
		trail, lost, stop := start(t, m, log)
		began := time.Now()
		for i := range 10_000 {
			trail.Record(t.Context(), call(i))
		}
		if time.Since(began) != 0 {
			t.Errorf("calls waited for %v", time.Since(began))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if lost.Load() < 5000 || lost.Load() > 10_000-4096 || strings.Count(log.String(), "wait for the database") != 1 {
			t.Errorf("%d lost, log:\n%s", lost.Load(), log)
		}
		m.fail(nil)
		stop()
		if got := len(m.all()); int64(got)+lost.Load() != 10_000 || got < 4096 {
			t.Errorf("%d kept, %d lost", got, lost.Load())
		}
	})
}

// TestDatabaseRefuses: what cannot be written holds up nothing.
func TestDatabaseRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := &memory{fault: errors.New("disk is full")}, new(bytes.Buffer)
		trail, lost, stop := start(t, m, log)
		trail.Record(t.Context(), call(1))
		time.Sleep(time.Second)
		m.fail(nil)
		trail.Record(t.Context(), call(2))
		stop()
		if len(m.all()) != 1 || lost.Load() != 1 || !strings.Contains(log.String(), "disk is full") {
			t.Errorf("%v, %d lost, log:\n%s", m.all(), lost.Load(), log)
		}
	})
}

// TestStopIsBounded: a database that hangs does not hold up the end.
func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{hangs: true}
		trail, lost, stop := start(t, m, new(bytes.Buffer))
		for i := range 1000 {
			trail.Record(t.Context(), call(i))
		}
		began := time.Now()
		stop()
		if took := time.Since(began); took > 6*time.Second || lost.Load() != 1000 {
			t.Errorf("the end took %v, %d lost", took, lost.Load())
		}
	})
}

// TestFloodsAreCounted: requests that were turned away are a record a minute,
// way in and reason, and those of a principal over its limit one of its own.
func TestFloodsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		trail, _, stop := start(t, m, new(bytes.Buffer))
		limited := call(1)
		limited.Outcome = string(audit.RateLimited)
		for i := range 5000 {
			trail.Record(t.Context(), audit.Turned(audit.MCP, "sales", fmt.Sprint(i), "POST", &principal.Refusal{Status: http.StatusUnauthorized}))
			trail.Record(t.Context(), limited)
		}
		for i := range 3000 { // more principals than are told apart
			one := limited
			one.Principal = &principal.Principal{Kind: principal.User, Subject: fmt.Sprint("user", i)}
			trail.Record(t.Context(), one)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		stop()
		records, sum, anonymous, adas := m.all(), 0, 0, 0
		for _, r := range records {
			sum += r.Count
			switch {
			case r.Decision == audit.Unauthenticated:
				anonymous = r.Count
			case r.Subject == "ada":
				adas = r.Count
			}
		}
		if len(records) > 1002 || sum != 13_000 || anonymous != 5000 || adas != 5000 {
			t.Errorf("%d records of %d requests, %d of nobody, %d of ada's", len(records), sum, anonymous, adas)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	for _, database := range []bool{false, true} {
		for _, arguments := range []string{audit.NoArguments, audit.Fingerprint, audit.Redacted} {
			b.Run(fmt.Sprintf("%s/database=%v", arguments, database), func(b *testing.B) {
				trail := audit.New(audit.Options{Log: slog.New(slog.DiscardHandler), Key: []byte("key"), Store: &memory{fault: errors.New("no")}, Lost: func(int) {}})
				trail.Set(audit.Settings{Arguments: arguments, Database: database})
				c := call(1)
				b.ReportAllocs()
				for b.Loop() {
					trail.Record(b.Context(), c)
				}
			})
		}
	}
}
