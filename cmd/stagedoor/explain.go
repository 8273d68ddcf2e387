package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
)

func (p *program) explain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain SERVER [TOOL]",
		Short: "Say what somebody may call, and which rule decides",
		Long: "Says, by the config and the documents as they are now, which tools of a server a principal sees and may call,\n" +
			"which rule decides, which scopes are needed or missing, and what the server binds or narrows. SERVER\n" +
			"can be actions-api; TOOL is a name or the id of an action. Exit code 0 means allowed (without TOOL: some tool is), 1 not.",
		Example: "  stagedoor explain --as user:default/ada,platform --scopes mcp:read catalog catalog_get-entity",
		Args:    cobra.RangeArgs(1, 2),
	}
	path, asJSON, who := configFlag(cmd), jsonFlag(cmd), whoFlags(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		file, err := p.load(cmd.Context(), *path)
		if err != nil {
			return err
		}
		g, err := gateway.New(cmd.Context(), file.Config, gateway.Offline())
		if err != nil {
			return located(file, err)
		}
		defer g.Close()
		access, err := g.Explain(who(), args[0], strings.Join(args[1:], ""))
		if err != nil {
			return err
		}
		if err := p.printAccess(file, access, len(args) > 1, *asJSON); err != nil {
			return err
		}
		for _, t := range access.Tools {
			if t.Allowed() {
				return nil
			}
		}
		return errSilent
	})
	return cmd
}

// whoFlags adds the flags that say who calls.
func whoFlags(cmd *cobra.Command) func() gateway.Who {
	flags := cmd.Flags()
	as := flags.StringSlice("as", nil, "`subject[,group…]` of the principal; without it, somebody who did not say who they are")
	scopes := flags.StringSlice("scopes", nil, "`scopes` of the token")
	claims := flags.StringArray("claim", nil, "`name=value` of a claim; again for a list")
	client := flags.String("client", "", "OAuth `client` of the token")
	issuer := flags.String("issuer", "", "`issuer` of the token")
	kind := flags.String("kind", "", "`kind` of the principal: user or service (default user)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		for _, claim := range *claims {
			if name, _, ok := strings.Cut(claim, "="); !ok || name == "" {
				return fmt.Errorf("--claim: expected name=value, got %q", claim)
			}
		}
		if *kind != "" && *kind != "user" && *kind != "service" {
			return errors.New("--kind: expected user or service")
		}
		return nil
	}
	return func() gateway.Who {
		who := gateway.Who{Scopes: *scopes, Client: *client, Issuer: *issuer, Kind: *kind, Claims: map[string][]string{}}
		if len(*as) > 0 {
			who.Subject, who.Groups = (*as)[0], (*as)[1:]
		}
		for _, claim := range *claims {
			name, value, _ := strings.Cut(claim, "=")
			who.Claims[name] = append(who.Claims[name], value)
		}
		return who
	}
}

// accessView is an explanation with the places of the rules.
type accessView struct {
	*gateway.Access
	Tools []toolView `json:"tools"`
}

type toolView struct {
	gateway.ToolAccess
	Allowed bool   `json:"allowed"`
	Place   string `json:"rulePlace,omitempty"` // file:line:column
}

func (p *program) printAccess(file *config.File, a *gateway.Access, one, asJSON bool) error {
	view := accessView{a, []toolView{}}
	for _, t := range a.Tools {
		view.Tools = append(view.Tools, toolView{t, t.Allowed(), placeOf(file, t.Rule)})
	}
	if asJSON {
		return p.printJSON(view)
	}
	if a.Anonymous {
		fmt.Fprintf(p.stdout, "%s asks nobody who they are (auth: none): everybody is anonymous\n", a.Server)
	}
	if one {
		for _, t := range view.Tools {
			p.printTool(t, a)
		}
		return nil
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TOOL\tALLOWED\tBECAUSE")
	for _, t := range view.Tools {
		answer := "no"
		if t.Allowed {
			answer = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", t.Tool, answer, strings.Join(t.reasons(), "; "))
	}
	return table.Flush()
}

func placeOf(file *config.File, path string) string {
	if path == "" {
		return ""
	}
	for _, i := range file.Locate(gateway.Faults{{Path: path}}) {
		if i.Path == path && i.Line > 0 {
			return fmt.Sprintf("%s:%d:%d", i.File, i.Line, i.Column)
		}
	}
	return ""
}

// reasons are why the tool may be called or not.
func (t toolView) reasons() (all []string) {
	rule := strings.TrimSpace(t.Rule + " " + parenthesised(t.Place))
	switch {
	case t.Visible && t.Rule != "":
		all = append(all, "allowed by "+rule)
	case t.Visible:
		all = append(all, "there are no rules")
	case t.Rule != "":
		all = append(all, "denied by "+rule)
	default:
		all = append(all, "no rule allows it")
	}
	if t.Visible && len(t.Missing) > 0 {
		all = append(all, "the token lacks "+strings.Join(t.Missing, ", "))
	}
	for _, b := range t.Bound {
		if t.Visible && b.Refusal != "" {
			all = append(all, b.Refusal)
		}
	}
	return all
}

func parenthesised(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func (p *program) printTool(t toolView, a *gateway.Access) {
	answer := "allowed"
	switch {
	case !t.Visible:
		answer = "not visible: as if it did not exist"
	case !t.Allowed:
		answer = "visible, and refused when it is called"
	}
	fmt.Fprintf(p.stdout, "%s (action %s): %s\n", t.Tool, t.Action, answer)
	for _, reason := range t.reasons() {
		fmt.Fprintf(p.stdout, "  %s\n", reason)
	}
	if !t.Visible {
		return
	}
	if len(t.Needed) > 0 {
		fmt.Fprintf(p.stdout, "  scopes needed: %s\n", strings.Join(t.Needed, ", "))
	}
	for _, b := range t.Bound {
		if b.Refusal == "" {
			fmt.Fprintf(p.stdout, "  bound: %s = %s, from %s\n", b.Argument, b.Value, b.From)
		}
	}
	for _, l := range t.Limited {
		fmt.Fprintf(p.stdout, "  narrowed: %s is %s\n", l.Argument, l.Schema)
	}
	if l := a.Limits; l.CallsPerMinute > 0 {
		fmt.Fprintf(p.stdout, "  at most %d calls a minute, %d of them at once\n", l.CallsPerMinute, l.Burst)
	}
	if a.Limits.Concurrent > 0 {
		fmt.Fprintf(p.stdout, "  at most %d calls under way\n", a.Limits.Concurrent)
	}
}
