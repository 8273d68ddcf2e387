package login

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stagedoor/stagedoor/internal/login/logintest"
)

// ring is a keyring in memory.
type ring struct {
	secrets map[string]string
	broken  error
	asked   int
}

func (r *ring) set(account, secret string) error {
	if r.broken == nil {
		r.secrets[account] = secret
	}
	return r.broken
}
func (r *ring) get(account string) (string, error) {
	r.asked++
	return r.secrets[account], r.broken
}

func (r *ring) delete(account string) error { delete(r.secrets, account); return r.broken }

func onRing(s *Source, r *ring) *Source {
	s.store.ring = r
	return s
}

// TestStores: where secrets are kept, and that the file has none where the
// keyring has them.
func TestStores(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mode   StoreMode
		broken error
		kept   StoreMode
		want   string
	}{
		{"auto", StoreAuto, nil, StoreKeyring, ""},
		{"keyring", StoreKeyring, nil, StoreKeyring, ""},
		{"file", StoreFile, nil, StoreFile, ""},
		{"auto, no keyring", StoreAuto, errors.New("keyring: too big"), StoreFile, ""},
		{"keyring, and there is none", StoreKeyring, errors.New("keyring: absent"), "", "keyring: absent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := logintest.New("https://mcp.example.com")
				r := &ring{secrets: map[string]string{}, broken: tt.broken}
				s, _ := open(t, p, t.TempDir(), func(o *Options) { o.Store = tt.mode })
				_, err := onRing(s, r).Login(t.Context())
				if tt.want != "" {
					if err == nil || err.Error() != tt.want {
						t.Errorf("got %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				token, err := s.Token(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if next, err := s.Refresh(t.Context(), token); err != nil || next == token {
					t.Errorf("refresh: %v", err)
				}
				file, err := os.ReadFile(s.File())
				if id, what := s.Identity(); what != nil || id.Kept != tt.kept || id.Subject != "ada" || !id.Renewable {
					t.Errorf("%+v, %v", id, what)
				}
				inFile := strings.Contains(string(file), logintest.Canary)
				if err != nil || inFile != (tt.kept == StoreFile) || (len(r.secrets) == 1) != (tt.kept == StoreKeyring) {
					t.Errorf("kept in the file: %v, keyring: %v, %v", inFile, r.secrets, err)
				}
				if _, err := s.Logout(t.Context()); err != nil && tt.broken == nil || len(r.secrets) != 0 {
					t.Errorf("after the logout: %v, %v", r.secrets, err)
				}
			})
		})
	}
}

// TestKeyringLost: secrets that are gone from the keyring are as a logout, and
// a keyring that does not answer is an error.
func TestKeyringLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		r := &ring{secrets: map[string]string{}}
		s, _ := open(t, p, t.TempDir(), func(o *Options) { o.Store = StoreAuto })
		mustLogin(t, onRing(s, r))
		r.broken = errors.New("keyring: locked")
		s.held.Store(nil)
		if _, err := s.Token(t.Context()); err == nil || errors.Is(err, ErrLoggedOut) {
			t.Errorf("got %v", err)
		}
		r.broken = nil
		for account := range r.secrets {
			r.secrets[account] = "nonsense"
		}
		s.held.Store(nil)
		if _, err := s.Token(t.Context()); !errors.Is(err, ErrLoggedOut) {
			t.Errorf("got %v", err)
		}
		clear(r.secrets)
		s.held.Store(nil)
		if _, err := s.Token(t.Context()); !errors.Is(err, ErrLoggedOut) {
			t.Errorf("got %v", err)
		}
		moved, _ := open(t, p, s.opts.Dir) // and to the file with it
		mustLogin(t, onRing(moved, r))
		if id, err := moved.Identity(); err != nil || id.Kept != StoreFile {
			t.Errorf("%+v, %v", id, err)
		}
	})
}

// TestKeyringAskedOnce: a token that holds is looked up once, for keyrings are slow.
func TestKeyringAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		r := &ring{secrets: map[string]string{}}
		s, _ := open(t, p, t.TempDir(), func(o *Options) { o.Store = StoreAuto })
		token := mustLogin(t, onRing(s, r))
		asked := r.asked
		for range 10 {
			if got, err := s.Token(t.Context()); got != token || err != nil {
				t.Fatal(err)
			}
		}
		if r.asked != asked {
			t.Errorf("asked %d times more", r.asked-asked)
		}
		other, _ := open(t, p, s.opts.Dir)
		if _, err := onRing(other, r).Logout(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Refresh(t.Context(), token); !errors.Is(err, ErrLoggedOut) {
			t.Errorf("got %v", err)
		}
		if _, err := s.Token(t.Context()); !errors.Is(err, ErrLoggedOut) {
			t.Errorf("got %v", err)
		}
	})
}

// TestSystemKeyringAbsent: without a bus, none is started to ask for a keyring.
func TestSystemKeyringAbsent(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("PATH", "")
	ring := systemKeyring{}
	_, get := ring.get("nobody")
	for what, err := range map[string]error{"get": get, "set": ring.set("nobody", "x"), "delete": ring.delete("nobody")} {
		if err == nil || !strings.Contains(err.Error(), "keyring: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestCorruptFile: a file that nobody wrote so is told, and left as it is.
func TestCorruptFile(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"logins": {}}`, `{"logins": [{"loggedIn": "yesterday"}]}`} {
		dir := t.TempDir()
		file := filepath.Join(dir, "tokens.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, _ := open(t, logintest.New("https://mcp.example.com"), dir)
		if _, err := s.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "tokens.json is not as it was written (remove it, and log in again)") {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := s.Login(t.Context()); err == nil {
			t.Errorf("%q: login succeeded", text)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != text {
			t.Errorf("%q became %q", text, now)
		}
	}
}

// TestLoginsApart is CL02: logins to servers of one authorization server, and
// with other clients, do not mix.
func TestLoginsApart(t *testing.T) {
	st, err := openStore(t.TempDir(), StoreFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := []Login{
		{Server: "https://a/1", Issuer: "https://i", Client: "c", Resource: "https://a/1"},
		{Server: "https://a/2", Issuer: "https://i", Client: "c", Resource: "https://a/2"},
		{Server: "https://a/1", Issuer: "https://j", Client: "c", Resource: "https://a/1"},
		{Server: "https://a/1", Issuer: "https://i", Client: "d", Resource: "https://a/1"},
	}
	for _, l := range all {
		if err := st.save(record{Login: l, Secrets: &secrets{Access: ringHash(l)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		server, client string
		want           int
	}{{"https://a/1", "", 3}, {"https://a/2", "", 1}, {"https://a/1", "c", 2}, {"https://a/1", "d", 3}, {"https://a/2", "d", -1}, {"https://a/1/", "", -1}} {
		got, ok, err := st.find(tt.server, tt.client)
		if err != nil || ok != (tt.want >= 0) || ok && (got.key() != all[tt.want].key() || got.Secrets.Access != ringHash(all[tt.want])) {
			t.Errorf("%s %s: %+v %v", tt.server, tt.client, got, err)
		}
	}
	if err := st.forget(all[3]); err != nil {
		t.Fatal(err)
	}
	if c, err := st.read(); err != nil || len(c.Logins) != 3 {
		t.Errorf("%d logins, %v", len(c.Logins), err)
	}
}

// TestStoreMode: what is no place to keep anything in.
func TestStoreMode(t *testing.T) {
	if _, err := Open("https://a", Options{Store: "vault", Dir: t.TempDir()}); err == nil || err.Error() != `store: expected auto, keyring or file, got "vault"` {
		t.Errorf("got %v", err)
	}
}

// TestWhoami: what tokens say, and that nothing is believed of those that say
// nothing.
func TestWhoami(t *testing.T) {
	for token, want := range map[string]Identity{
		"opaque":   {Opaque: true},
		"a.b":      {Opaque: true},
		"a.!.c":    {Opaque: true},
		"a.bnVs.c": {Opaque: true},
		"a.eyJzdWIiOiJhZGEiLCJhdWQiOlsieCIsInkiXSwiZ3JvdXBzIjoiZyIsInByZWZlcnJlZF91c2VybmFtZSI6IkFkYSJ9.c": {Subject: "ada", Name: "Ada", Audience: listOrText{"x", "y"}, Groups: listOrText{"g"}},
		"a.eyJzdWIiOiJhZGEiLCJhdWQiOjEsImdyb3VwcyI6e319.c":                                                 {Subject: "ada"},
	} {
		s, _ := open(t, logintest.New("https://mcp.example.com"), t.TempDir())
		if err := s.store.save(record{Login: Login{Server: s.Server()}, Secrets: &secrets{Access: token}}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Identity()
		if err != nil || got.Opaque != want.Opaque || got.Subject != want.Subject || got.Name != want.Name || len(got.Audience) != len(want.Audience) || len(got.Groups) != len(want.Groups) {
			t.Errorf("%s: %+v, %v", token, got, err)
		}
	}
}
