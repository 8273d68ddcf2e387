package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/stagedoor/stagedoor/internal/store"
)

// required is the environment variable that turns a missing Postgres from a
// skip into a failure: STAGEDOOR_TEST_POSTGRES=required.
const required = "STAGEDOOR_TEST_POSTGRES"

// shared is the test binary's one cluster: initdb takes seconds.
var shared struct {
	once    sync.Once
	cluster *cluster
	err     error
	count   atomic.Int64
}

// Main runs a package's tests and stops the Postgres that they started:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "postgres stop:", err)
		}
	}
	return code
}

// Each runs the test on SQLite and on Postgres. Every call of open gives
// another handle of the same fresh database, as another replica would have it;
// handles are closed when the test ends.
func Each(t *testing.T, test func(t *testing.T, open func() *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, opener(t, SQLite(t))) })
	t.Run("postgres", func(t *testing.T) { test(t, opener(t, Postgres(t))) })
}

// EachBenchmark is Each for benchmarks.
func EachBenchmark(b *testing.B, benchmark func(b *testing.B, open func() *store.DB)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { benchmark(b, opener(b, SQLite(b))) })
	b.Run("postgres", func(b *testing.B) { benchmark(b, opener(b, Postgres(b))) })
}

// SQLite gives the URL of a fresh SQLite database.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// Postgres gives the URL of a fresh Postgres database. Without Postgres the
// test is skipped, or fails where the environment requires it.
func Postgres(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.cluster, shared.err = startCluster() })
	if errors.Is(shared.err, errMissing) && os.Getenv(required) != "required" {
		t.Skip(shared.err)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	name := fmt.Sprintf("test%d", shared.count.Add(1))
	if err := shared.cluster.create(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return shared.cluster.url(name)
}

// Connections counts those that a database has, beside the one that asks.
func Connections(t testing.TB, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		const count = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
		err = errors.Join(conn.QueryRow(t.Context(), count).Scan(&n), conn.Close(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Dump gives all rows of all tables of a Postgres database as text, bytes in
// hexadecimal, for tests about what must not be there.
func Dump(t testing.TB, url string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	texts := func(query string) (all []string) {
		rows, err := conn.Query(t.Context(), query)
		if err == nil {
			all, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	var out strings.Builder
	for _, table := range texts(`SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`) {
		for _, row := range texts(`SELECT t::text FROM ` + pgx.Identifier{table}.Sanitize() + ` t`) {
			out.WriteString(table + " " + row + "\n")
		}
	}
	return out.String()
}

// Server is a Postgres of one test alone, which may stop and start it.
type Server struct {
	URL string // of a fresh database

	t       testing.TB
	cluster *cluster
}

// NewServer starts one, which takes seconds. Without Postgres it is as with
// [Postgres].
func NewServer(t testing.TB) *Server {
	t.Helper()
	c, err := startCluster()
	if errors.Is(err, errMissing) && os.Getenv(required) != "required" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.remove(); err != nil {
			t.Error(err)
		}
	})
	return &Server{URL: c.url("postgres"), t: t, cluster: c}
}

// Stop breaks all connections and ends the server. What was committed stays.
func (s *Server) Stop() { s.cluster.stop(syscall.SIGINT) }

// Start starts the server that was stopped, and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.cluster.start(); err != nil {
		s.t.Fatal(err)
	}
}

func opener(t testing.TB, url string) func() *store.DB {
	return func() *store.DB {
		t.Helper()
		db, err := store.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db
	}
}
