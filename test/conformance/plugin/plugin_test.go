package plugin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/test/conformance/plugin"
)

func serve(t *testing.T, changed func() error) (url, dir string) {
	t.Helper()
	dir = t.TempDir()
	p, err := plugin.New(dir, changed)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return server.URL, dir
}

func send(t *testing.T, method, url, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(data)
}

func TestAnswers(t *testing.T) {
	url, _ := serve(t, nil)
	for _, test := range []struct {
		call, body        string
		status            int
		mediaType, answer string // the answer's beginning
	}{
		{"GET /text", "", 200, "text/plain; charset=utf-8", "This is a simple text response for testing."},
		{"GET /image", "", 200, "image/png", "\x89PNG"},
		{"GET /audio", "", 200, "audio/wav", "RIFF\x2c\x00\x00\x00WAVE"},
		{"GET /contents/resource", "", 200, "application/json", `{"content":[{"resource":{"mimeType":"text/plain",`},
		{"GET /contents/mixed", "", 200, "application/json", `{"content":[{"text":`},
		{"GET /contents/none", "", 404, "text/plain; charset=utf-8", ""},
		{"GET /error", "", 422, "application/problem+json", `{"detail":"This tool intentionally`},
		{"GET /header?region=a%20b", "", 200, "text/plain; charset=utf-8", "a b"},
		{"POST /schema", `{"phone":"1"}`, 200, "application/json", `{"phone":"1"}`},
		{"POST /progress", "", 200, "application/x-ndjson", "{\"progress\":0,\"total\":100}\n{\"progress\":50,\"total\":100}\n{\"progress\":100,\"total\":100}\n{\"done\":true}\n"},
		{"POST /log", "", 200, "application/x-ndjson", `{"method":"notifications/message",`},
		{"GET /greeting?name=World", "", 200, "text/plain; charset=utf-8", "Hello, World!"},
		{"POST /computations", `{"seconds":0}`, 200, "application/x-ndjson", `{"message":"step 0","progress":0,"total":10}`},
		{"POST /computations", `[]`, 400, "application/problem+json", ""},
		{"GET /computations", "", 200, "application/json", `{"running":0}`},
		{"GET /documents/watched", "", 200, "text/plain", "This text may change."},
		{"GET /documents/none", "", 404, "text/plain; charset=utf-8", ""},
		{"GET /records/123", "", 200, "application/json", `{"data":"Data for ID: 123",`},
		{"POST /questions/none", "", 404, "text/plain; charset=utf-8", ""},
		{"POST /questions/name", "{", 400, "application/problem+json", ""},
	} {
		method, path, _ := strings.Cut(test.call, " ")
		answer, body := send(t, method, url+path, test.body)
		if answer.StatusCode != test.status || answer.Header.Get("Content-Type") != test.mediaType || !strings.HasPrefix(body, test.answer) {
			t.Errorf("%s: %d %s %.200q", test.call, answer.StatusCode, answer.Header.Get("Content-Type"), body)
		}
	}
}

// question is what the plugin says when it asks back.
type question struct {
	ResultType string `json:"resultType"`
	Requests   map[string]struct {
		Method string         `json:"method"`
		Params map[string]any `json:"params"`
	} `json:"inputRequests"`
	State   string `json:"requestState"`
	Content []struct{ Text string }
}

// TestQuestions answers whatever is asked until there is a result.
func TestQuestions(t *testing.T) {
	url, _ := serve(t, nil)
	for _, test := range []struct {
		call, arguments string
		methods         []string // those of all rounds
		text            string
	}{
		{"POST /elicitation", `"message":"Who?"`, []string{"elicitation/create"}, `User response: action=accept, content={"color":"blue","name":"Alice"}`},
		{"POST /sampling", `"prompt":"What?"`, []string{"sampling/createMessage"}, "LLM response: Paris"},
		{"POST /questions/defaults", "", []string{"elicitation/create"}, `Elicitation completed: action=accept, content={"color":"blue","name":"Alice"}`},
		{"POST /questions/enums", "", []string{"elicitation/create"}, `Elicitation completed: action=accept, content={"color":"blue","name":"Alice"}`},
		{"POST /questions/name", "", []string{"elicitation/create"}, "Hello, Alice!"},
		{"POST /questions/capital", "", []string{"sampling/createMessage"}, "The model says: Paris"},
		{"POST /questions/roots", "", []string{"roots/list"}, `The roots: {"roots":[]}`},
		{"POST /questions/confirm", "", []string{"elicitation/create"}, "state-ok"},
		{"POST /questions/several", "", []string{"elicitation/create", "roots/list", "sampling/createMessage"}, `action=accept, content={"color":"blue","name":"Alice"} Paris {"roots":[]}`},
		{"POST /questions/two", "", []string{"elicitation/create", "elicitation/create"}, `action=accept, content={"color":"blue","name":"Alice"}; action=accept, content={"color":"blue","name":"Alice"}`},
		{"POST /questions/steps", "", []string{"elicitation/create", "elicitation/create"}, "Alice likes blue."},
		{"POST /questions/possible", `"capabilities":{"sampling":{}}`, []string{"sampling/createMessage"}, "1 answers"},
		{"DELETE /files/a.txt", "", []string{"elicitation/create"}, `Deleted a.txt: action=accept, content={"color":"blue","name":"Alice"}`},
	} {
		method, path, _ := strings.Cut(test.call, " ")
		body, methods := "{"+test.arguments+"}", []string(nil)
		var q question
		for round := 0; ; round++ {
			_, said := send(t, method, url+path, body)
			q = question{}
			if err := json.Unmarshal([]byte(said), &q); err != nil || round > 3 {
				t.Fatalf("%s: round %d: %s", test.call, round, said)
			}
			if q.ResultType != "input_required" {
				break
			}
			for _, r := range q.Requests {
				methods = append(methods, r.Method)
			}
			body = answer(t, q, test.arguments)
		}
		slices.Sort(methods)
		if !slices.Equal(methods, test.methods) || len(q.Content) != 1 || q.Content[0].Text != test.text {
			t.Errorf("%s: asked %q, ended with %+v", test.call, methods, q.Content)
		}
	}
}

// answer is the body of the next round.
func answer(t *testing.T, q question, arguments string) string {
	t.Helper()
	responses := map[string]json.RawMessage{"not-asked": json.RawMessage(`1`)}
	for key, r := range q.Requests {
		responses[key] = json.RawMessage(map[string]string{
			"elicitation/create":     `{"action":"accept","content":{"name":"Alice","color":"blue"}}`,
			"sampling/createMessage": `{"role":"assistant","model":"m","content":{"type":"text","text":"Paris"}}`,
			"roots/list":             `{"roots":[]}`,
		}[r.Method])
	}
	body := map[string]any{"inputResponses": responses, "requestState": q.State}
	if err := json.Unmarshal([]byte("{"+arguments+"}"), &body); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestWrongAnswers: what is no answer is asked for again, and never believed.
func TestWrongAnswers(t *testing.T) {
	url, _ := serve(t, nil)
	for _, body := range []string{
		`{"inputResponses":null}`, `{"inputResponses":{}}`, `{"inputResponses":{"other":{"action":"accept"}}}`,
		`{"inputResponses":{"confirm":1},"requestState":"confirming"}`, `{"inputResponses":{"confirm":{}},"requestState":"confirming"}`,
		`{"inputResponses":{"confirm":{"action":"accept"}}}`, `{"inputResponses":{"confirm":{"action":"accept"}},"requestState":"other"}`,
	} {
		if _, said := send(t, "POST", url+"/questions/confirm", body); !strings.Contains(said, `"input_required"`) {
			t.Errorf("%s: %s", body, said)
		}
	}
	for _, state := range []string{``, `{}`, `{"Step":"first"}`, `{"Step":"second","Name":"Eve"}`, `x`} {
		body := fmt.Sprintf(`{"requestState":%q}`, state)
		if _, said := send(t, "POST", url+"/questions/steps", body); !strings.Contains(said, `"input_required"`) {
			t.Errorf("%s: %s", body, said)
		}
	}
}

func TestChanges(t *testing.T) {
	changed := 0
	url, dir := serve(t, func() error { changed++; return nil })
	for list, name := range map[string]string{"tools": "openapi.yaml", "prompts": "config.yaml"} {
		var texts []string
		for range 3 {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, string(data))
			if answer, body := send(t, "POST", url+"/changes/"+list, ""); answer.StatusCode != http.StatusNoContent {
				t.Errorf("%s: %d %s", list, answer.StatusCode, body)
			}
		}
		if texts[0] == texts[1] || texts[0] != texts[2] {
			t.Errorf("%s: %s does not change to and fro", list, name)
		}
	}
	if changed != 6 {
		t.Errorf("told of %d changes", changed)
	}
}

func TestChangeThatIsRefused(t *testing.T) {
	url, dir := serve(t, func() error { return os.ErrDeadlineExceeded })
	if answer, _ := send(t, "POST", url+"/changes/tools", ""); answer.StatusCode != http.StatusInternalServerError {
		t.Error(answer.Status)
	}
	if err := os.Remove(filepath.Join(dir, "config.yaml")); err != nil {
		t.Fatal(err)
	}
	if answer, _ := send(t, "POST", url+"/changes/prompts", ""); answer.StatusCode != http.StatusInternalServerError {
		t.Error(answer.Status)
	}
}

// TestComputationEndsWithItsCaller: a caller that goes ends the work.
func TestComputationEndsWithItsCaller(t *testing.T) {
	url, _ := serve(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/computations", strings.NewReader(`{"seconds":600}`))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if line, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil || !strings.Contains(line, `"progress":0`) {
		t.Fatalf("%q, %v", line, err)
	}
	if _, running := send(t, "GET", url+"/computations", ""); running != "{\"running\":1}\n" {
		t.Error(running)
	}
	cancel()
	for {
		if _, running := send(t, "GET", url+"/computations", ""); running == "{\"running\":0}\n" {
			return
		}
	}
}
