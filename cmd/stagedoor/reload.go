package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
)

// A refused reload is tried again, less and less often: what was wrong may have
// been a document on a host that was down. Nobody has to send a signal then.
const (
	firstRetry = 10 * time.Second
	lastRetry  = 5 * time.Minute
)

// reloader keeps a running gateway at what the files say.
type reloader struct {
	program   *program
	gateway   *gateway.Gateway
	log       *slog.Logger
	path      string
	publicURL string // where the config has none
	files     *watched
	config    atomic.Pointer[gateway.Config] // that is in use
	read      gateway.Config                 // that was last read, in use or refused
	refused   string                         // why the last reload was; empty: it was not
}

// run reloads at each signal and each change of a file, and some time after a
// reload that was refused. There is one reload at a time.
func (r *reloader) run(ctx context.Context, hangups <-chan os.Signal) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	var retry <-chan time.Time
	wait := firstRetry
	for {
		switch {
		case ctx.Err() != nil:
			return
		case r.refused == "":
			retry, wait = nil, firstRetry
		case retry == nil:
			retry = time.After(wait)
			wait = min(2*wait, lastRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			r.files.mark(r.list())
			r.reload(ctx, true)
			retry, wait = nil, firstRetry
		case now := <-ticker.C:
			if r.files.changed(r.list(), now) {
				r.reload(ctx, true)
				retry, wait = nil, firstRetry
			}
		case <-retry:
			r.files.mark(r.list())
			r.reload(ctx, false)
			retry = nil
		}
	}
}

// list is all files that what was last read was made of. The gateway looks
// after documents itself, save those that it refused.
func (r *reloader) list() []string {
	if r.refused != "" {
		return slices.Concat(r.read.Files(), r.read.Documents())
	}
	return r.read.Files()
}

// reload reads config and documents again. Unasked, it says nothing that it
// has said before.
func (r *reloader) reload(ctx context.Context, asked bool) {
	before := r.gateway.Generation()
	err := r.load(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		if asked || r.refused != err.Error() {
			r.log.ErrorContext(ctx, "reload refused: all stays as it was", "faults", strings.Split(err.Error(), "\n"))
		}
		r.refused = err.Error()
		r.files.settle(r.list())
		return
	}
	r.refused = ""
	r.files.settle(r.list())
	r.config.Store(new(r.read))
	_ = r.program.setLogLevel(r.read.Log.Level) // it is one of four
	if r.gateway.Generation() == before {
		r.log.InfoContext(ctx, "reloaded: nothing is new", "generation", before)
		return
	}
	logFindings(ctx, r.log, r.gateway)
	r.log.InfoContext(ctx, "reloaded", "servers", len(r.gateway.Servers()), "actions", len(r.gateway.Actions()), "generation", r.gateway.Generation())
}

// load has the gateway take what the files say, and notes what they were.
func (r *reloader) load(ctx context.Context) error {
	var file *config.File
	err := r.gateway.ReloadFrom(ctx, func(ctx context.Context) (gateway.Config, error) {
		loaded, err := r.program.load(ctx, r.path)
		if err != nil {
			return gateway.Config{}, err
		}
		file = loaded
		if file.Config.PublicURL == "" {
			file.Config.PublicURL = r.publicURL
		}
		r.read = file.Config
		r.files.add(slices.Concat(r.read.Files(), r.read.Documents()))
		return file.Config, nil
	})
	if file != nil {
		err = located(file, err)
	}
	return err
}
