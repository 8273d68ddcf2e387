package principal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/principal"
)

// TestTokenNeverTells prints a principal in every way that there is.
func TestTokenNeverTells(t *testing.T) {
	p := principal.Principal{Kind: principal.User, Subject: "ada", Token: principal.NewToken("canary-token")}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", p.Token, "principal", p)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", p.Token, "principal", p)
	out := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out += fmt.Sprintf(verb+"\n"+verb+"\n", p, p.Token)
	}
	asJSON, err := json.Marshal(p)
	if out += string(asJSON); err != nil || strings.Contains(out, "canary") || strings.Contains(out, "63616e617279") {
		t.Errorf("%v\n%s", err, out)
	}
	if p.Token.Reveal() != "canary-token" {
		t.Error("the token is lost")
	}
}

// TestKey: principals that differ in who they are have different keys, whatever
// their names hold.
func TestKey(t *testing.T) {
	all := []principal.Principal{
		{},
		{Kind: principal.User, Issuer: "https://idp", Subject: "ada"},
		{Kind: principal.Service, Issuer: "https://idp", Subject: "ada"},
		{Kind: principal.User, Issuer: "https://other", Subject: "ada"},
		{Kind: principal.User, Issuer: "https://idp", Subject: "ada", Actor: "plugin:a"},
		{Kind: principal.User, Issuer: "https://idp", Subject: `ada" "plugin:a`},
		{Kind: principal.User, Issuer: `https://idp" "ada`, Subject: ""},
		{Kind: principal.User, Issuer: "https://idp", Subject: "ada\x00"},
		{Kind: principal.User, Issuer: "https://idp", Subject: strings.Repeat("long", 1000)},
		{Kind: principal.User, Issuer: "https://idp", Subject: strings.Repeat("long", 1001)},
		{Kind: principal.Service, Issuer: "https://idp", Subject: strings.Repeat("long", 1000)},
	}
	seen := map[string]int{}
	for i, p := range all {
		if other, ok := seen[p.Key()]; ok {
			t.Errorf("%d and %d have the key %s", other, i, p.Key())
		}
		seen[p.Key()] = i
		if len(p.Key()) > 512 || strings.ContainsAny(p.Key(), "\x00\n") {
			t.Errorf("%d has the key %q", i, p.Key())
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = all[1].Key() }); n > 1 {
		t.Errorf("a key takes %v allocations", n)
	}
	same := all[1]
	same.Token, same.Scopes = principal.NewToken("other"), []string{"mcp:read"}
	if same.Key() != all[1].Key() {
		t.Error("another token of the same principal has another key")
	}
	if caller := principal.CallerOf(t.Context()); !caller.IsAnonymous() || caller.Door != "" {
		t.Errorf("nobody said who calls, and it is %v", caller)
	}
	if caller := principal.CallerOf(principal.WithCaller(t.Context(), &principal.Caller{Principal: all[1], Door: "a"})); caller.Subject != "ada" || caller.Door != "a" {
		t.Errorf("got %v", caller)
	}
}
