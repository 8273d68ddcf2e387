package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// where says which actions are meant: those of a config, of one document, of a
// running gateway or a plugin of Backstage, or the tools of an MCP server.
type where struct {
	config  string
	spec    string
	baseURL string
	url     string
	// tokenEnv is the variable of the environment that has the bearer token for url.
	tokenEnv string
}

// id lets the only plugin of a single document go unnamed.
func (w *where) id(id string) string {
	if w.spec != "" && !strings.Contains(id, ":") {
		return "spec:" + id
	}
	return id
}

func (p *program) actions() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "actions",
		Short: "List, show and call actions",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var w where
	flags := cmd.PersistentFlags()
	flags.StringVarP(&w.config, "config", "c", "config.yaml", "config `file`")
	flags.StringVar(&w.spec, "spec", "", "one OpenAPI `document` (file, glob or URL) instead of a config: all its operations, as plugin:name with plugin \"spec\"")
	flags.StringVar(&w.baseURL, "base-url", "", "`URL` that the document's paths are below (with --spec)")
	flags.StringVar(&w.url, "url", "", "`URL` instead of a config: of a running gateway (http://127.0.0.1:8080), a plugin of Backstage (…/api/catalog), or an MCP server (…/mcp/catalog)")
	flags.StringVar(&w.tokenEnv, "token-env", "", "`NAME` of the environment variable with the bearer token for --url")
	cmd.MarkFlagsMutuallyExclusive("spec", "url")
	cmd.MarkFlagsMutuallyExclusive("config", "spec")
	cmd.MarkFlagsMutuallyExclusive("config", "url")
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error {
		if w.baseURL != "" && w.spec == "" {
			return errors.New("--base-url goes with --spec")
		}
		if w.tokenEnv != "" && w.url == "" {
			return errors.New("--token-env goes with --url")
		}
		return nil
	}
	cmd.AddCommand(p.actionsList(&w), p.actionsShow(&w), p.actionsCall(&w))
	return cmd
}

// actionView is an action as the command line shows it.
type actionView struct {
	ID           string             `json:"id"`
	Title        string             `json:"title"`
	Description  string             `json:"description"`
	Attributes   openapi.Attributes `json:"attributes"`
	Operation    string             `json:"operation,omitempty"`
	Tags         []string           `json:"tags,omitempty"`
	Deprecated   bool               `json:"deprecated,omitempty"`
	InputSchema  json.RawMessage    `json:"inputSchema"`
	OutputSchema json.RawMessage    `json:"outputSchema,omitempty"`
	Examples     []openapi.Example  `json:"examples,omitempty"`
}

func viewOf(a gateway.Action) actionView {
	return actionView{
		ID: a.ID, Title: a.Title, Description: a.Description, Attributes: a.Attributes, Operation: a.Operation,
		Tags: a.Tags, Deprecated: a.Deprecated, InputSchema: a.InputSchema, OutputSchema: a.OutputSchema, Examples: a.Examples,
	}
}

func (p *program) actionsList(w *where) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List actions",
		Example: "  stagedoor actions list --config config.yaml\n  stagedoor actions list --spec openapi.yaml --base-url https://billing.internal\n  stagedoor actions list --url https://backstage.example.com/api/catalog --token-env BACKSTAGE_TOKEN",
		Args:    cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		views, err := p.views(cmd.Context(), w)
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(views)
		}
		table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tATTRIBUTES\tTITLE")
		for _, v := range views {
			fmt.Fprintf(table, "%s\t%s\t%s\n", v.ID, attributeWords(v.Attributes), v.Title)
		}
		return table.Flush()
	})
	return cmd
}

func attributeWords(a openapi.Attributes) string {
	var words []string
	for _, f := range []struct {
		on   bool
		word string
	}{{a.ReadOnly, "readOnly"}, {a.Destructive, "destructive"}, {a.Idempotent, "idempotent"}, {a.OpenWorld, "openWorld"}} {
		if f.on {
			words = append(words, f.word)
		}
	}
	return strings.Join(words, ",")
}

func (p *program) views(ctx context.Context, w *where) ([]actionView, error) {
	if w.url != "" {
		server, err := p.asked(ctx, w)
		if err != nil {
			return nil, err
		}
		return server.list(ctx)
	}
	g, err := p.gatewayOf(ctx, w, gateway.Offline())
	if err != nil {
		return nil, err
	}
	defer g.Close()
	views := []actionView{}
	for _, a := range g.Actions() {
		views = append(views, viewOf(a))
	}
	return views, nil
}

// gatewayOf makes a gateway of a config, or of one document with no config.
func (p *program) gatewayOf(ctx context.Context, w *where, options ...gateway.Option) (*gateway.Gateway, error) {
	if w.spec == "" {
		return p.open(ctx, w.config, options...)
	}
	plugin := gateway.DefaultPlugin()
	plugin.Spec, plugin.BaseURL, plugin.Actions = w.spec, w.baseURL, string(openapi.All)
	if plugin.BaseURL == "" && !source.IsURL(w.spec) {
		plugin.BaseURL = "http://base-url.invalid" // enough to list; a call needs the real one
	}
	server := gateway.DefaultServer()
	server.Actions.Include = []gateway.Rule{{ID: "spec:*"}}
	cfg := gateway.DefaultConfig()
	cfg.Plugins = map[string]gateway.Plugin{"spec": plugin}
	cfg.Servers = map[string]gateway.Server{"spec": server}
	return gateway.New(ctx, cfg, gateway.Offline())
}

func (p *program) actionsShow(w *where) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one action: what a model sees, and what it calls",
		Example: "  stagedoor actions show catalog:get-catalog-entity",
		Args:    cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		v, err := p.view(cmd.Context(), w, args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(v)
		}
		does := strings.TrimSpace(fmt.Sprintf("%s (%s)", v.Operation, attributeWords(v.Attributes))) // a running gateway does not show operations
		fmt.Fprintf(p.stdout, "%s: %s\n%s\n\n%s\n\ninput:\n", v.ID, v.Title, does, v.Description)
		if err := p.printJSON(v.InputSchema); err != nil {
			return err
		}
		if v.OutputSchema != nil {
			fmt.Fprintln(p.stdout, "\noutput:")
			err = p.printJSON(v.OutputSchema)
		}
		return err
	})
	return cmd
}

func (p *program) view(ctx context.Context, w *where, id string) (actionView, error) {
	if w.url != "" {
		server, err := p.asked(ctx, w)
		if err != nil {
			return actionView{}, err
		}
		return server.find(ctx, id)
	}
	g, err := p.gatewayOf(ctx, w, gateway.Offline())
	if err != nil {
		return actionView{}, err
	}
	defer g.Close()
	a, err := g.Action(w.id(id))
	return viewOf(a), err
}
