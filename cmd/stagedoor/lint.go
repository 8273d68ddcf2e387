package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/lint"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// lintFlags are those of lint.
type lintFlags struct {
	mode     string
	overlays []string
	refs     string
	failOn   string
	json     *bool
	sarif    bool
	summary  bool
}

func (p *program) lint() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint SPEC...",
		Short: "Report what OpenAPI documents come to",
		Long: `Converts documents (files, globs, URLs, - for standard input) as the gateway
would, and prints what it finds, how many operations become actions, and what a
model will see of them. With --json each document is one JSON object on a line
of its own. docs/findings.md explains each code.`,
		Example: "  stagedoor lint --actions all openapi.yaml\n  stagedoor lint --json specs/*.yaml\n  stagedoor lint --sarif specs/*.yaml > stagedoor.sarif",
		Args:    cobra.MinimumNArgs(1),
	}
	var f lintFlags
	flags := cmd.Flags()
	f.json = jsonFlag(cmd)
	flags.BoolVar(&f.sarif, "sarif", false, "print SARIF 2.1.0, for code scanning")
	flags.BoolVar(&f.summary, "summary", false, "count the findings by code instead of printing each")
	cmd.MarkFlagsMutuallyExclusive("json", "sarif", "summary")
	flags.StringVar(&f.mode, "actions", "annotated", "which operations become actions: `annotated or all`")
	flags.StringVar(&f.refs, "refs", "local", "where $refs may lead out of the document: `none, local or origin`")
	flags.StringArrayVar(&f.overlays, "overlay", nil, "OpenAPI Overlay `file` to apply first; may be repeated")
	flags.StringVar(&f.failOn, "fail-on", "error", "exit with 1 when there is a finding as severe as this: `error, warning or info`")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains([]string{"error", "warning", "info"}, f.failOn) {
			return fmt.Errorf("--fail-on: expected error, warning or info, got %q", f.failOn)
		}
		return errors.Join(checkMode(f.mode), checkRefs(f.refs))
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error { return p.runLint(cmd.Context(), args, &f) })
	return cmd
}

func checkMode(mode string) error {
	if mode != string(openapi.All) && mode != string(openapi.Annotated) {
		return fmt.Errorf("--actions: expected annotated or all, got %q", mode)
	}
	return nil
}

func checkRefs(refs string) error {
	switch source.Refs(refs) {
	case source.None, source.Local, source.Origin:
		return nil
	}
	return fmt.Errorf("--refs: expected none, local or origin, got %q", refs)
}

// lintGC is the garbage collector's percentage while documents are read: a
// document's tree takes ten times its bytes, and as much again of garbage would
// cost memory for little time.
const lintGC = 50

// runLint reads one document after the other and prints what it came to.
func (p *program) runLint(ctx context.Context, specs []string, f *lintFlags) error {
	defer debug.SetGCPercent(debug.SetGCPercent(lintGC))
	opts := openapi.Options{Mode: openapi.Mode(f.mode), MaxBytes: source.MaxDocument}
	for _, file := range f.overlays {
		overlay, err := source.File(file)
		if err != nil {
			return err
		}
		opts.Overlays = append(opts.Overlays, overlay)
	}
	out := p.lintOutput(f)
	linter, failed := lint.New(), false
	for _, spec := range specs {
		docs, err := p.readSpec(ctx, spec)
		if err != nil {
			report := linter.Report(unreadable(spec, err))
			failed = true
			if err := out.document(&report, nil); err != nil {
				return err
			}
		}
		for _, src := range docs {
			refs := source.Refs(f.refs)
			if spec == "-" { // it is in no folder
				refs = source.None
			}
			files := source.NewFiles(ctx, refs, spec, src, nil)
			opts.Opener = files
			report := linter.Report(openapi.Read(src, opts))
			failed = failed || report.Fails(openapi.Severity(f.failOn))
			if err := out.document(&report, slices.Concat(opts.Overlays, []openapi.Source{src}, referredTo(files, &report))); err != nil {
				return err
			}
		}
	}
	if err := out.end(); err != nil {
		return err
	}
	if failed {
		return errSilent
	}
	return nil
}

// referredTo gives the files of a document of which a report tells, to show
// their lines.
func referredTo(files *source.Files, report *lint.Report) []openapi.Source {
	told := map[string]bool{}
	for _, f := range report.Findings {
		told[f.Location.File] = true
	}
	var out []openapi.Source
	for _, name := range files.Paths() {
		if !told[name] {
			continue
		}
		if data, err := files.Open(name); err == nil {
			out = append(out, openapi.Source{Name: name, Data: data})
		}
	}
	return out
}

// readSpec reads what a spec names; "-" is standard input.
func (p *program) readSpec(ctx context.Context, spec string) ([]openapi.Source, error) {
	if spec != "-" {
		return source.Read(ctx, spec, nil)
	}
	data, err := io.ReadAll(io.LimitReader(p.stdin, source.MaxDocument+1)) // one more is too many for openapi.Read
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return []openapi.Source{{Name: "<stdin>", Data: data}}, nil
}

func unreadable(spec string, err error) *openapi.Document {
	name := spec
	if source.IsURL(spec) {
		name = source.Display(spec)
	}
	return &openapi.Document{Source: name, Findings: []openapi.Finding{{
		Severity: openapi.SeverityError, Code: "document-unreadable", Location: openapi.Location{File: name}, Message: err.Error(),
	}}}
}

// lintOutput is how lint prints: each document when it was read, and at the end.
type lintOutput struct {
	document func(r *lint.Report, sources []openapi.Source) error
	end      func() error
}

func (p *program) lintOutput(f *lintFlags) lintOutput {
	if *f.json {
		return lintOutput{
			func(r *lint.Report, _ []openapi.Source) error { return r.WriteJSON(p.stdout) },
			func() error { return nil },
		}
	}
	if f.sarif {
		var all []lint.Report
		return lintOutput{
			func(r *lint.Report, _ []openapi.Source) error { all = append(all, *r); return nil },
			func() error {
				dir, err := os.Getwd()
				if err != nil {
					return errors.New("current folder is gone")
				}
				return lint.WriteSARIF(p.stdout, gateway.Version, dir, all)
			},
		}
	}
	style := lint.Style{Excerpts: isTerminal(p.stdout), Color: isTerminal(p.stdout) && !p.noColor()}
	total := &lint.Total{}
	return lintOutput{
		func(r *lint.Report, sources []openapi.Source) error {
			total.Add(r)
			if f.summary {
				return r.WriteKinds(p.stdout, style)
			}
			return r.WriteText(p.stdout, style, sources)
		},
		func() error { return total.WriteText(p.stdout) },
	}
}

// noColor is https://no-color.org: set to anything, it asks for none.
func (p *program) noColor() bool {
	return slices.ContainsFunc(p.environ, func(v string) bool {
		value, ok := strings.CutPrefix(v, "NO_COLOR=")
		return ok && value != "" || v == "TERM=dumb"
	})
}
