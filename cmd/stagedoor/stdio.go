package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// runStdio serves one MCP server to whoever started the program, on standard
// input and output, and opens no port. It reloads as [program.runServe] does.
func (p *program) runStdio(ctx context.Context, path, server string) error {
	files := newWatched(path)
	file, err := p.load(ctx, path)
	if err != nil {
		return err
	}
	listed := file.Config.Files()
	files.add(listed)
	log, err := p.logger(file.Config.Log)
	if err != nil {
		return err
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	g, err := gateway.New(ctx, file.Config, gateway.WithLogger(log))
	if err != nil {
		return located(file, err)
	}
	if err := knows(g, server); err != nil {
		return errors.Join(err, g.Close())
	}
	logFindings(ctx, log, g)
	log.InfoContext(ctx, "serving on standard input and output", slog.String("server", server))
	files.settle(listed)
	r := &reloader{program: p, gateway: g, log: log, path: path, files: files, read: file.Config}
	r.config.Store(&file.Config)
	reloading, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { r.run(reloading, hangups) })
	err = g.ServeStdio(ctx, server, p.stdin, p.stdout)
	stop()
	background.Wait()
	return errors.Join(err, g.Close())
}

// knows makes sure that the gateway has the server.
func knows(g *gateway.Gateway, server string) error {
	var names []string
	for _, s := range g.Servers() {
		names = append(names, s.Name)
	}
	if slices.Contains(names, server) {
		return nil
	}
	message := fmt.Sprintf("server %q is not in the config", server)
	if hint := suggest.Hint(server, names); hint != "" {
		message += " (" + strings.TrimSpace(hint) + ")"
	}
	return errors.New(message)
}
