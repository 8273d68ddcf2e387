package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

func (p *program) lint() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lint SPEC...",
		Short:   "Report what OpenAPI documents come to",
		Long:    "Converts documents (files, globs, URLs) as the gateway would and prints what it finds. With --json each document is one JSON object on a line of its own.",
		Example: "  stagedoor lint --actions all openapi.yaml\n  stagedoor lint --json specs/*.yaml",
		Args:    cobra.MinimumNArgs(1),
	}
	asJSON := jsonFlag(cmd)
	mode := cmd.Flags().String("actions", "annotated", "which operations become actions: `annotated or all`")
	overlays := cmd.Flags().StringArray("overlay", nil, "OpenAPI Overlay `file` to apply first; may be repeated")
	refs := cmd.Flags().String("refs", "local", "where $refs may lead out of the document: `none, local or origin`")
	cmd.PreRunE = func(*cobra.Command, []string) error { return errors.Join(checkMode(*mode), checkRefs(*refs)) }
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		opts := openapi.Options{Mode: openapi.Mode(*mode), MaxBytes: source.MaxDocument}
		for _, file := range *overlays {
			overlay, err := source.File(file)
			if err != nil {
				return err
			}
			opts.Overlays = append(opts.Overlays, overlay)
		}
		failed := false
		for _, spec := range args {
			docs, err := source.Read(cmd.Context(), spec, nil)
			if err != nil {
				docs, failed = nil, true
				p.printLint(unreadable(spec, err), *asJSON)
			}
			for _, src := range docs {
				opts.Opener = source.NewFiles(cmd.Context(), source.Refs(*refs), spec, src, nil)
				doc := openapi.Read(src, opts)
				p.printLint(doc, *asJSON)
				failed = failed || doc.Errors()
			}
		}
		if failed {
			return errSilent
		}
		return nil
	})
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

func unreadable(spec string, err error) *openapi.Document {
	name := spec
	if source.IsURL(spec) {
		name = source.Display(spec)
	}
	return &openapi.Document{Source: name, Findings: []openapi.Finding{{
		Severity: openapi.SeverityError, Code: "document-unreadable", Location: openapi.Location{File: name}, Message: err.Error(),
	}}}
}

// lintReport is the JSON of one document.
type lintReport struct {
	Source      string            `json:"source"`
	Operations  int               `json:"operations"`
	Actions     int               `json:"actions"`
	Unannotated int               `json:"unannotated"`
	Findings    []openapi.Finding `json:"findings"`
}

func (p *program) printLint(doc *openapi.Document, asJSON bool) {
	if asJSON {
		enc := json.NewEncoder(p.stdout)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(lintReport{doc.Source, doc.Operations, len(doc.Actions), doc.Unannotated, append([]openapi.Finding{}, doc.Findings...)})
		return
	}
	refused := map[string]bool{}
	for _, f := range doc.Findings {
		fmt.Fprintln(p.stdout, f)
		if f.Severity == openapi.SeverityError && f.Operation != "" {
			refused[f.Operation] = true
		}
	}
	fmt.Fprintf(p.stdout, "%s: %d operations: %d actions, %d refused, %d not annotated\n",
		doc.Source, doc.Operations, len(doc.Actions), len(refused), doc.Unannotated)
}
