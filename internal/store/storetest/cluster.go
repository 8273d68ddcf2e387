// Package storetest runs tests on every database that the gateway supports.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout is generous: the machine may be busy with other tests.
const startTimeout = 30 * time.Second

// errMissing says that Postgres is not installed.
var errMissing = errors.New("postgres is not installed (no initdb on PATH or below /usr/lib/postgresql)")

// cluster is a throw-away Postgres server on a Unix socket.
type cluster struct {
	dir        string
	bin        string
	attributes *syscall.SysProcAttr
	process    *exec.Cmd
}

func startCluster() (_ *cluster, err error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	attributes, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sdpg")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, bin: bin, attributes: attributes}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.remove())
		}
	}()
	if attributes.Credential != nil {
		if err := os.Chown(dir, int(attributes.Credential.Uid), int(attributes.Credential.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := command(attributes, dir, filepath.Join(bin, "initdb"),
		"-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	err = c.start()
	return c, err
}

// start runs the server, again too, and waits until it answers.
func (c *cluster) start() error {
	c.process = command(c.attributes, c.dir, filepath.Join(c.bin, "postgres"), "-D", filepath.Join(c.dir, "data"), "-k", c.dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	if err := c.process.Start(); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return c.wait()
}

func command(attributes *syscall.SysProcAttr, dir, path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...) // #nosec G204 -- test harness
	cmd.SysProcAttr = attributes
	cmd.Dir = dir
	return cmd
}

// findPostgres gives the folder of initdb and postgres.
func findPostgres() (string, error) {
	var candidates []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			candidates = append(candidates, filepath.Dir(target))
		}
	}
	installed, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	for _, dir := range append(candidates, installed...) {
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err == nil {
			return dir, nil
		}
	}
	return "", errMissing
}

// unprivileged says who runs Postgres, which refuses to run as root.
func unprivileged() (*syscall.SysProcAttr, error) {
	attributes := dieWithParent()
	if os.Getuid() != 0 {
		return attributes, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return attributes, nil
	}
	return nil, errors.New("users: neither postgres nor nobody is there to run Postgres")
}

// url names a database of the cluster.
func (c *cluster) url(database string) string {
	return "postgres://postgres@/" + database + "?host=" + c.dir
}

func (c *cluster) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.url("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("postgres start: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// create makes an empty database.
func (c *cluster) create(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return errors.Join(err, conn.Close(ctx))
}

// stop ends the server: SIGINT is Postgres's fast shutdown, SIGQUIT is immediate.
func (c *cluster) stop(how syscall.Signal) {
	if c.process == nil || c.process.Process == nil {
		return
	}
	if err := c.process.Process.Signal(how); err == nil {
		_ = c.process.Wait() // it exits with the signal, which is no news
	}
}

func (c *cluster) remove() error {
	c.stop(syscall.SIGQUIT) // nothing here is worth a checkpoint
	return os.RemoveAll(c.dir)
}
