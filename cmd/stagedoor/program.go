package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
)

// Exit codes of every command.
const (
	exitFine    = 0
	exitFailure = 1 // findings, or the command could not do it
	exitUsage   = 2 // the command line is wrong, or a diff has nothing to compare
)

// program is the command line as a value: tests make their own.
type program struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	environ []string

	logLevel slog.LevelVar // of the running gateway's log
}

// failure is an error of a command that was called rightly.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// incomparable is why two things could not be compared: 1 means that they
// differ, as with diff(1).
type incomparable struct{ error }

func (i incomparable) Unwrap() error { return i.error }

// errSilent fails without a word: all has been said.
var errSilent = errors.New("")

// run executes a command line and gives its exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var failed failure
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &failed):
		p.complain(failed.error)
		if _, not := errors.AsType[incomparable](err); not {
			return exitUsage
		}
		return exitFailure
	}
	fmt.Fprintf(p.stderr, "stagedoor: %v\nstagedoor --help says what there is\n", err)
	return exitUsage
}

// complain prints what went wrong. Faults of a config have a line each.
func (p *program) complain(err error) {
	var issues config.Issues
	switch {
	case errors.Is(err, errSilent):
	case errors.As(err, &issues) && isTerminal(p.stderr):
		_ = issues.Print(p.stderr, true) // a terminal that is gone needs no words
	case errors.As(err, &issues):
		fmt.Fprintln(p.stderr, issues)
	default:
		fmt.Fprintln(p.stderr, "stagedoor:", err)
	}
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "stagedoor",
		Short:         "A gateway that gives AI agents safe tools from OpenAPI documents",
		Version:       gateway.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.AddCommand(p.serve(), p.check(), p.lint(), p.diff(), p.lock(), p.plugins(), p.actions(), p.tools(), p.explain(), p.catalogEntities(), p.audit(), p.overlay(), p.schema(),
		p.login(), p.token(), p.whoami(), p.logout(), p.connect())
	return root
}

// does wraps a command's work, so that its errors are told from usage errors.
func does(work func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := work(cmd, args); err != nil {
			return failure{err}
		}
		return nil
	}
}

// configFlag adds --config.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", "config.yaml", "config `file`")
}

// jsonFlag adds --json.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON")
}

func (p *program) printJSON(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// load reads a config. Where it is wrong, what else is wrong with the plugins
// and servers that it describes is reported along with it.
func (p *program) load(ctx context.Context, path string) (*config.File, error) {
	file, err := config.Load(path, p.environ)
	if err == nil || file == nil {
		return file, err
	}
	g, more := gateway.New(ctx, file.Config, gateway.Offline())
	if more == nil {
		_ = g.Close() // it was in memory
		return nil, err
	}
	return nil, located(file, more)
}

// open loads a config and makes a gateway of it; its faults have their places.
func (p *program) open(ctx context.Context, path string, options ...gateway.Option) (*gateway.Gateway, error) {
	file, err := p.load(ctx, path)
	if err != nil {
		return nil, err
	}
	g, err := gateway.New(ctx, file.Config, options...)
	return g, located(file, err)
}

// located gives faults their places in the file.
func located(file *config.File, err error) error {
	var faults gateway.Faults
	if errors.As(err, &faults) && len(faults) > 0 {
		return file.Locate(faults)
	}
	return err
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
