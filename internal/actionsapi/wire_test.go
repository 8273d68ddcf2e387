package actionsapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stagedoor/stagedoor/gateway"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// transcript is an answer as the golden files have it.
func transcript(t *testing.T, resp *http.Response) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", resp.Status)
	for _, name := range []string{"Allow", "Cache-Control", "Content-Type", "ETag", "Retry-After", "X-Content-Type-Options"} {
		if value := resp.Header.Get(name); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	b.WriteByte('\n')
	body := strings.ReplaceAll(bodyOf(t, resp), resp.Header.Get("X-Request-Id"), "REF")
	if json.Indent(&b, []byte(body), "", "  ") != nil {
		b.WriteString(body)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// TestTranscripts: what is asked, byte for byte, and what is answered.
func TestTranscripts(t *testing.T) {
	_, address := start(t, config(t))
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Comment: archive.Comment}
			for i := range archive.Files {
				name, isRequest := strings.CutSuffix(archive.Files[i].Name, ".request")
				if !isRequest {
					continue
				}
				answer := transcript(t, send(t, address, string(archive.Files[i].Data)))
				got.Files = append(got.Files, archive.Files[i], txtar.File{Name: name + ".answer", Data: answer})
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(txtar.Format(got))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestWire: where Backstage's answers hold nothing of its own, ours are the same
// (observed of backend-defaults 0.18.0).
func TestWire(t *testing.T) {
	cfg := config(t)
	catalog := gateway.DefaultPlugin()
	catalog.Embedded, catalog.Locations = "catalog", []string{"embedded:example"}
	cfg.Plugins = map[string]gateway.Plugin{"catalog": catalog}
	server := cfg.Servers["pets"]
	server.Actions.Include = []gateway.Rule{{Plugin: "catalog"}}
	cfg.Servers["pets"] = server
	_, address := start(t, cfg)
	const v1, v2 = "/.backstage/actions/v1/actions/", "/.backstage/actions/v2/actions/"
	for _, tt := range []struct {
		path, body string
		status     int
		want       string
	}{
		{v1 + "catalog:nope/invoke", `{}`, 404, `{"error":{"name":"NotFoundError","message":"Action \"catalog:nope\" not found"},` +
			`"request":{"method":"POST","url":"/.backstage/actions/v1/actions/catalog:nope/invoke"},"response":{"statusCode":404}}`},
		{v2 + "catalog:get-catalog-entity/invoke", `{"input":{"name":"demo"},"secrets":{"a":"b"}}`, 400, `{"error":{"name":"InputError","message":"Action \"catalog:get-catalog-entity\" does not accept secrets"},` +
			`"request":{"method":"POST","url":"/.backstage/actions/v2/actions/catalog:get-catalog-entity/invoke"},"response":{"statusCode":400}}`},
	} {
		resp := post(t, address, "/api/catalog"+tt.path, tt.body)
		if body := bodyOf(t, resp); resp.StatusCode != tt.status || body != tt.want || resp.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s: %s %s\n%s\nwant\n%s", tt.path, resp.Status, resp.Header.Get("Content-Type"), body, tt.want)
		}
	}
	for _, call := range [][2]string{
		{v1 + "catalog:get-catalog-entity/invoke", `{"name":"checkout-service"}`}, {v1 + "catalog%3Aget-catalog-entity/invoke", `{"name":"checkout-service"}`},
		{v2 + "catalog:get-catalog-entity/invoke", `{"input":{"name":"checkout-service"}}`},
	} {
		var got struct {
			Output struct{ Metadata struct{ Name string } }
		}
		body := bodyOf(t, post(t, address, "/api/catalog"+call[0], call[1]))
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Output.Metadata.Name != "checkout-service" {
			t.Errorf("%s: %v %.300s", call[0], err, body)
		}
	}
}

// FuzzInvoke: whatever is asked, the answer is JSON in one of the two shapes,
// and no input reaches a plugin under another action's name.
func FuzzInvoke(f *testing.F) {
	for _, seed := range [][2]string{
		{root + "/pets:get-pet/invoke", `{"id":"1"}`}, {root + "/pets%3Aget-pet/invoke", `{"id":"a/b"}`},
		{"/.backstage/actions/v2/actions/pets:get-pet/invoke", `{"input":{"id":"1"},"secrets":null}`},
		{"/api/pets" + root + "/shop:get-pet/invoke", `{}`}, {"/api/%70ets" + root + "/pets:get-pet/invoke?x=%", `[]`},
		{root + "/%2e%2e/invoke", `null`}, {"/api//" + root, ``}, {root + "/a%2Fb/invoke", "\xff"}, {root + "//invoke", `{`},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	g, err := gateway.New(f.Context(), config(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = g.Close() })
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1"+path, bytes.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") || !strings.Contains(path, "/.backstage/actions/") {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		g.Handler().ServeHTTP(w, r)
		var answer struct {
			Output   map[string]any
			Error    struct{ Name, Message string }
			Response struct{ StatusCode int }
		}
		switch err := json.Unmarshal(w.Body.Bytes(), &answer); {
		case strings.HasPrefix(w.Body.String(), `{"error":"nothing is served here`): // the gateway's own 404
		case err != nil:
			t.Errorf("%q %q: %d %s", path, body, w.Code, w.Body)
		case w.Code == http.StatusOK && (answer.Output == nil || !strings.Contains(path, "/invoke")):
			t.Errorf("%q %q: no output: %s", path, body, w.Body)
		case w.Code != http.StatusOK && (answer.Error.Name == "" || answer.Error.Message == "" || answer.Response.StatusCode != w.Code):
			t.Errorf("%q %q: %d %s", path, body, w.Code, w.Body)
		}
	})
}
