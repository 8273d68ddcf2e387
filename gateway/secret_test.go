package gateway_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

func TestSecret(t *testing.T) {
	const canary = "canary-secret"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STAGEDOOR_TEST_SECRET", canary)
	for _, s := range []gateway.Secret{gateway.SecretValue(canary), gateway.SecretEnv("STAGEDOOR_TEST_SECRET"), gateway.SecretFile(file)} {
		if got, err := s.Reveal(); err != nil || got != canary {
			t.Errorf("got %q, %v", got, err)
		}
		text, err := json.Marshal(s)
		if shown := fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s, s) + string(text); err != nil || strings.Contains(shown, canary) {
			t.Errorf("shown as %s, %v", shown, err)
		}
	}
	for want, s := range map[string]gateway.Secret{
		"secret is not set": {},
		"STAGEDOOR_NOWHERE": gateway.SecretEnv("STAGEDOOR_NOWHERE"),
		"secret file":       gateway.SecretFile(file + ".gone"),
	} {
		if _, err := s.Reveal(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
