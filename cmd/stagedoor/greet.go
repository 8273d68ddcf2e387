package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/stagedoor/stagedoor/gateway"
)

// progress shows on a terminal which plugin's documents are being read.
func (p *program) progress() func(done, total int, plugin string) {
	if !isTerminal(p.stderr) {
		return func(int, int, string) {}
	}
	return func(done, total int, plugin string) {
		if plugin == "" {
			fmt.Fprint(p.stderr, "\r\033[K")
			return
		}
		fmt.Fprintf(p.stderr, "\r\033[Kreading documents %d/%d: %s", done, total, plugin)
	}
}

// greet tells a person at a terminal what is served, and what to do next.
func (p *program) greet(publicURL string, servers []gateway.ServerInfo) {
	if !isTerminal(p.stdout) || len(servers) == 0 {
		return
	}
	fmt.Fprintf(p.stdout, "\nStagedoor %s serves:\n\n", gateway.Version)
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, s := range servers {
		fmt.Fprintf(table, "  %s\t%d tools\t%s\n", s.Title, len(s.Tools), publicURL+s.Path)
	}
	_ = table.Flush() // a terminal that is gone needs no greeting
	first := servers[0]
	fmt.Fprintf(p.stdout, "\nTo use it from Claude Code:\n\n  claude mcp add --transport http %s %s\n\nOther clients: see README.md. Ctrl-C stops.\n\n", first.Name, publicURL+first.Path)
}
