package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// call is the record of one.
func call(id string, at time.Time) audit.Record {
	return audit.Record{
		ID: id, Time: at, Ref: "abcdefghjk", Face: audit.MCP, Server: "sales", Method: "tools/call", Kind: "user", Subject: "ada",
		Issuer: "https://idp.example", OAuthClient: "cli", Actor: "plugin:scaffolder", Client: "inspector/1.0", Tool: "billing_get", Action: "billing:get",
		Plugin: "billing", Decision: audit.Allowed, Rule: "rules[0]", Arguments: "0123456789abcdef", Outcome: "ok", Status: 200,
		Duration: 1500 * time.Microsecond, Count: 1,
	}
}

func TestAudit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db, now := open(), time.Now().UTC().Truncate(time.Millisecond)
		denied := call("2", now.Add(-time.Minute))
		denied.Subject, denied.Decision, denied.Action, denied.Plugin, denied.Server = "bob", audit.Denied, "billing:drop", "drops", "ops"
		all := []audit.Record{call("1", now.Add(-time.Hour)), denied, call("3", now)}
		for range 2 { // what is written again is there once
			if err := db.AddAudit(t.Context(), all); err != nil {
				t.Fatal(err)
			}
		}
		for name, test := range map[string]struct {
			query audit.Query
			want  []int
		}{
			"all":      {audit.Query{}, []int{0, 1, 2}},
			"newest":   {audit.Query{Limit: 2}, []int{1, 2}},
			"since":    {audit.Query{Since: now.Add(-time.Minute)}, []int{1, 2}},
			"until":    {audit.Query{Until: now}, []int{0, 1}},
			"subject":  {audit.Query{Subject: "bob"}, []int{1}},
			"server":   {audit.Query{Server: "sales"}, []int{0, 2}},
			"action":   {audit.Query{Action: "billing:drop"}, []int{1}},
			"plugin":   {audit.Query{Plugin: "drops"}, []int{1}},
			"decision": {audit.Query{Decisions: []audit.Decision{audit.Denied, audit.Unknown}}, []int{1}},
			"nothing":  {audit.Query{Subject: "' OR 1=1 --"}, nil},
		} {
			if test.query.Limit == 0 {
				test.query.Limit = 10
			}
			got, err := open().Audit(t.Context(), test.query)
			want := make([]audit.Record, 0, len(test.want))
			for _, i := range test.want {
				want = append(want, all[i])
			}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v\n%s", name, err, diff)
			}
		}
	})
}

// TestAuditTakesAnything: what callers name is no reason to lose the records
// beside it.
func TestAuditTakesAnything(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db, odd := open(), call("1", time.Now())
		odd.Tool, odd.Subject, odd.Client = "a\x00b", "\xff\xfe", strings.Repeat("é", 10_000)
		if err := db.AddAudit(t.Context(), []audit.Record{odd}); err != nil {
			t.Fatal(err)
		}
		got, err := db.Audit(t.Context(), audit.Query{Limit: 1})
		if err != nil || len(got) != 1 || got[0].Tool != "a\uFFFDb" || got[0].Subject != "\uFFFD" {
			t.Errorf("%v %+v", err, got)
		}
	})
}

func TestAuditIsPurged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db, now := open(), time.Now()
		var old []audit.Record
		for i := range 4500 { // more than one statement removes
			old = append(old, call(fmt.Sprint("old", i), now.Add(-25*time.Hour)))
		}
		if err := db.AddAudit(t.Context(), append(old, call("new", now.Add(-23*time.Hour)))); err != nil {
			t.Fatal(err)
		}
		if n, err := db.Purge(t.Context(), store.PurgeAfter{}); n != 0 || err != nil {
			t.Errorf("without a bound %d went, %v", n, err)
		}
		if n, err := db.Purge(t.Context(), store.PurgeAfter{Audit: 24 * time.Hour}); n != len(old) || err != nil {
			t.Errorf("%d of %d went, %v", n, len(old), err)
		}
		if left, err := db.Audit(t.Context(), audit.Query{Limit: 10}); len(left) != 1 || left[0].ID != "new" || err != nil {
			t.Errorf("%v %v", left, err)
		}
	})
}

// TestRead reads beside a gateway that writes, and can change nothing.
func TestRead(t *testing.T) {
	for name, url := range map[string]string{"sqlite": storetest.SQLite(t), "postgres": storetest.Postgres(t)} {
		if name == "sqlite" {
			if _, err := store.Read(t.Context(), url); err == nil || !strings.Contains(err.Error(), "no gateway has kept anything in it yet") {
				t.Errorf("a file that is not there: %v", err)
			}
		} else {
			early, err := store.Read(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := early.Audit(t.Context(), audit.Query{Limit: 1}); err == nil || !strings.Contains(err.Error(), "no gateway of this version has opened it yet") {
				t.Errorf("a database without tables: %v", err)
			}
			_ = early.Close()
		}
		writer, err := store.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer writer.Close()
		reader, err := store.Read(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		if err := writer.AddAudit(t.Context(), []audit.Record{call("1", time.Now())}); err != nil {
			t.Fatal(err)
		}
		if got, err := reader.Audit(t.Context(), audit.Query{Limit: 9}); len(got) != 1 || err != nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
		if err := reader.AddAudit(t.Context(), []audit.Record{call("2", time.Now())}); err == nil {
			t.Errorf("%s: who reads has written", name)
		}
	}
}
