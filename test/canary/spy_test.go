package canary

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// document is of every plugin. Its operations echo what they are sent, in one
// way each.
const document = `openapi: 3.1.0
info: {title: Echo, version: "1"}
%spaths:
`

// ways are how the spy echoes.
func ways() []string {
	return []string{"json", "text", "header", "s400", "s401", "s403", "s429", "s500", "s503", "redirect", "broken", "cut", "lines", "events"}
}

// echoDocument has an operation for each way, with the security that it needs.
func echoDocument(schemes ...string) string {
	components := ""
	if len(schemes) > 0 {
		components = "components:\n  securitySchemes:\n"
		for _, s := range schemes {
			components += "    " + s + ": {type: http, scheme: bearer}\n"
		}
	}
	d := fmt.Sprintf(document, components)
	for i, way := range ways() {
		security := ""
		if len(schemes) > 0 {
			security = "\n      security: [{" + schemes[i%len(schemes)] + ": []}]"
		}
		d += fmt.Sprintf(`  /%s:
    get:
      operationId: %s%s
      x-action: true
      parameters: [{name: say, in: query, schema: {type: string}}, {name: password, in: query, schema: {type: string}}]
      responses: {'200': {description: All that was sent.}}
`, way, way, security)
	}
	return d
}

// spy is all of the world that the gateway speaks to. It keeps what it is sent,
// and says all of it back.
type spy struct {
	*httptest.Server
	cage *cage

	mu   sync.Mutex
	seen map[string]string // requests by their first path segment
}

func startSpy(t *testing.T, c *cage) *spy {
	t.Helper()
	s := &spy{cage: c, seen: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP serves plugins at /{name}/…, documents at /docs/…, a token endpoint
// at /token and one that refuses at /refuses, introspection at /introspect and a
// Backstage at /api.
func (s *spy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	sent := fmt.Sprintf("%s %s %v %s", r.Method, r.URL, r.Header, body)
	place, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	s.mu.Lock()
	s.seen[place] += sent + "\n"
	s.mu.Unlock()
	switch place {
	case "docs":
		_, _ = io.WriteString(w, echoDocument())
	case "token":
		s.json(w, http.StatusOK, map[string]any{"access_token": s.cage.value("issued"), "token_type": "Bearer", "expires_in": 3600})
	case "refuses":
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		_ = r.ParseForm()
		s.json(w, http.StatusUnauthorized, map[string]any{
			"error": "invalid_client", "error_description": fmt.Sprint(r.PostForm, string(body), r.Header["Authorization"]), "secret": r.PostForm,
		})
	case "introspect":
		s.json(w, http.StatusOK, map[string]any{"active": false, "error_description": sent})
	case "api":
		s.backstage(w, r, sent)
	default:
		s.echo(w, rest, sent)
	}
}

func (s *spy) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// backstage has one action, which takes a secret.
func (s *spy) backstage(w http.ResponseWriter, r *http.Request, sent string) {
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, `{"actions":[{"id":"depot:unlock","title":"Unlock","description":"Unlocks.","schema":{
			"input":{"type":"object","additionalProperties":false},"secrets":{"type":"object","properties":{"depotKey":{"type":"string"}},"required":["depotKey"]}}}]}`)
		return
	}
	s.json(w, http.StatusOK, map[string]any{"output": map[string]string{"sent": sent}})
}

// echo says all that was sent back.
func (s *spy) echo(w http.ResponseWriter, way, sent string) {
	if status, err := strconv.Atoi(strings.TrimPrefix(way, "s")); err == nil {
		w.Header().Set("Www-Authenticate", "Bearer "+line(sent))
		s.json(w, status, map[string]any{"error": map[string]any{"name": "Refused", "message": sent, "stack": sent}})
		return
	}
	asJSON, _ := json.Marshal(map[string]string{"sent": sent})
	switch way {
	case "text":
		_, _ = io.WriteString(w, sent)
	case "header":
		for _, name := range []string{"Link", "Etag", "Location", "X-Ratelimit-Remaining", "Retry-After", "Set-Cookie"} {
			w.Header().Set(name, line(sent))
		}
		s.json(w, http.StatusCreated, map[string]string{})
	case "redirect":
		w.Header().Set("Location", "/"+line(sent))
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, sent)
	case "broken":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(asJSON[:len(asJSON)-1])
	case "cut": // the connection ends early
		w.Header().Set("Content-Length", strconv.Itoa(len(asJSON)+1))
		_, _ = w.Write(asJSON)
	case "lines":
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = w.Write(append(append(asJSON, '\n'), asJSON...))
	case "events":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "data: %s\n\nevent: x\ndata: %s\n\n", asJSON, line(sent))
	default:
		s.json(w, http.StatusOK, map[string]string{"sent": sent})
	}
}

func line(s string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(s) }

// has tells whether a canary was sent to a place.
func (s *spy) has(place, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range s.cage.look(s.seen[place]) {
		if strings.HasPrefix(found, name+" in ") {
			return true
		}
	}
	return false
}
