package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReferenceIsCurrent(t *testing.T) {
	const path = "../../docs/config.md"
	got := string(Reference())
	if updating() {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/config.md is not current; run go test ./internal/config -update (-want +got):\n%s", diff)
	}
}

// TestReferenceIsComplete insists on a word about every field.
func TestReferenceIsComplete(t *testing.T) {
	got := string(Reference())
	var visit func(s *shape, path string)
	visit = func(s *shape, path string) {
		for _, f := range s.fields {
			if f.doc == "" {
				t.Errorf("%s has no doc tag", join(path, f.key))
			}
			if !strings.Contains(got, "| `"+f.key+"` |") {
				t.Errorf("%s is not in the reference", join(path, f.key))
			}
			if sub, at := f.section(path); sub != nil {
				visit(sub, at)
			}
		}
	}
	visit(table(), "")
}
