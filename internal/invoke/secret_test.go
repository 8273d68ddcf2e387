package invoke

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/openapi"
)

// secretly is an action whose body has two secrets and an argument.
func secretly() *openapi.Action {
	member := func(v openapi.Value, path ...string) openapi.Member { return openapi.Member{Path: path, Value: v} }
	return &openapi.Action{Name: "deploy", Request: openapi.RequestPlan{
		Method: http.MethodPost, Path: []openapi.PathPart{{Literal: "/deploy"}},
		Body: &openapi.Body{
			Members: []openapi.Member{
				member(openapi.Value{Argument: "name"}, "input", "name"),
				member(openapi.Value{Secret: "token"}, "secrets", "token"), member(openapi.Value{Secret: "pass word"}, "secrets", "password"),
			},
			Contents: []openapi.Content{{MediaType: "application/json", Format: openapi.FormatJSON}},
		},
	}}
}

// TestSecretsAreSentAndHidden: the plugin gets them, and nobody else, whatever
// it answers.
func TestSecretsAreSentAndHidden(t *testing.T) {
	values := map[string]string{"token": `t0k3n-"quoted"`, "pass word": "hunter2hunter2", "of another action": "unused-secret"}
	var got string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = string(body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		text, err := json.Marshal(map[string]any{"message": "got " + got + " unused-secret"})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(text)
	}))
	defer server.Close()
	c := newClient(t, Options{BaseURL: server.URL, Secrets: func() (map[string]string, error) { return values, nil }})
	const want = `{"input":{"name":"x"},"secrets":{"password":"hunter2hunter2","token":"t0k3n-\"quoted\""}}`
	for _, status = range []int{http.StatusOK, http.StatusConflict, http.StatusInternalServerError} {
		r, err := c.Invoke(t.Context(), secretly(), map[string]any{"name": "x"})
		if got != want {
			t.Errorf("sent %s\nwant %s", got, want)
		}
		text := ""
		if r != nil {
			text = string(r.JSON)
		}
		if err != nil {
			text = err.Error()
		}
		for _, secret := range []string{"t0k3n", "hunter2", "unused-secret"} {
			if strings.Contains(text, secret) {
				t.Errorf("HTTP %d tells a secret: %s", status, text)
			}
		}
		if status != http.StatusInternalServerError && strings.Count(text, redacted) < 3 {
			t.Errorf("HTTP %d: %s", status, text)
		}
	}
	req, err := c.Request(t.Context(), secretly(), map[string]any{"name": "x"})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := io.ReadAll(req.Body)
	if err != nil || string(shown) != `{"input":{"name":"x"},"secrets":{"password":"[redacted]","token":"[redacted]"}}` {
		t.Errorf("a preview shows %s %v", shown, err)
	}
}

// TestSecretsThatAreNotThere: nothing is sent without them.
func TestSecretsThatAreNotThere(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the plugin was called") }))
	defer server.Close()
	for name, give := range map[string]func() (map[string]string, error){
		"no secrets": nil,
		"none":       func() (map[string]string, error) { return nil, nil },
		"another":    func() (map[string]string, error) { return map[string]string{"token": "t0k3n"}, nil },
		"broken":     func() (map[string]string, error) { return nil, errors.New("file /run/secret is gone") },
	} {
		c := newClient(t, Options{BaseURL: server.URL, Secrets: give})
		_, err := c.Invoke(t.Context(), secretly(), map[string]any{"name": "x"})
		var e *Error
		if !errors.As(err, &e) || e.Kind != Unavailable || e.Message != "the gateway has no credentials for this plugin" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
