package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// drainFor is how long calls in flight may take to finish at the end.
const drainFor = 30 * time.Second

func (p *program) serve() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Run the gateway",
		Long:    "Runs the gateway until it is interrupted. SIGHUP, and a change of the config file or of a document in a file, loads everything again; with any fault all stays as it was.",
		Example: "  stagedoor serve --config config.yaml\n  stagedoor serve --config config.yaml --stdio catalog",
		Args:    cobra.NoArgs,
	}
	path := configFlag(cmd)
	stdio := cmd.Flags().String("stdio", "", "serve this MCP `server` alone, on standard input and output")
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		if *stdio != "" {
			return p.runStdio(cmd.Context(), *path, *stdio)
		}
		return p.runServe(cmd.Context(), *path)
	})
	return cmd
}

// runServe: config, listener, gateway, and then serving until ctx ends.
func (p *program) runServe(ctx context.Context, path string) error {
	file, err := p.load(ctx, path)
	if err != nil {
		return err
	}
	log, err := p.logger(file.Config.Log)
	if err != nil {
		return err
	}
	hangups := make(chan os.Signal, 1) // from the start: unheard, a SIGHUP ends the program
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", file.Config.Listen)
	if err != nil {
		faults := gateway.Faults{{Path: "listen", Message: listenFault(file.Config.Listen, err)}}
		return located(file, joinFaults(faults, p.otherFaults(ctx, file.Config)))
	}
	defer listener.Close()
	if file.Config.PublicURL == "" {
		file.Config.PublicURL = "http://" + listener.Addr().String()
	}
	g, err := gateway.New(ctx, file.Config, gateway.WithLogger(log), gateway.WithProgress(p.progress()))
	if err != nil {
		return located(file, err)
	}
	logFindings(ctx, log, g)
	p.greet(file.Config.PublicURL, g.Servers())
	log.InfoContext(ctx, "serving", "address", listener.Addr().String(), "servers", len(g.Servers()), "actions", len(g.Actions()))

	var current atomic.Pointer[gateway.Config]
	current.Store(&file.Config)
	go p.reloadWhen(ctx, hangups, watch(ctx, path, &current, g.Files), func() { p.reload(ctx, g, log, path, &current) })
	return errors.Join(serveUntil(ctx, listener, g.Handler(), log), g.Close())
}

// otherFaults finds what else serve would refuse.
func (p *program) otherFaults(ctx context.Context, cfg gateway.Config) error {
	g, err := gateway.New(ctx, cfg, gateway.Offline())
	if err == nil {
		err = g.Close()
	}
	return joinFaults(gateway.CheckDatabase(ctx, cfg), err)
}

func listenFault(address string, err error) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Sprintf("%s is in use by another program", address)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Sprintf("%s cannot be listened on: %v", address, err)
}

// serveUntil answers requests until ctx ends, and then lets those in flight
// finish.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	log.InfoContext(ctx, "stopping: calls in flight finish first")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("calls in flight took longer than %v", drainFor), server.Close())
	}
	return nil
}

// reloadWhen reloads at each signal and each change of a file.
func (p *program) reloadWhen(ctx context.Context, hangups <-chan os.Signal, changes <-chan struct{}, reload func()) {
	for {
		select {
		case <-hangups:
			reload()
		case <-changes:
			reload()
		case <-ctx.Done():
			return
		}
	}
}

// reload is what SIGHUP and a changed file do. Address and public URL stay those of the start.
func (p *program) reload(ctx context.Context, g *gateway.Gateway, log *slog.Logger, path string, current *atomic.Pointer[gateway.Config]) {
	file, err := p.load(ctx, path)
	if err == nil {
		if file.Config.PublicURL == "" {
			file.Config.PublicURL = current.Load().PublicURL
		}
		err = located(file, g.Reload(ctx, file.Config))
	}
	if err != nil {
		log.ErrorContext(ctx, "reload refused: all stays as it was", "faults", strings.Split(err.Error(), "\n"))
		return
	}
	current.Store(&file.Config)
	logFindings(ctx, log, g)
	log.InfoContext(ctx, "reloaded", "servers", len(g.Servers()), "actions", len(g.Actions()))
}

func (p *program) logger(c gateway.Log) (*slog.Logger, error) {
	format := c.Format
	if format == "auto" {
		format = "json"
		if isTerminal(p.stderr) {
			format = "text"
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	return telemetry.NewLogger(p.stderr, format, level)
}

// logFindings tells what the documents lack; advice only when debugging.
func logFindings(ctx context.Context, log *slog.Logger, g *gateway.Gateway) {
	for _, f := range g.Findings() {
		level := slog.LevelDebug
		if f.Severity != "info" {
			level = slog.LevelWarn
		}
		log.Log(ctx, level, "finding", "severity", string(f.Severity), "place", f.Location.String(), "code", f.Code, "operation", f.Operation, "message", f.Message, "hint", f.Hint)
	}
}
