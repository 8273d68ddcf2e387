package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/bridge"
)

func (p *program) connect() *cobra.Command {
	var headers []string
	var tokenEnv string
	cmd := &cobra.Command{
		Use:   "connect SERVER-URL",
		Short: "Connect an MCP client on standard input and output with a server that needs a login",
		Long: `Connect is what an MCP client starts as its server: it carries the client's
messages to a server over Streamable HTTP, with an access token.`,
		Example: `  stagedoor connect https://gateway.example.com/mcp/catalog
  stagedoor connect https://gateway.example.com/mcp/catalog --token-env CATALOG_TOKEN`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			header, err := parseHeaders(headers)
			if err != nil {
				return err
			}
			options := bridge.Options{URL: args[0], Header: header, Log: p.stderr}
			if tokenEnv != "" {
				token := p.variable(tokenEnv)
				if token == "" {
					return fmt.Errorf("--token-env: %s is not set", tokenEnv)
				}
				options.Tokens = fixedToken{name: tokenEnv, token: token}
			}
			return does(func(cmd *cobra.Command, _ []string) error {
				return bridge.Run(cmd.Context(), p.stdin, p.stdout, options)
			})(cmd, args)
		},
	}
	cmd.Flags().StringArrayVar(&headers, "header", nil, "`'Name: value'` that goes with each request; may be given several times")
	cmd.Flags().StringVar(&tokenEnv, "token-env", "", "environment variable `NAME` with an access token, in the place of a login")
	return cmd
}

// parseHeaders reads what --header says. What the protocol sets itself cannot
// be set.
func parseHeaders(lines []string) (http.Header, error) {
	header := http.Header{"User-Agent": {"stagedoor/" + gateway.Version}}
	for _, line := range lines {
		name, value, found := strings.Cut(line, ":")
		name, value = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		own := slices.Contains([]string{"Accept", "Connection", "Content-Length", "Content-Type", "Host", "Last-Event-Id", "Transfer-Encoding"}, name)
		switch {
		case !found || name == "" || strings.ContainsAny(name, " \t") || strings.ContainsAny(value, "\r\n\x00"):
			return nil, fmt.Errorf("--header: expected 'Name: value', got %q", name)
		case own || strings.HasPrefix(name, "Mcp-"):
			return nil, fmt.Errorf("--header: %s is set by the protocol", name)
		}
		header.Add(name, value)
	}
	return header, nil
}

// fixedToken is a token that nobody renews.
type fixedToken struct{ name, token string }

func (t fixedToken) Token(context.Context) (string, error) { return t.token, nil }

func (t fixedToken) Refresh(context.Context, string) (string, error) {
	return "", fmt.Errorf("server refuses the token in %s: put a valid one there, and start the client anew", t.name)
}

func (t fixedToken) StepUp(context.Context, string) error {
	return errors.New("token in " + t.name + " has too few scopes for this")
}
