package login

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	zalando "github.com/zalando/go-keyring"
)

// keyring keeps secrets by account.
type keyring interface {
	set(account, secret string) error
	// get gives ""; nil where there is none.
	get(account string) (string, error)
	delete(account string) error
}

// systemKeyring is that of the operating system: the Keychain of macOS, the
// Credential Manager of Windows, the Secret Service of Linux.
type systemKeyring struct{}

const (
	ringService = "stagedoor"
	// ringPatience is how long a keyring may take: it may ask a person to unlock it.
	ringPatience = 30 * time.Second
)

func (systemKeyring) set(account, secret string) error {
	return askRing(func() error { return zalando.Set(ringService, account, secret) })
}

func (systemKeyring) get(account string) (secret string, err error) {
	type answer struct{ secret string }
	got := make(chan answer, 1)
	err = askRing(func() error {
		secret, err := zalando.Get(ringService, account)
		got <- answer{secret}
		return err
	})
	if errors.Is(err, zalando.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return (<-got).secret, nil
}

func (systemKeyring) delete(account string) error {
	err := askRing(func() error { return zalando.Delete(ringService, account) })
	if errors.Is(err, zalando.ErrNotFound) {
		return nil
	}
	return err
}

// askRing bounds what a keyring is asked. Without a bus, asking would start one.
func askRing(ask func() error) error {
	if runtime.GOOS != "darwin" && runtime.GOOS != "windows" && !hasBus() {
		return errors.New("keyring: there is no D-Bus session to reach one by; use --store file")
	}
	done := make(chan error, 1)
	go func() { done <- ask() }()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, zalando.ErrNotFound) {
			err = fmt.Errorf("keyring: %w", err)
		}
		return err
	case <-time.After(ringPatience):
		return fmt.Errorf("keyring: no answer within %s", ringPatience)
	}
}

func hasBus() bool {
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") != "" {
		return true
	}
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	}
	_, err := os.Stat(filepath.Join(dir, "bus")) // #nosec G703 -- the user's own environment says where
	return err == nil
}
