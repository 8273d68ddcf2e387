package gateway_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// offerConfig is petConfig with prompts and resources on the server "safe".
func offerConfig(t *testing.T) gateway.Config {
	t.Helper()
	cfg := petConfig(t, "")
	s := cfg.Servers["safe"]
	s.Resources = []gateway.Resource{
		{URITemplate: "pets://{id}", Name: "pets", Action: "pets:get-pet", Arguments: map[string]gateway.Scalar{"id": "{id}"}},
	}
	s.Prompts = map[string]gateway.Prompt{"look": {
		Arguments: []gateway.PromptArgument{{Name: "pet", Required: true}},
		Messages: []gateway.PromptMessage{
			{Text: "Look at {pet}."}, {Resource: "pets://{pet}"}, {Image: gateway.PromptMedia{Data: []byte("GIF89a")}},
		},
	}}
	cfg.Servers["safe"] = s
	return cfg
}

func TestOffersOverHTTP(t *testing.T) {
	g := start(t, offerConfig(t))
	server := httptest.NewServer(g.Handler())
	defer server.Close()
	for _, tt := range []struct{ method, name, params, want string }{
		{"resources/read", "pets://a%2Fb", `"uri":"pets://a%2Fb",`, `\"path\":\"/pets/a%2Fb\"`},
		{"resources/read", "pets://..", `"uri":"pets://..",`, `-32602`}, // no argument leaves the path
		{"resources/read", "stagedoor://actions/pets:get-pet", `"uri":"stagedoor://actions/pets:get-pet",`, "GET /pets/{id}"},
		{"resources/read", "stagedoor://actions/pets:delete-pet", `"uri":"stagedoor://actions/pets:delete-pet",`, "-32602"},
		{"prompts/get", "look", `"name":"look","arguments":{"pet":"rex"},`, `"mimeType":"image/gif"`},
		{"prompts/get", "look", `"name":"look","arguments":{"pet":"rex"},`, `\"path\":\"/pets/rex\"`},
		{"resources/templates/list", "", "", `"pets://{id}"`},
		{"completion/complete", "", `"ref":{"type":"ref/resource","uri":"stagedoor://actions/{+id}"},"argument":{"name":"id","value":""},`, `"values":["pets:get-pet"]`},
	} {
		status, answer := rpc(t, server.URL+"/mcp/safe", tt.method, tt.name, tt.params)
		if status != 200 || !strings.Contains(answer, tt.want) || strings.Contains(answer, "plugin.invalid") {
			t.Errorf("%s %s: %d %s", tt.method, tt.name, status, answer)
		}
	}
	for _, s := range g.Servers() {
		got, _ := json.Marshal([]any{s.Prompts, s.Resources})
		if want := map[string]string{"all": `[[],[]]`, "safe": `[["look"],[{"uri":"pets://{id}","action":"pets:get-pet"}]]`}[s.Name]; string(got) != want {
			t.Errorf("%s: %s", s.Name, got)
		}
	}
}

// A reload takes new prompts, resources, icons and files in, or nothing.
func TestReloadOffers(t *testing.T) {
	cfg := offerConfig(t)
	file := filepath.Join(t.TempDir(), "dot.gif")
	if err := os.WriteFile(file, []byte("GIF89a"), 0o600); err != nil {
		t.Fatal(err)
	}
	look := cfg.Servers["safe"].Prompts["look"]
	look.Messages[2].Image = gateway.PromptMedia{File: file}
	g := start(t, cfg)
	server := httptest.NewServer(g.Handler())
	defer server.Close()
	get := func() string {
		_, answer := rpc(t, server.URL+"/mcp/safe", "prompts/get", "look", `"name":"look","arguments":{"pet":"rex"},`)
		return answer
	}
	if got := get(); !strings.Contains(got, `"data":"R0lGODlh"`) {
		t.Fatal(got)
	}
	if err := os.WriteFile(file, []byte("GIF87a"), 0o600); err != nil {
		t.Fatal(err)
	}
	pets := cfg.Plugins["pets"]
	pets.Icons = []gateway.Icon{{Src: "https://example.com/pet.svg"}}
	cfg.Plugins["pets"] = pets
	if err := g.Reload(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := get(); !strings.Contains(got, `"data":"R0lGODdh"`) {
		t.Error(got)
	}
	if err := os.WriteFile(file, []byte("GIF87a1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := get(); !strings.Contains(got, `"data":"R0lGODdhMQ=="`) || !slices.Contains(cfg.Files(), file) { // the file alone is new
		t.Error(got, cfg.Files())
	}
	if _, tools := rpc(t, server.URL+"/mcp/safe", "tools/list", "", ""); !strings.Contains(tools, "pet.svg") {
		t.Error(tools)
	}
	if err := os.WriteFile(file, make([]byte, 4<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	err := g.Reload(context.Background(), cfg)
	if err == nil || !strings.Contains(err.Error(), "servers.safe.prompts.look.messages[2]: image") || !strings.Contains(err.Error(), "is larger than 4 MiB") {
		t.Error(err)
	}
	if got := get(); !strings.Contains(got, `"data":"R0lGODdhMQ=="`) {
		t.Error(got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	err = g.Reload(context.Background(), cfg)
	if err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
}
