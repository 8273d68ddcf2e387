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
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

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
	hangups := make(chan os.Signal, 1) // from the start: unheard, a SIGHUP ends the program
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", file.Config.Listen)
	if err != nil {
		faults := gateway.Faults{{Path: "listen", Message: listenFault(file.Config.Listen, err)}}
		return located(file, joinFaults(faults, p.otherFaults(ctx, file.Config)))
	}
	defer listener.Close()
	publicURL := "http://" + listener.Addr().String()
	if file.Config.PublicURL == "" {
		file.Config.PublicURL = publicURL
	}
	g, err := gateway.New(ctx, file.Config, gateway.WithLogger(log), gateway.WithProgress(p.progress()))
	if err != nil {
		return located(file, err)
	}
	logFindings(ctx, log, g)
	p.greet(strings.TrimSuffix(file.Config.PublicURL, "/"), g.Servers())
	log.InfoContext(ctx, "serving", "address", listener.Addr().String(), "servers", len(g.Servers()), "actions", len(g.Actions()),
		"generation", g.Generation())
	files.settle(listed)
	r := &reloader{program: p, gateway: g, log: log, path: path, publicURL: publicURL, files: files, read: file.Config}
	r.config.Store(&file.Config)
	var background sync.WaitGroup
	background.Go(func() { r.run(ctx, hangups) })
	err = serveUntil(ctx, listener, g, log, func() gateway.Shutdown { return r.config.Load().Shutdown })
	background.Wait()
	return errors.Join(err, g.Close())
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

// serveUntil answers requests until ctx ends. Then it says so at /readyz, goes
// on for the delay in which load balancers notice, and lets the calls in
// flight finish. ended gives the times of the config that is then in use.
func serveUntil(ctx context.Context, l net.Listener, g *gateway.Gateway, log *slog.Logger, ended func() gateway.Shutdown) error {
	server := &http.Server{
		Handler:           g.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(g.EndStreams)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	g.Drain()
	times := ended()
	log.InfoContext(ctx, "stopping: calls in flight finish first", "delay", times.Delay.String(), "timeout", times.Timeout.String())
	select {
	case err := <-failed:
		return err
	case <-time.After(times.Delay):
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), times.Timeout)
	defer cancel()
	err := server.Shutdown(drain)
	if err == nil {
		err = g.Finish(drain)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("calls in flight took longer than %v", times.Timeout), server.Close())
	}
	return nil
}

// logger makes the log, whose level p.logLevel can change.
func (p *program) logger(c gateway.Log) (*slog.Logger, error) {
	format := c.Format
	if format == "auto" {
		format = "json"
		if isTerminal(p.stderr) {
			format = "text"
		}
	}
	if err := p.setLogLevel(c.Level); err != nil {
		return nil, err
	}
	return telemetry.NewLogger(p.stderr, format, &p.logLevel)
}

func (p *program) setLogLevel(name string) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("log level: %w", err)
	}
	p.logLevel.Set(level)
	return nil
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
