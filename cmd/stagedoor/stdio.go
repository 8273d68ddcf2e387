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
	"sync/atomic"
	"syscall"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// runStdio serves one MCP server to whoever started the program, on standard
// input and output, and opens no port. It reloads as [program.runServe] does.
func (p *program) runStdio(ctx context.Context, path, server string) error {
	file, err := p.load(ctx, path)
	if err != nil {
		return err
	}
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var current atomic.Pointer[gateway.Config]
	current.Store(&file.Config)
	go p.reloadWhen(ctx, hangups, watch(ctx, path, &current, g.Files), func() { p.reload(ctx, g, log, path, &current) })
	return errors.Join(g.ServeStdio(ctx, server, p.stdin, p.stdout), g.Close())
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
