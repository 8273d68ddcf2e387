package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func openURL(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestOpenAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		if err := open().Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := open().Ping(t.Context()); err != nil { // migrations are done already
			t.Error(err)
		}
	})
}

func TestOpenMemory(t *testing.T) {
	db, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateSession(t.Context(), store.Session{ID: "a"}); err != nil {
		t.Error(err)
	}
	if _, err := db.Session(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestOpenSQLitePaths(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain.db", "with space.db", "a?b=c.db", "a#b.db", "100%25.db", "ü.db", "new/folder/x.db", "co:lon.db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			db, err := store.Open(t.Context(), "sqlite:"+path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			info, err := os.Stat(path)
			if err != nil {
				t.Fatalf("the file has another name: %v", err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, want 0600", info.Mode())
			}
			if _, err := os.Stat(path + "-wal"); err != nil {
				t.Errorf("no write-ahead log: %v", err)
			}
		})
	}
}

func TestOpenSQLiteRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	db, err := store.Open(t.Context(), "sqlite:stagedoor.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := os.Stat("stagedoor.db"); err != nil {
		t.Error(err)
	}
}

func TestOpenFaults(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("not a database\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, url, want string }{
		{"no scheme", "stagedoor.db", `database URL: expected "sqlite:path" or "postgres://`},
		{"other scheme", "mysql://root:hunter2@host/db", `database URL: expected`},
		{"empty", "", `database URL: expected`},
		{"no path", "sqlite:", `database URL: "sqlite:" needs a path`},
		{"folder", "sqlite:" + dir, "database " + dir + ": is a folder, expected a file"},
		{"not a database", "sqlite:" + garbage, "database " + garbage + ": is not a SQLite database"},
		{"below a file", "sqlite:" + garbage + "/x.db", "not a directory"},
		{"bad port", "postgres://u:hunter2@host:port/db", "database URL: not a Postgres URL"},
		{"unreachable", "postgres://u:hunter2@127.0.0.1:1/db", "database 127.0.0.1:1/db: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			db, err := store.Open(t.Context(), test.url)
			if err == nil {
				db.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q\nwant    %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error tells the password: %v", err)
			}
		})
	}
}

func TestOpenReadOnly(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write anywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), "sqlite:"+dir+"/x.db")
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("error %v, want permission denied", err)
	}
}
