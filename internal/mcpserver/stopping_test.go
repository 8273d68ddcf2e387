package mcpserver

import (
	"errors"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// TestQuestionsEndWithTheGateway: who stares at a form does not hold up a stop,
// and learns that the call was not made.
func TestQuestionsEndWithTheGateway(t *testing.T) {
	h := newTestHandler(t, Options{Invoker: &inquirer{}})
	if err := h.SetServers(curiousServers()); err != nil {
		t.Fatal(err)
	}
	url := listen(t, h).URL + "/mcp/curious"
	initialize := strings.Replace(initializeBody("2025-11-25"), `{"roots":{}}`, `{"elicitation":{}}`, 1)
	hs := headers{"Mcp-Session-Id": serve(h, "POST", "/mcp/curious", nil, initialize).Header().Get("Mcp-Session-Id")}
	call := openStream(t.Context(), t, "POST", url, hs, callBody("1", "drop", `{"id":7}`))
	if asked := call.next(); !strings.Contains(asked, "elicitation/create") {
		t.Fatal(asked)
	}
	h.Drain()
	if answer := call.next(); !strings.Contains(answer, `"isError":true`) || !strings.Contains(answer, "being restarted") {
		t.Error(answer)
	}
}

// TestNobodyIsAskedAboutWhatCannotBe: arguments that would be refused anyway
// cost no confirmation.
func TestNobodyIsAskedAboutWhatCannotBe(t *testing.T) {
	refuse := func(registry.Call) error {
		return &invoke.Error{Kind: invoke.InvalidArguments, Message: "id is missing", Err: errors.New("id")}
	}
	h := newTestHandler(t, Options{Invoker: &inquirer{}, Admit: refuse})
	if err := h.SetServers(curiousServers()); err != nil {
		t.Fatal(err)
	}
	w := serve(h, "POST", "/mcp/curious", modernHeaders("tools/call", "drop"), modernCall("1", "drop", `{}`))
	if got := w.Body.String(); !strings.Contains(got, `"isError":true`) || !strings.Contains(got, "id is missing") {
		t.Error(got)
	}
}

// TestLegacySSEIsSwitchedOff: streams that nobody can answer on end.
func TestLegacySSEIsSwitchedOff(t *testing.T) {
	h := newTestHandler(t, Options{})
	stream := openStream(t.Context(), t, "GET", listen(t, h).URL+"/mcp/catalog/sse", nil, "")
	if place := stream.next(); !strings.Contains(place, "sessionId=") {
		t.Fatal(place)
	}
	servers := testServers()
	servers[0].NoLegacySSE = true
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	stream.want("")
}
