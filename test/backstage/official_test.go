package backstage_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// newOfficialClient is a client as newClient makes it, with MCP's official
// TypeScript client between the test and the server at the URL. That one holds
// results to their schemas, too.
func newOfficialClient(t *testing.T, url string) *client {
	t.Helper()
	tools, call := official(t, url, "")
	return newClientOf(t, tools, call)
}

// official starts MCP's official TypeScript client: what it lists, by name, and
// how it calls.
func official(t *testing.T, url, token string) (tools map[string]any, call func(tool, arguments string) toolResult) {
	t.Helper()
	script := filepath.Join(os.Getenv("STAGEDOOR_BACKSTAGE_DIR"), "client.mjs")
	cmd := exec.CommandContext(t.Context(), "node", script, url)
	cmd.Stderr = t.Output()
	cmd.Env = append(os.Environ(), "MCP_TOKEN="+token)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	t.Cleanup(func() { // runs after the context has ended
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait() // killed
	})
	read := func(into any) {
		line, err := lines.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, into)
		}
		if err != nil {
			t.Fatalf("the TypeScript client: %v: %s", err, line)
		}
	}
	var list struct{ Tools []map[string]any }
	read(&list)
	tools = map[string]any{}
	for _, tool := range list.Tools {
		tools[fmt.Sprint(tool["name"])] = tool
	}
	return tools, func(tool, arguments string) toolResult {
		call, err := json.Marshal(map[string]any{"name": tool, "arguments": json.RawMessage(arguments)})
		if err == nil {
			_, err = in.Write(append(call, '\n'))
		}
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			toolResult
			Refused string
		}
		if read(&answer); answer.Refused != "" {
			t.Fatalf("%s %s: %s", tool, arguments, answer.Refused)
		}
		return answer.toolResult
	}
}
