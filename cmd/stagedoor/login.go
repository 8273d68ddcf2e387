package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/login"
)

// loginFlags adds what commands that may log in have in common.
func (p *program) loginFlags(cmd *cobra.Command) *login.Options {
	o := p.storedFlags(cmd)
	cmd.Flags().StringVar((*string)(&o.Store), "store", string(login.StoreAuto), "where tokens are kept: `auto, keyring or file`")
	return o
}

// storedFlags adds what commands that use a stored login have in common.
func (p *program) storedFlags(cmd *cobra.Command) *login.Options {
	o := &login.Options{Out: p.stderr, UserAgent: "stagedoor/" + gateway.Version}
	cmd.Flags().StringVar(&o.ClientID, "client-id", "", "OAuth `client`: the one that was used last, or one that the authorization server registers, where it is not said")
	return o
}

func (p *program) login() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "login SERVER-URL",
		Short: "Log in to an MCP server: with a code on any device, or in the browser",
		Long: `Asks the server which authorization server it trusts, and logs in there: in the
browser of this machine where there seems to be one, else with a code to enter on
any other device. The tokens are kept in the keyring of the operating system, or
in a file that nobody else may read. Whatever else needs them takes them from there:
stagedoor token, stagedoor connect, and clients that run those.`,
		Example: "  stagedoor login https://gateway.example.com/mcp/catalog\n  stagedoor login https://gateway.example.com/mcp/catalog --device --scope \"mcp:read mcp:write\"",
		Args:    cobra.ExactArgs(1),
	}
	o := p.loginFlags(cmd)
	flags := cmd.Flags()
	device := flags.Bool("device", false, "log in with a code on any device")
	browser := flags.Bool("browser", false, "log in with the browser of this machine")
	scope := flags.String("scope", "", "`scopes` to ask for, and no others (the server names some)")
	flags.BoolVar(&o.NoOpen, "no-open", false, "print the page for the browser, and do not open it")
	flags.BoolVar(&o.QR, "qr", isTerminal(p.stderr), "draw a QR code of the page to enter the code at")
	flags.BoolVar(&o.AllowPrivate, "allow-private", false, "let a server at a public address name an authorization server at a private one")
	cmd.MarkFlagsMutuallyExclusive("device", "browser")
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		switch {
		case *device:
			o.Flow = login.Device
		case *browser:
			o.Flow = login.Browser
		}
		if *scope != "" {
			o.Scopes = strings.Fields(*scope)
		}
		source, err := login.Open(args[0], *o)
		if err != nil {
			return err
		}
		_, err = source.Login(cmd.Context())
		switch {
		case errors.Is(err, login.ErrNoTokenNeeded):
			fmt.Fprintf(p.stderr, "%s asks for no token: there is nothing to log in to\n", source.Server())
			return nil
		case errors.Is(err, context.Canceled):
			return errors.New("login was called off")
		case err != nil:
			return err
		}
		id, err := source.Identity()
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "Logged in to %s%s. Tokens are kept in the %s.\n", id.Server, printable(as(id)), map[login.StoreMode]string{login.StoreKeyring: "keyring", login.StoreFile: "file " + source.File()}[id.Kept])
		return nil
	})
	return cmd
}

// as says who somebody is logged in as, where that is known.
func as(id login.Identity) string {
	if who := cmp.Or(id.Name, id.Subject); who != "" {
		return " as " + who
	}
	return ""
}

func (p *program) token() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token SERVER-URL",
		Short: "Print the access token for an MCP server, renewed where it is due",
		Long: `Prints the access token of a login, renewed where it is about to end. With
--header it is a JSON object of HTTP headers, as the header helpers of clients want it.`,
		Example: "  stagedoor token https://gateway.example.com/mcp/catalog\n  stagedoor token https://gateway.example.com/mcp/catalog --header",
		Args:    cobra.ExactArgs(1),
	}
	o := p.storedFlags(cmd)
	header := cmd.Flags().Bool("header", false, `print {"Authorization": "Bearer …"}`)
	asJSON := cmd.Flags().Bool("json", false, "print the token with what is known of it, as JSON")
	cmd.MarkFlagsMutuallyExclusive("header", "json")
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		source, err := login.Open(args[0], *o)
		if err != nil {
			return err
		}
		token, err := source.Token(cmd.Context())
		if err != nil {
			return err
		}
		switch {
		case *header:
			return json.NewEncoder(p.stdout).Encode(map[string]string{"Authorization": "Bearer " + token})
		case *asJSON:
			id, err := source.Identity()
			if err != nil {
				return err
			}
			return p.printJSON(struct {
				Token string `json:"token"`
				login.Login
			}{token, id.Login})
		}
		_, err = fmt.Fprintln(p.stdout, token)
		return err
	})
	return cmd
}

func (p *program) whoami() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "whoami SERVER-URL",
		Short:   "Tell who one is logged in as, as the token says",
		Example: "  stagedoor whoami https://gateway.example.com/mcp/catalog",
		Args:    cobra.ExactArgs(1),
	}
	o := p.storedFlags(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = does(func(_ *cobra.Command, args []string) error {
		source, err := login.Open(args[0], *o)
		if err != nil {
			return err
		}
		id, err := source.Identity()
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(id)
		}
		p.printIdentity(id)
		return nil
	})
	return cmd
}

func (p *program) printIdentity(id login.Identity) {
	who := "somebody (the token says nothing that could be read here)"
	if !id.Opaque {
		who = cmp.Or(id.Subject, "somebody") + " (as the token says)"
	}
	ends := "not said"
	if !id.Expires.IsZero() {
		ends = id.Expires.Local().Format(time.RFC3339)
	}
	if id.Renewable {
		ends += ", and is renewed"
	}
	for _, line := range [][2]string{
		{"subject", who}, {"name", id.Name}, {"groups", strings.Join(id.Groups, " ")}, {"issuer", id.Issuer}, {"client", id.Client},
		{"resource", id.Resource}, {"audience", strings.Join(id.Audience, " ")}, {"scopes", strings.Join(id.Scopes, " ")}, {"expires", ends}, {"kept in", string(id.Kept)},
	} {
		if line[1] != "" {
			fmt.Fprintf(p.stdout, "%-9s %s\n", line[0], printable(line[1]))
		}
	}
}

func (p *program) logout() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "logout [SERVER-URL]",
		Short:   "Revoke the tokens for an MCP server, and forget them",
		Example: "  stagedoor logout https://gateway.example.com/mcp/catalog\n  stagedoor logout --all",
		Args:    cobra.MaximumNArgs(1),
	}
	o := &login.Options{Out: p.stderr, UserAgent: "stagedoor/" + gateway.Version}
	all := cmd.Flags().Bool("all", false, "log out of all servers, and forget registered clients")
	cmd.PreRunE = func(_ *cobra.Command, args []string) error {
		if *all == (len(args) == 1) {
			return errors.New("either a server's URL or --all is needed")
		}
		return nil
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		if *all {
			return p.logoutAll(cmd.Context(), *o)
		}
		source, err := login.Open(args[0], *o)
		if err != nil {
			return err
		}
		n, err := source.Logout(cmd.Context())
		if err == nil && n == 0 {
			fmt.Fprintf(p.stderr, "Nobody is logged in to %s\n", source.Server())
		} else if err == nil {
			fmt.Fprintf(p.stderr, "Logged out of %s\n", source.Server())
		}
		return err
	})
	return cmd
}

func (p *program) logoutAll(ctx context.Context, o login.Options) error {
	servers, err := login.LogoutAll(ctx, o)
	for _, server := range servers {
		fmt.Fprintf(p.stderr, "Logged out of %s\n", server)
	}
	if err == nil && len(servers) == 0 {
		fmt.Fprintln(p.stderr, "Nobody is logged in anywhere")
	}
	return err
}
