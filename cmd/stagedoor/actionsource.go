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
	base  string // the actions are at base + actionsPath
	token string // "": none
	http  *http.Client
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
	token := ""
	if w.tokenEnv != "" {
		if token = p.variable(w.tokenEnv); token == "" {
			return nil, fmt.Errorf("--token-env: %s is not set", w.tokenEnv)
		}
	}
	if slices.Contains(strings.Split(u.Path, "/"), "mcp") {
		r := p.remote(w.url)
		if r.token = token; token == "" {
			r.token, err = p.stored(ctx, w.url)
		}
		return r, err
	}
	base, _, _ := strings.Cut(w.url, "/.backstage/")
	base, _, _ = strings.Cut(base, "?")
	return &actionSource{base: strings.TrimRight(base, "/"), token: token, http: &http.Client{Timeout: 2 * time.Minute}}, nil
}

// stored is the token of a login to the server; "": there is none.
func (p *program) stored(ctx context.Context, server string) (string, error) {
	source, err := login.Open(server, login.Options{Out: p.stderr, UserAgent: "stagedoor/" + gateway.Version})
	if err != nil {
		return "", nil // it is no server that one can log in to
	}
	token, err := source.Token(ctx)
	if errors.Is(err, login.ErrLoggedOut) {
		return "", nil
	}
	return token, err
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
	return sourceError(resp.StatusCode, data)
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
