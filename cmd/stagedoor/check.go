package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
	"github.com/stagedoor/stagedoor/openapi"
)

func (p *program) check() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Find everything that serve would refuse, and plugins that are down",
		Long:    "Loads the config and all documents as serve does, opens no port, and prints the servers with their tools, prompts and resources, or all faults with their places.\nPlugins that are down, and rules about actions that they once had, are faults here; serve starts in spite of them.",
		Example: "  stagedoor check --config config.yaml",
		Args:    cobra.NoArgs,
	}
	path, asJSON := configFlag(cmd), jsonFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		report, err := p.runCheck(cmd.Context(), *path)
		if !*asJSON {
			if err == nil {
				p.printReport(*path, report)
			}
			return err
		}
		if issues := issuesOf(err); issues != nil {
			report.Issues = issues
		} else if err != nil {
			return err
		}
		if printErr := p.printJSON(report); printErr != nil || err == nil {
			return printErr
		}
		return errSilent
	})
	return cmd
}

// report is what check found; "issues" is empty where serve would start.
type report struct {
	Servers  []gateway.ServerInfo `json:"servers"`
	Findings []openapi.Finding    `json:"findings"`
	Issues   config.Issues        `json:"issues"`
}

func (p *program) runCheck(ctx context.Context, path string) (report, error) {
	empty := report{Servers: []gateway.ServerInfo{}, Findings: []openapi.Finding{}, Issues: config.Issues{}}
	file, loadErr := config.Load(path, p.environ)
	if file == nil {
		return empty, loadErr
	}
	databaseErr := gateway.CheckDatabase(ctx, file.Config)
	g, err := gateway.New(ctx, file.Config, gateway.Offline(), gateway.WithProgress(p.progress()))
	if all := joinFaults(databaseErr, err); all != nil {
		return empty, located(file, all)
	}
	if loadErr != nil {
		return empty, errors.Join(loadErr, g.Close())
	}
	p.warnUnused(g)
	r := report{Servers: g.Servers(), Findings: append(empty.Findings, g.Findings()...), Issues: empty.Issues}
	return r, g.Close()
}

// warnUnused names the plugins of which no server shows anything.
func (p *program) warnUnused(g *gateway.Gateway) {
	shown := map[string]bool{}
	for _, s := range g.Servers() {
		for _, t := range s.Tools {
			plugin, _, _ := strings.Cut(t.Action, ":")
			shown[plugin] = true
		}
	}
	for _, a := range g.Actions() {
		if !shown[a.Plugin] {
			shown[a.Plugin] = true
			fmt.Fprintf(p.stderr, "plugin %s: none of its actions is on a server\n", a.Plugin)
		}
	}
}

// joinFaults makes one list of two.
func joinFaults(errs ...error) error {
	var all gateway.Faults
	for _, err := range errs {
		var faults gateway.Faults
		switch {
		case err == nil:
		case errors.As(err, &faults):
			all = append(all, faults...)
		default:
			return err
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

func issuesOf(err error) config.Issues {
	var issues config.Issues
	if errors.As(err, &issues) {
		return issues
	}
	return nil
}

// guardOf says how a server is guarded: by which verifiers, and how many rules.
func guardOf(s gateway.ServerInfo) string {
	guard := strings.Join(s.Auth, ", ")
	switch s.Rules {
	case 0:
		return guard
	case 1:
		return guard + "; 1 rule"
	}
	return fmt.Sprintf("%s; %d rules", guard, s.Rules)
}

func (p *program) printReport(path string, r report) {
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVER\tTOOLS\tBYTES\tPATH\tGUARDED BY")
	for _, s := range r.Servers {
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\n", s.Name, len(s.Tools), s.ListBytes, s.Path, guardOf(s))
		for _, t := range s.Tools {
			fmt.Fprintf(table, "  %s\t\t\t%s\n", t.Name, t.Action)
		}
		for _, name := range s.Prompts {
			fmt.Fprintf(table, "  %s\t\t\tprompt\n", name)
		}
		for _, resource := range s.Resources {
			fmt.Fprintf(table, "  %s\t\t\t%s\n", resource.URI, resource.Action)
		}
	}
	_ = table.Flush()
	for _, f := range r.Findings {
		if f.Severity != openapi.SeverityInfo {
			fmt.Fprintln(p.stdout, f)
		}
	}
	fmt.Fprintf(p.stdout, "%s is fine\n", path)
}
