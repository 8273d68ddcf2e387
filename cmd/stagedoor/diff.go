package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/internal/contract"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// diffFlags are those of diff.
type diffFlags struct {
	mode     string
	overlays []string
	refs     string
	failOn   string
	json     *bool
}

func (p *program) diff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Tell what changed between two versions of a document, and whether it breaks callers",
		Long: `Reads two versions of a document (file, glob, URL, - for standard input) as the
gateway would, and tells what changed for those who call its actions. Exits with
1 when a change is breaking (or is one that --fail-on names), and with 2 when the
two could not be compared. docs/diff.md explains each code.`,
		Example: "  stagedoor diff --actions all https://billing.internal/openapi.json openapi.yaml\n  git show HEAD:openapi.yaml | stagedoor diff - openapi.yaml",
		Args:    cobra.ExactArgs(2),
	}
	var f diffFlags
	flags := cmd.Flags()
	f.json = jsonFlag(cmd)
	flags.StringVar(&f.mode, "actions", "annotated", "which operations become actions: `annotated or all`")
	flags.StringVar(&f.refs, "refs", "local", "where $refs may lead out of the document: `none, local or origin`")
	flags.StringArrayVar(&f.overlays, "overlay", nil, "OpenAPI Overlay `file` to apply to both first; may be repeated")
	flags.StringVar(&f.failOn, "fail-on", "breaking", "exit with 1 on such a change: `breaking, any or none`")
	cmd.PreRunE = func(_ *cobra.Command, args []string) error {
		if args[0] == "-" && args[1] == "-" {
			return errors.New("only one document can come from standard input")
		}
		return errors.Join(checkMode(f.mode), checkRefs(f.refs), checkFailOn(f.failOn))
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error { return p.runDiff(cmd.Context(), args[0], args[1], &f) })
	return cmd
}

func checkFailOn(failOn string) error {
	switch failOn {
	case "breaking", "any", "none":
		return nil
	}
	return fmt.Errorf("--fail-on: expected breaking, any or none, got %q", failOn)
}

func (p *program) runDiff(ctx context.Context, before, after string, f *diffFlags) error {
	opts := openapi.Options{Mode: openapi.Mode(f.mode), MaxBytes: source.MaxDocument}
	for _, file := range f.overlays {
		overlay, err := source.File(file)
		if err != nil {
			return incomparable{fmt.Errorf("overlay: %w", err)}
		}
		opts.Overlays = append(opts.Overlays, overlay)
	}
	old, err := p.contracts(ctx, before, f.refs, opts)
	if err != nil {
		return incomparable{err}
	}
	now, err := p.contracts(ctx, after, f.refs, opts)
	if err != nil {
		return incomparable{err}
	}
	changes := contract.Diff(old, now)
	unexplained := func(c contract.Change) bool { return c.Code == contract.ActionRemoved && c.Hint == "" }
	if after != "-" && slices.ContainsFunc(changes, unexplained) {
		p.tellUnannotated(ctx, changes, old, after, f.refs, opts)
	}
	return p.printChanges(changes, *f.json, f.failOn)
}

// tellUnannotated hints at operations that are still in the document where their
// actions are gone: they lost their x-action, or are at fault.
func (p *program) tellUnannotated(ctx context.Context, changes []contract.Change, old []contract.Contract, after, refs string, opts openapi.Options) {
	docs, err := p.readSpec(ctx, after)
	if err != nil {
		return // it is no more
	}
	there := map[string]bool{}
	opts.Mode = openapi.All
	for _, src := range docs {
		opts.Opener = source.NewFiles(ctx, source.Refs(refs), after, src, nil)
		doc := openapi.Read(src, opts)
		for _, a := range doc.Actions {
			there[a.Operation] = true
		}
		for _, f := range doc.Findings {
			there[f.Operation] = true
		}
	}
	operations := map[string]string{}
	for _, c := range old {
		operations[c.Action] = c.Operation
	}
	for i, c := range changes {
		if operation := operations[c.Action]; c.Code == contract.ActionRemoved && c.Hint == "" && operation != "" && there[operation] {
			changes[i].Hint = operation + " is still in the document, and no action any more: is its x-action gone, or is there an error in it?"
		}
	}
}

// contracts reads the actions of a document. What becomes no action is told, for
// it may look as if it were gone.
func (p *program) contracts(ctx context.Context, spec, refs string, opts openapi.Options) ([]contract.Contract, error) {
	docs, err := p.readSpec(ctx, spec)
	if err != nil {
		return nil, err
	}
	var out []contract.Contract
	for _, src := range docs {
		from := source.Refs(refs)
		if spec == "-" { // it is in no folder
			from = source.None
		}
		opts.Opener = source.NewFiles(ctx, from, spec, src, nil)
		doc := openapi.Read(src, opts)
		lost, err := usable(doc, opts.Overlays)
		if err != nil {
			return nil, err
		}
		if lost > 0 {
			fmt.Fprintf(p.stderr, "%s: %d errors keep operations from being actions (stagedoor lint tells which)\n", src.Name, lost)
		}
		for i := range doc.Actions {
			out = append(out, contract.Of(doc.Actions[i].Name, doc.Actions[i]))
		}
	}
	return out, nil
}

// usable is an error where a document cannot be read, or an overlay not be
// applied to it, with each place; else how many errors it has.
func usable(doc *openapi.Document, overlays []openapi.Source) (lost int, err error) {
	var fatal []error
	for _, f := range doc.Findings {
		if f.Severity != openapi.SeverityError {
			continue
		}
		lost++
		ofOverlay := slices.ContainsFunc(overlays, func(o openapi.Source) bool { return o.Name == f.Location.File })
		if doc.Operations == 0 || ofOverlay {
			fatal = append(fatal, fmt.Errorf("%s: %s", f.Location, f.Message))
		}
	}
	return lost, errors.Join(fatal...)
}

// printChanges prints changes, and fails on those that failOn says.
func (p *program) printChanges(changes []contract.Change, asJSON bool, failOn string) error {
	var err error
	if asJSON {
		err = p.printJSON(map[string]any{"breaking": contract.Breaking(changes), "changes": append([]contract.Change{}, changes...)})
	} else {
		err = contract.WriteText(p.stdout, changes)
	}
	if err == nil && (failOn == "breaking" && contract.Breaking(changes) || failOn == "any" && len(changes) > 0) {
		return errSilent
	}
	return err
}
