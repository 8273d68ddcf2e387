package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
	"github.com/stagedoor/stagedoor/specs"
)

func (p *program) tools() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tools SERVER",
		Short:   "Print what a server answers to tools/list",
		Long:    "Prints, as JSON, exactly what a model gets to see of a server, by the documents as they\nare now. Plugins that register themselves are left out.",
		Example: "  stagedoor tools catalog --config config.yaml",
		Args:    cobra.ExactArgs(1),
	}
	path := configFlag(cmd)
	protocol := cmd.Flags().String("protocol", "2025-11-25", "MCP protocol `revision` of the client")
	cmd.Flags().Bool("json", true, "print JSON (always so)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(gateway.ProtocolVersions(), *protocol) {
			return fmt.Errorf("--protocol: unknown revision %q (there is: %s)", *protocol, strings.Join(gateway.ProtocolVersions(), ", "))
		}
		return nil
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		g, err := p.open(cmd.Context(), *path, gateway.Offline())
		if err != nil {
			return err
		}
		defer g.Close()
		list, err := g.ToolsList(args[0], *protocol)
		if err == nil {
			_, err = fmt.Fprintf(p.stdout, "%s\n", list)
		}
		return err
	})
	return cmd
}

func (p *program) schema() *cobra.Command {
	cmd := &cobra.Command{
		Use:       "schema {config|x-action}",
		Short:     "Print the JSON Schema of the config file or of x-action",
		Example:   "  stagedoor schema config > stagedoor.schema.json",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"config", "x-action"},
	}
	cmd.Flags().Bool("json", true, "print JSON (always so)")
	cmd.RunE = does(func(_ *cobra.Command, args []string) error {
		schema := specs.ActionSchema()
		if args[0] == "config" {
			schema = config.JSONSchema()
		}
		_, err := p.stdout.Write(schema)
		return err
	})
	return cmd
}
