package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/contract"
	"github.com/stagedoor/stagedoor/internal/publication"
)

func (p *program) plugins() *cobra.Command {
	var w where
	cmd := &cobra.Command{
		Use:     "plugins",
		Short:   "List the plugins of a running gateway: state, generation, age, actions, findings",
		Long:    "Asks a running gateway how its plugins stand. Reasons and sources are shown to whoever may register the plugin: --token-env names that token.",
		Example: "  stagedoor plugins --url http://127.0.0.1:8080\n  stagedoor plugins diff billing",
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&w.url, "url", "http://127.0.0.1:8080", "`URL` of the gateway")
	flags.StringVar(&w.tokenEnv, "token-env", "", "`NAME` of the environment variable with a publisher's token")
	asJSON := jsonFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		plugins, err := p.statuses(cmd.Context(), &w)
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(plugins)
		}
		return p.printPlugins(plugins)
	})
	cmd.AddCommand(p.pluginsDiff())
	return cmd
}

// statuses asks a running gateway how its plugins stand.
func (p *program) statuses(ctx context.Context, w *where) ([]publication.Status, error) {
	who, err := p.asked(ctx, w)
	if err != nil {
		return nil, err
	}
	at, ok := who.(*actionSource)
	if !ok {
		return nil, errors.New("--url: expected the URL of a gateway, for example http://127.0.0.1:8080")
	}
	var answer struct {
		Plugins []publication.Status `json:"plugins"`
	}
	if err := at.ask(ctx, http.MethodGet, "/registry/v1/plugins", nil, &answer); err != nil {
		return nil, err
	}
	if answer.Plugins == nil {
		return nil, errors.New("answer has no plugins: is --url that of the gateway?")
	}
	return answer.Plugins, nil
}

func (p *program) printPlugins(plugins []publication.Status) error {
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PLUGIN\tSTATE\tGENERATION\tAGE\tACTIONS\tERRORS\tWARNINGS")
	for _, s := range plugins {
		age := "-"
		if s.Accepted != nil {
			age = (time.Duration(s.Age) * time.Second).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\n", printable(s.Name), printable(string(s.State)), printable(cmp.Or(s.Generation, "-")), age, s.Actions, s.Errors, s.Warnings)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, s := range plugins {
		if why := cmp.Or(s.Reason, s.Cause); why != "" {
			fmt.Fprintf(p.stdout, "%s: %s\n", printable(s.Name), printable(why))
		}
	}
	return nil
}

func (p *program) pluginsDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff PLUGIN [OLD [NEW]]",
		Short: "Tell what changed between two generations of a plugin",
		Long: `Compares generations that the config's database has, by (the beginning of) their
hashes. Without NEW, it is the newest, accepted or in quarantine; without OLD, it
is the newest accepted one before that. Exits with 1 when a change is breaking (or
is one that --fail-on names), and with 2 when the two could not be compared.`,
		Example: "  stagedoor plugins diff billing\n  stagedoor plugins diff billing 3f2a90",
		Args:    cobra.RangeArgs(1, 3),
	}
	path, asJSON := configFlag(cmd), jsonFlag(cmd)
	failOn := cmd.Flags().String("fail-on", "breaking", "exit with 1 on such a change: `breaking, any or none`")
	cmd.PreRunE = func(*cobra.Command, []string) error { return checkFailOn(*failOn) }
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		file, err := p.load(cmd.Context(), *path)
		if err != nil {
			return incomparable{err}
		}
		changes, err := p.diffGenerations(cmd.Context(), file.Config, args[0], args[1:])
		if err != nil {
			return incomparable{err}
		}
		return p.printChanges(changes, *asJSON, *failOn)
	})
	return cmd
}

func (p *program) diffGenerations(ctx context.Context, cfg gateway.Config, plugin string, hashes []string) ([]contract.Change, error) {
	list, err := gateway.Generations(ctx, cfg, plugin)
	if err != nil {
		return nil, err
	}
	before, after, err := chosen(plugin, list, hashes)
	if err != nil {
		return nil, err
	}
	var sides [2][]contract.Contract
	for i, hash := range []string{before, after} {
		g, actions, err := gateway.ReadGeneration(ctx, cfg, plugin, hash)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(p.stderr, "%s %.12s %s %s\n", []string{"old:", "new:"}[i], g.Hash, g.Verdict, g.Time.Format(time.RFC3339))
		for _, a := range actions {
			sides[i] = append(sides[i], contract.Of(a.ID, a.Action))
		}
	}
	return contract.Diff(sides[0], sides[1]), nil
}

// chosen gives the hashes of the generations to compare, as far as they are not
// named. list has the newest first.
func chosen(plugin string, list []gateway.Generation, hashes []string) (before, after string, err error) {
	if len(list) == 0 {
		return "", "", fmt.Errorf("database has no generation of a plugin %q", plugin)
	}
	if len(hashes) == 2 {
		return hashes[0], hashes[1], nil
	}
	after = list[0].Hash
	if len(hashes) == 1 {
		return hashes[0], after, nil
	}
	i := slices.IndexFunc(list[1:], func(g gateway.Generation) bool { return g.Verdict == string(publication.Accepted) })
	if i < 0 {
		return "", "", fmt.Errorf("database has no accepted generation of %s before %.12s", plugin, after)
	}
	return list[1+i].Hash, after, nil
}
