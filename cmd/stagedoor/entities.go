package main

import (
	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
)

func (p *program) catalogEntities() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalog-entities",
		Short: "Print the MCP servers as entities of a software catalog",
		Long: "Prints, as YAML, an entity of kind API and type mcp-server for each server, at the config's publicURL. " +
			"A running gateway serves the same at /catalog-info.yaml?owner=…, for a portal to register.",
		Example: "  stagedoor catalog-entities --config config.yaml --owner group:default/platform --system developer-portal > catalog-info.yaml",
		Args:    cobra.NoArgs,
	}
	path := configFlag(cmd)
	var o gateway.EntityOptions
	cmd.Flags().StringVar(&o.Owner, "owner", "unknown", "entity `reference` of who owns the servers")
	cmd.Flags().StringVar(&o.System, "system", "", "entity `reference` of the system that they are part of")
	cmd.Flags().StringVar(&o.Lifecycle, "lifecycle", "production", "`lifecycle` of the servers")
	cmd.Flags().StringVar(&o.Namespace, "namespace", "", "`namespace` of the entities")
	cmd.PreRunE = func(*cobra.Command, []string) error { return o.Validate() }
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		g, err := p.open(cmd.Context(), *path, gateway.Offline())
		if err != nil {
			return err
		}
		defer g.Close()
		entities, err := g.CatalogEntities(o)
		if err == nil {
			_, err = p.stdout.Write(entities)
		}
		return err
	})
	return cmd
}
