// The program conformance holds a built gateway to the official conformance
// suites of MCP, or gives it to a client to work with. It starts the conformance
// plugin and the gateway in front of it, on free loopback ports.
//
//	conformance -gateway bin/stagedoor -suites FOLDER      runs the suites that npm installed in the folder
//	conformance -gateway bin/stagedoor COMMAND ARGUMENT…   runs a command beside the gateway
//
// A command finds in its environment GATEWAY_URL (http://127.0.0.1:1234), GATEWAY
// (the binary), GATEWAY_CONFIG (a file; the server in it is called everything) and
// CONFORMANCE_PLUGIN (the plugin's URL, which the config reads).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	binary := flags.String("gateway", "", "the program to test")
	suites := flags.String("suites", "", "the folder whose package.json names the suites, installed")
	expected := flags.String("expected", "", "what is known to fail: a file with lines of suite, scenario[:check] and reason")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *binary == "" || (*suites == "") == (flags.NArg() == 0) {
		return errors.New("-gateway, and either -suites or a command, are needed")
	}
	dir, err := os.MkdirTemp("", "stagedoor-conformance-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f, err := start(ctx, *binary, dir)
	if err != nil {
		return err
	}
	if *suites == "" {
		err = f.command(ctx, flags.Args())
	} else {
		err = f.conformance(ctx, *suites, *expected)
	}
	if err != nil {
		err = fmt.Errorf("%w\nthe end of the gateway's log:\n%s", err, f.log.tail())
	}
	return errors.Join(err, f.stop())
}

// command runs a client of the gateway.
func (f *fixture) command(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the caller's own command
	cmd.Env = append(os.Environ(), "GATEWAY_URL="+f.url, "GATEWAY="+f.binary, "GATEWAY_CONFIG="+f.config, f.plugin)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// conformance runs every suite, prints what came of it, and compares that with
// what is known to fail.
func (f *fixture) conformance(ctx context.Context, suites, expected string) error {
	known, err := readKnown(expected)
	if err != nil {
		return err
	}
	var results []result
	for _, s := range allSuites() {
		found, err := s.run(ctx, suites, f.url+"/mcp/everything", filepath.Join(f.dir, s.name))
		if err != nil {
			return err
		}
		results = append(results, found...)
	}
	table, err := report(results, known)
	_, written := os.Stdout.WriteString(table)
	return errors.Join(err, written)
}
