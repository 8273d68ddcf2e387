package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const canary = "c4nary-v4lue"

// secretPaths lists every secret of the table, with names in the place of {name}.
func secretPaths(s *shape, path []string) [][]string {
	var found [][]string
	for _, f := range s.fields {
		at := append(append([]string{}, path...), f.key)
		switch {
		case f.shape.kind == secret:
			found = append(found, at)
		case f.shape.kind == section:
			found = append(found, secretPaths(f.shape, at)...)
		case f.shape.kind == named && f.shape.elem.kind == section:
			found = append(found, secretPaths(f.shape.elem, append(at, "billing"))...)
		}
	}
	return found
}

// configWith is JSON, which is YAML, with one value at a path.
func configWith(path []string, value string) string {
	var v any = json.RawMessage(value)
	for i := len(path) - 1; i >= 0; i-- {
		v = map[string]any{path[i]: v}
	}
	root, _ := v.(map[string]any)
	plugins, _ := root["plugins"].(map[string]any)
	if plugins == nil {
		plugins = map[string]any{"billing": map[string]any{}}
		root["plugins"] = plugins
	}
	billing, _ := plugins["billing"].(map[string]any)
	billing["spec"] = "billing.yaml"
	if auth, ok := billing["auth"].(map[string]any); ok {
		for kind, name := range map[string]string{"basic": "username", "header": "name"} {
			if m, ok := auth[kind].(map[string]any); ok {
				m[name] = "agent"
			}
		}
	}
	root["servers"] = map[string]any{"s": map[string]any{"actions": map[string]any{"include": []string{"*:*"}}}}
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestSecretsAreNeverSeen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	paths := secretPaths(table(), nil)
	if len(paths) < 4 {
		t.Fatalf("expected the table to have secrets, got %v", paths)
	}
	forms := []string{
		`"` + canary + `"`, `"x${CANARY}"`, `"${NOT:-` + canary + `}"`, `{"env": "CANARY"}`, `{"file": "` + file + `"}`, // good
		`["` + canary + `"]`, `{"` + canary + `": 1}`, `{"env": "` + canary + ` "}`, `{"env": ["` + canary + `"]}`, `{"file": {"x": "` + canary + `"}}`, // bad
		`{"env": "X", "file": "` + canary + `"}`, `{"env": "` + canary + `", "env": "` + canary + `"}`, `"${` + canary + ` }"`, `"${CANARY"`,
	}
	for _, path := range paths {
		for _, form := range forms {
			name := strings.Join(path, ".") + " = " + form
			config, issues := loadString(t, configWith(path, form), "CANARY="+canary)
			assertUnseen(t, name, issues)
			if config != nil {
				assertUnseen(t, name, config)
				assertUnseen(t, name, config.Config)
				assertUnseen(t, name, dump(config.Config))
			}
		}
		config, issues := loadString(t, configWith(path, `"x"`), variable(path)+"="+canary)
		if config == nil {
			t.Fatalf("%v: %v", path, issues)
		}
		assertUnseen(t, variable(path), config.Config)
	}
}

// TestReferencesAreNeverResolvedInMessages puts a secret into every plain text.
func TestReferencesAreNeverResolvedInMessages(t *testing.T) {
	var visit func(s *shape, path []string)
	visit = func(s *shape, path []string) {
		for _, f := range s.fields {
			at := append(append([]string{}, path...), f.key)
			switch f.shape.kind {
			case section:
				visit(f.shape, at)
			case named:
				visit(f.shape.elem, append(at, "billing"))
			case list:
				_, issues := loadString(t, configWith(at, `["${CANARY}", {"plugin": "${CANARY}"}]`), "CANARY="+canary)
				assertUnseen(t, strings.Join(at, "."), issues)
			default:
				_, issues := loadString(t, configWith(at, `"${CANARY}"`), "CANARY="+canary)
				assertUnseen(t, strings.Join(at, "."), issues)
				_, issues = loadString(t, configWith(at, `"x"`), variable(at)+"="+canary)
				assertUnseen(t, variable(at), issues)
			}
		}
	}
	visit(table(), nil)
}

func assertUnseen(t *testing.T, name string, v any) {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v\n%+v\n%#v\n%s\n", v, v, v, v)
	slog.New(slog.NewTextHandler(&b, nil)).Info("config", "value", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("config", "value", v)
	if j, err := json.Marshal(v); err == nil {
		b.Write(j)
	}
	if issues, ok := v.(Issues); ok {
		if err := issues.Print(&b, true); err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(b.String(), canary) {
		line := b.String()
		at := strings.Index(line, canary)
		t.Errorf("%s: seen in …%s…", name, line[max(0, at-60):min(len(line), at+60)])
	}
}
