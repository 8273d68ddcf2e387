package backstage_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSameAsBackstagesActions: our actions of Backstage's names give what
// Backstage's own give for the same input.
func TestSameAsBackstagesActions(t *testing.T) {
	g := catalogs(t, "http://127.0.0.1:9/")
	url, token := backstage(t)
	invoke := func(action, arguments string) any {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			url+"/api/catalog/.backstage/actions/v1/actions/catalog:"+action+"/invoke", strings.NewReader(arguments))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Output any
			Error  struct{ Message string }
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatalf("HTTP %d: %s", resp.StatusCode, body)
		}
		if resp.StatusCode != http.StatusOK {
			t.Logf("Backstage's action: HTTP %d %s", resp.StatusCode, answer.Error.Message)
			return "fault"
		}
		return answer.Output
	}
	for _, r := range readings {
		switch r.action {
		case "get-catalog-entity", "query-catalog-entities", "validate-entity":
		default:
			continue // Backstage has no such action
		}
		if strings.Contains(r.arguments, `"location":"https:`) {
			continue // Backstage's wants "url:https:", ours takes either
		}
		t.Run(r.action+" "+r.arguments, func(t *testing.T) {
			want := invoke(r.action, r.arguments)
			got := call(t, g, ours, r.action, r.arguments)
			if faultKind(got) != "" {
				t.Logf("ours: %v", got)
				got = "fault"
			}
			if r.action == "validate-entity" { // ours has more to say
				for _, result := range []any{want, got} {
					if object, ok := result.(map[string]any); ok {
						delete(object, "errors")
					}
				}
			}
			if diff := cmp.Diff(normal(want), normal(got)); diff != "" {
				t.Errorf("Backstage's action (-), ours (+):\n%s", diff)
			}
		})
	}
}
