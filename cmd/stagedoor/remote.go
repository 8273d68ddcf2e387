package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/bridge"
	"github.com/stagedoor/stagedoor/internal/suggest"
	"github.com/stagedoor/stagedoor/openapi"
)

// remote is a running MCP server, spoken to without a session (2026-07-28).
type remote struct {
	url string
	bearer
	http    *http.Client
	confirm func(question string) (bool, error) // asks the user; nil where there is none
}

const protocolVersion = "2026-07-28"

const (
	maxAnswer = 64 << 20
	maxRounds = 20 // of a call that asks the user, as clients should bound them
)

func (p *program) remote(url string) *remote {
	r := &remote{url: url, http: answers()}
	if isTerminal(p.stdin) && isTerminal(p.stderr) {
		r.confirm = p.confirm
	}
	return r
}

// remoteTool is a tool as tools/list shows it.
type remoteTool struct {
	Name         string          `json:"name"`
	Title        string          `json:"title"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema"`
	Annotations  struct {
		ReadOnly    bool `json:"readOnlyHint"`
		Destructive bool `json:"destructiveHint"`
		Idempotent  bool `json:"idempotentHint"`
		OpenWorld   bool `json:"openWorldHint"`
	} `json:"annotations"`
}

// list gives the server's tools, of all pages, under their tool names.
func (r *remote) list(ctx context.Context) ([]actionView, error) {
	views := []actionView{}
	params := map[string]any{}
	for seen := map[string]bool{}; ; {
		var page struct {
			Tools      []remoteTool `json:"tools"`
			NextCursor string       `json:"nextCursor"`
		}
		if err := r.ask(ctx, "tools/list", http.Header{}, params, &page); err != nil {
			return nil, err
		}
		for _, t := range page.Tools {
			views = append(views, actionView{
				ID: t.Name, Title: t.Title, Description: t.Description, Attributes: openapi.Attributes(t.Annotations),
				InputSchema: t.InputSchema, OutputSchema: t.OutputSchema,
			})
		}
		switch {
		case page.NextCursor == "":
			return views, nil
		case seen[page.NextCursor]:
			return nil, errors.New("server: tools/list comes back to a page that was there before")
		}
		seen[page.NextCursor], params["cursor"] = true, page.NextCursor
	}
}

// find gives the tool of a name, or of an action id under the usual templates
// of tool names.
func (r *remote) find(ctx context.Context, id string) (actionView, error) {
	views, err := r.list(ctx)
	if err != nil {
		return actionView{}, err
	}
	var names []string
	for _, v := range views {
		if v.ID == id || v.ID == strings.Replace(id, ":", "_", 1) || v.ID == strings.Replace(id, ":", ".", 1) {
			return v, nil
		}
		names = append(names, v.ID)
	}
	return actionView{}, fmt.Errorf("the server has no tool %q (%s)", id, suggest.Hint(strings.Replace(id, ":", "_", 1), names))
}

// call calls a tool: its result is JSON wherever the plugin's answer was.
func (r *remote) call(ctx context.Context, id string, arguments json.RawMessage) (*gateway.Result, error) {
	tool, err := r.find(ctx, id)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Mcp-Name": {bridge.HeaderValue(tool.ID)}}
	bridge.Mirror(tool.InputSchema, arguments, header)
	params := map[string]any{"name": tool.ID, "arguments": arguments}
	for range maxRounds {
		var answer remoteAnswer
		if err := r.ask(ctx, "tools/call", header, params, &answer); err != nil {
			return nil, err
		}
		if answer.ResultType != "input_required" {
			return answer.result()
		}
		if params["inputResponses"], err = r.respond(answer.InputRequests); err != nil {
			return nil, err
		}
		delete(params, "requestState")
		if answer.RequestState != nil {
			params["requestState"] = *answer.RequestState
		}
	}
	return nil, fmt.Errorf("the server still asks after %d rounds", maxRounds)
}

// remoteAnswer is the result of a tool, or what it takes to get there.
type remoteAnswer struct {
	ResultType        string                   `json:"resultType"`
	InputRequests     map[string]remoteRequest `json:"inputRequests"`
	RequestState      *string                  `json:"requestState"`
	Content           []remoteContent          `json:"content"`
	StructuredContent json.RawMessage          `json:"structuredContent"`
	IsError           bool                     `json:"isError"`
}

func (answer *remoteAnswer) result() (*gateway.Result, error) {
	result := &gateway.Result{}
	var texts []string
	for _, c := range answer.Content {
		switch {
		case c.Type == "text":
			texts = append(texts, c.Text)
		case c.Type == "resource" && c.Resource.Blob != nil:
			result.Binary, result.MediaType = c.Resource.Blob, c.Resource.MediaType
		case c.Data != nil:
			result.Binary, result.MediaType = c.Data, c.MediaType
		}
	}
	result.Text = strings.Join(texts, "\n")
	if answer.IsError {
		return nil, errors.New(printable(result.Text))
	}
	if result.Binary == nil {
		result.JSON = answer.StructuredContent
	}
	if result.JSON != nil && len(texts) > 1 { // the first is the JSON once more
		result.Note = strings.Join(texts[1:], "\n")
	}
	return result, nil
}

// remoteContent is one item of a tool's result.
type remoteContent struct {
	Type      string `json:"type"`
	Text      string `json:"text"`
	MediaType string `json:"mimeType"`
	Data      []byte `json:"data"`
	Resource  struct {
		MediaType string `json:"mimeType"`
		Blob      []byte `json:"blob"`
	} `json:"resource"`
}

// ask sends one JSON-RPC request, with more headers than those that every one
// has, and reads its answer.
func (r *remote) ask(ctx context.Context, method string, more http.Header, params map[string]any, result any) error {
	params["_meta"] = map[string]any{
		"io.modelcontextprotocol/protocolVersion":    protocolVersion,
		"io.modelcontextprotocol/clientInfo":         map[string]string{"name": "stagedoor", "version": gateway.Version},
		"io.modelcontextprotocol/clientCapabilities": map[string]any{"elicitation": map[string]any{"form": map[string]any{}}},
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	req.Header = more.Clone()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("MCP-Protocol-Version", protocolVersion)
	req.Header.Set("Mcp-Method", method)
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mediaType == "text/event-stream" {
		data = lastEvent(data)
	}
	if err = decodeAnswer(resp.StatusCode, data, result); err != nil {
		return r.mend(ctx, resp, err)
	}
	return nil
}

// lastEvent gives the data of a stream's last event that has any: the answer,
// behind what was told on the way.
func lastEvent(stream []byte) (last []byte) {
	var data [][]byte
	for line := range bytes.Lines(append(stream, "\n\n"...)) {
		line = bytes.TrimRight(line, "\r\n")
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimPrefix(value, []byte(" ")))
		}
		if joined := bytes.Join(data, []byte("\n")); len(line) == 0 {
			if len(joined) > 0 {
				last = joined
			}
			data = nil
		}
	}
	return last
}

func decodeAnswer(status int, data []byte, result any) error {
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(data, &answer); err != nil || answer.Result == nil && answer.Error == nil {
		return fmt.Errorf("server: HTTP %d, and the answer is not MCP; is the URL that of a server, such as http://127.0.0.1:8080/mcp/catalog?", status)
	}
	if answer.Error != nil {
		return fmt.Errorf("server: %s", printable(answer.Error.Message))
	}
	return json.Unmarshal(answer.Result, result)
}
