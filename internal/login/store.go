package login

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// StoreMode is where secrets are kept.
type StoreMode string

// The modes. Auto takes the keyring where there is one that answers.
const (
	StoreAuto    StoreMode = "auto"
	StoreKeyring StoreMode = "keyring"
	StoreFile    StoreMode = "file"
)

// store keeps logins in a file, and their secrets there or in the keyring of
// the operating system. Processes share it: each change is made under a lock,
// and replaces the file at once.
type store struct {
	dir  string
	mode StoreMode
	ring keyring
	out  io.Writer
}

// contents is the file.
type contents struct {
	// Clients are the OAuth clients to use, by issuer.
	Clients map[string]string `json:"clients,omitempty"`
	// Logins has the newest last.
	Logins []record `json:"logins"`
}

func openStore(dir string, mode StoreMode, out io.Writer) (*store, error) {
	switch mode {
	case "":
		mode = StoreAuto
	case StoreAuto, StoreFile, StoreKeyring:
	default:
		return nil, fmt.Errorf("store: expected auto, keyring or file, got %q", mode)
	}
	if dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("store: no folder to keep logins in: %w; set one of them", err)
		}
		dir = filepath.Join(base, "stagedoor")
	}
	return &store{dir: dir, mode: mode, ring: systemKeyring{}, out: out}, nil
}

func (st *store) path() string { return filepath.Join(st.dir, "tokens.json") }

// read gives what is stored. A file that others may read is closed to them.
func (st *store) read() (contents, error) {
	c := contents{Clients: map[string]string{}}
	info, err := os.Stat(st.path())
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("stored logins: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(st.path(), 0o600); err != nil {
			return c, fmt.Errorf("stored logins: others may read %s, and that cannot be changed: %w", st.path(), err)
		}
		say(st.out, "%s could be read by others of this machine: its mode is 0600 now. If they are not to be trusted: stagedoor logout --all, and log in again\n", st.path())
	}
	data, err := os.ReadFile(st.path())
	if err != nil {
		return c, fmt.Errorf("stored logins: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("stored logins: %s is not as it was written (remove it, and log in again): %w", st.path(), err)
	}
	if c.Clients == nil {
		c.Clients = map[string]string{}
	}
	return c, nil
}

// change reads, changes and writes the file, as the only one who does.
func (st *store) change(how func(*contents)) error {
	unlock, err := st.lock(context.Background(), "tokens")
	if err != nil {
		return err
	}
	defer unlock()
	c, err := st.read()
	if err != nil {
		return err
	}
	how(&c)
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return st.write(append(data, '\n'))
}

// write replaces the file. Its readers see the old or the new one.
func (st *store) write(data []byte) error {
	f, err := os.CreateTemp(st.dir, "tokens-*") // its mode is 0600
	if err != nil {
		return fmt.Errorf("stored logins: %w", err)
	}
	_, err = io.Copy(f, bytes.NewReader(data))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), st.path())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("stored logins: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// lock is held by one of all processes at a time, under a name.
func (st *store) lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := os.MkdirAll(st.dir, 0o700); err != nil {
		return nil, fmt.Errorf("stored logins: %w", err)
	}
	type locked struct {
		unlock func()
		err    error
	}
	got := make(chan locked, 1)
	go func() {
		unlock, err := lockedfile.MutexAt(filepath.Join(st.dir, name+".lock")).Lock()
		got <- locked{unlock, err}
	}()
	select {
	case l := <-got:
		if l.err != nil {
			return nil, fmt.Errorf("stored logins: %w", l.err)
		}
		return l.unlock, nil
	case <-ctx.Done():
		go func() { // it cannot be called off
			if l := <-got; l.err == nil {
				l.unlock()
			}
		}()
		return nil, ctx.Err()
	}
}

// find gives the newest login to a server, with its secrets unless they are
// gone; client "" is any.
func (st *store) find(server, client string) (record, bool, error) {
	c, err := st.read()
	if err != nil {
		return record{}, false, err
	}
	for _, r := range slices.Backward(c.Logins) {
		if r.Server != server || client != "" && r.Client != client {
			continue
		}
		if r.Kept == StoreKeyring {
			r.Secrets, err = st.fromRing(r.Login)
		}
		return r, true, err
	}
	return record{}, false, nil
}

// save stores a login in the place of the one with its key, as the newest
// where it is a new one.
func (st *store) save(r record) error {
	kept := r.Kept
	if kept == "" {
		kept = st.mode
	}
	if kept != StoreFile {
		err := st.toRing(r)
		switch {
		case err == nil:
			kept = StoreKeyring
		case kept == StoreKeyring:
			return err
		default:
			kept = StoreFile
		}
	}
	r.Kept = kept
	if kept == StoreKeyring {
		r.Secrets = nil
	}
	var moved bool
	err := st.change(func(c *contents) {
		i := slices.IndexFunc(c.Logins, func(old record) bool { return old.key() == r.key() })
		moved = i >= 0 && c.Logins[i].Kept == StoreKeyring && kept == StoreFile
		switch {
		case i >= 0 && c.Logins[i].LoggedIn.Equal(r.LoggedIn):
			c.Logins[i] = r
			return
		case i >= 0:
			c.Logins = slices.Delete(c.Logins, i, i+1)
		}
		c.Logins = append(c.Logins, r)
		c.Clients[r.Issuer] = r.Client // it serves there: for the next login
	})
	if moved {
		_ = st.ring.delete(ringKey(r.Login)) // what it has is old, and of no use to anybody
	}
	return err
}

// ready tells whether secrets can be kept where they are wanted, before anybody
// takes the trouble of a login.
func (st *store) ready() error {
	if st.mode == StoreKeyring {
		if _, err := st.ring.get("ready"); err != nil {
			return err
		}
	}
	err := os.MkdirAll(st.dir, 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(st.dir, "ready-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("stored logins: nothing can be kept in %s: %w", st.dir, err)
	}
	return nil
}

// forget removes a login, wherever its secrets are.
func (st *store) forget(l Login) error {
	err := st.change(func(c *contents) {
		c.Logins = slices.DeleteFunc(c.Logins, func(r record) bool { return r.key() == l.key() })
	})
	if l.Kept == StoreKeyring {
		err = errors.Join(err, st.ring.delete(ringKey(l)))
	}
	return err
}

// ringKey is the account under which the keyring has a login's secrets.
func ringKey(l Login) string { return l.Server + " " + ringHash(l) }

// ringHash tells logins apart in names.
func ringHash(l Login) string {
	parts := l.key()
	sum := sha256.Sum256([]byte(strings.Join(parts[:], "\x00")))
	return hex.EncodeToString(sum[:8])
}

func (st *store) toRing(r record) error {
	data, err := json.Marshal(r.Secrets)
	if err != nil {
		return err
	}
	return st.ring.set(ringKey(r.Login), string(data))
}

// fromRing gives a login's secrets; nil: the keyring has them no more.
func (st *store) fromRing(l Login) (*secrets, error) {
	data, err := st.ring.get(ringKey(l))
	if err != nil || data == "" {
		return nil, err
	}
	s := &secrets{}
	if json.Unmarshal([]byte(data), s) != nil || s.Access == "" {
		s = nil
	}
	return s, nil
}

// File is where logins are stored.
func (s *Source) File() string { return s.store.path() }
