package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/specs"
)

func (p *program) overlay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "overlay [NAME]",
		Short: "Print an overlay that ships with the program",
		Long: "Prints an OpenAPI Overlay that annotates a document of others, to be named under a plugin's overlays;\n" +
			"without NAME, which ones there are.",
		Example:   "  stagedoor overlay backstage-search > backstage-search.yaml",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: specs.Overlays(),
	}
	asJSON := cmd.Flags().Bool("json", false, "print the list as JSON")
	cmd.PreRunE = func(_ *cobra.Command, args []string) error {
		if names := specs.Overlays(); len(args) == 1 && !slices.Contains(names, args[0]) {
			return fmt.Errorf("unknown overlay %q (there is: %s)", args[0], strings.Join(names, ", "))
		}
		return nil
	}
	cmd.RunE = does(func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return p.listOverlays(*asJSON)
		}
		overlay, err := specs.Overlay(args[0])
		if err == nil {
			_, err = p.stdout.Write(overlay)
		}
		return err
	})
	return cmd
}

func (p *program) listOverlays(asJSON bool) error {
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(map[string][]string{"overlays": specs.Overlays()})
	}
	_, err := fmt.Fprintln(p.stdout, strings.Join(specs.Overlays(), "\n"))
	return err
}
