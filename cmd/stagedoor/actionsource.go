package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/login"
	"github.com/stagedoor/stagedoor/internal/suggest"
	"github.com/stagedoor/stagedoor/openapi"
)

// actionSource is a running gateway, or one plugin of it or of a Backstage, asked
// in the protocol of Backstage's actions.
type actionSource struct {
	base string // the actions are at base + actionsPath
	bearer
	http *http.Client
}

// bearer is the token that requests go with.
type bearer struct {
	token    string        // "": none
	variable string        // of the environment, that has it; "": none
	login    *login.Source // that it is of; nil: of none
}

// answers makes the client for whoever --url leads to. A redirect would carry
// the token to where it was not meant for.
func answers() *http.Client {
	return &http.Client{Timeout: 2 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// mend adds to the error of an answer what to do where it wants another token.
func (b bearer) mend(ctx context.Context, resp *http.Response, err error) error {
	challenge := resp.Header.Get("WWW-Authenticate")
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("server: HTTP %d, which leads to %s: give that URL, if it is the right one", resp.StatusCode, printable(resp.Header.Get("Location")))
	case resp.StatusCode == http.StatusUnauthorized && b.variable != "":
		return fmt.Errorf("%w; put a valid token into %s", err, b.variable)
	case resp.StatusCode == http.StatusUnauthorized && b.login != nil:
		return fmt.Errorf("%w; to log in: stagedoor login %s", err, b.login.Server())
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w; --token-env names the variable of the environment that has one", err)
	case resp.StatusCode == http.StatusForbidden && b.login != nil && strings.Contains(challenge, "insufficient_scope"):
		if how := b.login.StepUp(ctx, challenge); how != nil { // nobody is asked to log in
			return fmt.Errorf("%w; %w", err, how)
		}
	}
	return err
}

const actionsPath = "/.backstage/actions/v1/actions"

// asked is whoever --url leads to.
type asked interface {
	list(ctx context.Context) ([]actionView, error)
	find(ctx context.Context, id string) (actionView, error)
	call(ctx context.Context, id string, arguments json.RawMessage) (*gateway.Result, error)
}

// asked tells an MCP server, /mcp/{server}, from a source of actions. To a server
// that the user has logged in to, it goes with that login.
func (p *program) asked(ctx context.Context, w *where) (asked, error) {
	u, err := url.Parse(w.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, errors.New("--url: expected an absolute http or https URL without credentials, for example http://127.0.0.1:8080")
	}
	b := bearer{variable: w.tokenEnv}
	if w.tokenEnv != "" {
		if b.token, err = p.tokenIn(w.tokenEnv); err != nil {
			return nil, err
		}
	}
	if slices.Contains(strings.Split(u.Path, "/"), "mcp") {
		r := p.remote(w.url)
		if r.bearer = b; b.token == "" {
			r.bearer, err = p.stored(ctx, w.url)
		}
		return r, err
	}
	base, _, _ := strings.Cut(w.url, "/.backstage/")
	base, _, _ = strings.Cut(base, "?")
	return &actionSource{base: strings.TrimRight(base, "/"), bearer: b, http: answers()}, nil
}

// stored is the token of a login to the server, where there is one.
func (p *program) stored(ctx context.Context, server string) (bearer, error) {
	source, err := login.Open(server, login.Options{Out: p.stderr, UserAgent: "stagedoor/" + gateway.Version})
	if err != nil {
		return bearer{}, nil // it is no server that one can log in to
	}
	token, err := source.Token(ctx)
	if errors.Is(err, login.ErrLoggedOut) {
		err = nil
	}
	return bearer{token: token, login: source}, err
}

// tokenIn is the token in a variable of the environment.
func (p *program) tokenIn(name string) (string, error) {
	switch token := p.variable(name); {
	case token == "":
		return "", fmt.Errorf("--token-env: %s is not set", name)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("--token-env: %s has a space, a line break or something else that no token has", name)
	default:
		return token, nil
	}
}

// variable is what the environment says.
func (p *program) variable(name string) string {
	for _, entry := range p.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// sourceAction is an action as such a list has it. What Backstage does not know
// (openWorld, tags, deprecated) only another gateway says.
type sourceAction struct {
	ID          string             `json:"id"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	Attributes  openapi.Attributes `json:"attributes"`
	Tags        []string           `json:"tags"`
	Deprecated  bool               `json:"deprecated"`
	Examples    []openapi.Example  `json:"examples"`
	Schema      struct {
		Input  json.RawMessage `json:"input"`
		Output json.RawMessage `json:"output"`
	} `json:"schema"`
}

func (s *actionSource) list(ctx context.Context) ([]actionView, error) {
	var answer struct {
		Actions []sourceAction `json:"actions"`
	}
	if err := s.ask(ctx, http.MethodGet, actionsPath, nil, &answer); err != nil {
		return nil, err
	}
	if answer.Actions == nil {
		return nil, errors.New("answer has no actions: is --url that of the gateway, or of a plugin of Backstage?")
	}
	views := []actionView{}
	for _, a := range answer.Actions {
		views = append(views, actionView{
			ID: a.ID, Title: a.Title, Description: a.Description, Attributes: a.Attributes, Tags: a.Tags, Deprecated: a.Deprecated,
			InputSchema: a.Schema.Input, OutputSchema: a.Schema.Output, Examples: a.Examples,
		})
	}
	return views, nil
}

func (s *actionSource) find(ctx context.Context, id string) (actionView, error) {
	views, err := s.list(ctx)
	if err != nil {
		return actionView{}, err
	}
	var ids []string
	for _, v := range views {
		if v.ID == id {
			return v, nil
		}
		ids = append(ids, v.ID)
	}
	message := fmt.Sprintf("the server has no action %q", id)
	if hint := suggest.Hint(id, ids); hint != "" {
		message += " (" + hint + ")"
	}
	return actionView{}, errors.New(message)
}

func (s *actionSource) call(ctx context.Context, id string, arguments json.RawMessage) (*gateway.Result, error) {
	var answer struct {
		Output json.RawMessage `json:"output"`
	}
	err := s.ask(ctx, http.MethodPost, actionsPath+"/"+url.PathEscape(id)+"/invoke", arguments, &answer)
	if err != nil {
		return nil, err
	}
	if answer.Output == nil { // Backstage leaves out what is undefined
		answer.Output = json.RawMessage("null")
	}
	return &gateway.Result{JSON: answer.Output}, nil
}

// ask sends one request and reads its answer.
func (s *actionSource) ask(ctx context.Context, method, path string, body []byte, result any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if resp.StatusCode == http.StatusOK && json.Unmarshal(data, result) == nil {
		return nil
	}
	return s.mend(ctx, resp, sourceError(resp.StatusCode, data))
}

// sourceError says what Backstage's error body says, or that there is none.
func sourceError(status int, data []byte) error {
	var fault struct {
		Error struct{ Name, Message string } `json:"error"`
	}
	if json.Unmarshal(data, &fault) == nil && fault.Error.Message != "" {
		return errors.New(printable(strings.TrimPrefix(fault.Error.Name+": "+fault.Error.Message, ": "))) // the registry has no names
	}
	return fmt.Errorf("server: HTTP %d, and the answer is not that of a source of actions; is the URL that of a gateway (http://127.0.0.1:8080), "+
		"of a plugin of Backstage (https://backstage.example.com/api/catalog), or of an MCP server (http://127.0.0.1:8080/mcp/catalog)?", status)
}
