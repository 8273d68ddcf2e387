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
	"github.com/stagedoor/stagedoor/internal/login"
)

func (p *program) connect() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "connect SERVER-URL",
		Short: "Connect an MCP client on standard input and output with a server that wants a login",
		Long: `Connect is what an MCP client starts as its server, in the place of one that runs
on this machine. It carries the client's messages to a server over HTTP, with the
access token of a login, which it renews. Where there is no login yet it begins one:
in the browser of this machine where there seems to be one, else with a code that it
prints on standard error, which clients show in their logs. stagedoor login, once and
beforehand, is smoother.`,
		Example: "  stagedoor connect https://gateway.example.com/mcp/catalog\n  stagedoor connect https://gateway.example.com/mcp/catalog --token-env CATALOG_TOKEN",
		Args:    cobra.ExactArgs(1),
	}
	o := p.loginFlags(cmd)
	device := cmd.Flags().Bool("device", false, "log in with a code on any device")
	headers := cmd.Flags().StringArray("header", nil, "`'Name: value'` that goes with each request; may be given several times")
	tokenEnv := cmd.Flags().String("token-env", "", "environment variable `NAME` with an access token, in the place of a login")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		header, err := parseHeaders(*headers)
		if err != nil {
			return err
		}
		if *device {
			o.Flow = login.Device
		}
		return does(func(cmd *cobra.Command, args []string) error {
			options := bridge.Options{URL: args[0], Header: header, Log: p.stderr}
			if err := p.giveTokens(&options, *tokenEnv, *o); err != nil {
				return err
			}
			return bridge.Run(cmd.Context(), p.stdin, p.stdout, options)
		})(cmd, args)
	}
	return cmd
}

// giveTokens says where a bridge has its access tokens from: a variable of the
// environment, or a login. A header may have all that is needed instead.
func (p *program) giveTokens(options *bridge.Options, variable string, o login.Options) error {
	switch header := options.Header.Get("Authorization") != ""; {
	case variable == "" && header:
		return nil
	case variable != "" && header:
		return errors.New("--token-env and an Authorization --header are two answers to one question; give one")
	case variable != "":
		token, err := p.tokenIn(variable)
		options.Tokens = fixedToken{name: variable, token: token}
		return err
	}
	background, err := login.Open(options.URL, o)
	if err != nil {
		return err
	}
	o.Interactive = true
	source, err := login.Open(options.URL, o)
	options.Tokens, options.Background = loginTokens{source}, loginTokens{background}
	return err
}

// loginTokens are those of a login. Where there is none, the server is asked
// without: it may want none.
type loginTokens struct{ *login.Source }

func (t loginTokens) Token(ctx context.Context) (string, error) {
	token, err := t.Source.Token(ctx)
	if errors.Is(err, login.ErrLoggedOut) {
		return "", nil
	}
	return token, err
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
			return nil, errors.New("--header: expected 'Name: value'")
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
