package canary

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
	"github.com/stagedoor/stagedoor/internal/config"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// patience is how long a test waits for what must happen, at worst.
const patience = 60 * time.Second

// binary is the program, made once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stagedoor-canary")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "stagedoor")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, "../../cmd/stagedoor").CombinedOutput() // #nosec G204 -- our own program
	if err != nil {
		err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := storetest.Main(m)
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// stage is one config with all that it is about.
type stage struct {
	*testing.T
	*cage
	spy    *spy
	issuer *authtest.Issuer
	binary string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c := newCage(t.TempDir())
	s := &stage{T: t, cage: c, spy: startSpy(t, c), issuer: authtest.NewIssuer(t), binary: path}
	s.write("echo.yaml", echoDocument())
	var schemes []string
	for kind := range kinds("scheme", "") {
		schemes = append(schemes, kind)
	}
	s.write("schemes.yaml", echoDocument(schemes...))
	return s
}

func (s *stage) write(name, text string) string {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

// search complains about canaries in what somebody can see.
func (s *stage) search(what, text string) {
	s.Helper()
	for _, found := range s.look(text) {
		s.Errorf("%s tells %s", what, found)
	}
}

func (s *stage) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.Context(), s.binary, args...) // #nosec G204 -- our own program
	cmd.Dir = s.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}, s.env...)
	return cmd
}

// run runs a command to its end and searches what it says.
func (s *stage) run(args ...string) string {
	s.Helper()
	out, _ := s.command(args...).CombinedOutput() // many of them fail, and should
	s.search(strings.Join(args, " "), string(out))
	return string(out)
}

// served is a running gateway.
type served struct {
	*stage
	url  string
	log  string // file
	hup  func() // has it read its config again
	stop func()
}

var address = regexp.MustCompile(`address"?[=:]"?(127\.0\.0\.1:\d+)`)

func (s *stage) serve(path string) *served {
	s.Helper()
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		s.Fatal(err)
	}
	cmd := s.command("serve", "--config", path)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	g := &served{stage: s, log: log.Name(), hup: func() { _ = cmd.Process.Signal(syscall.SIGHUP) }}
	g.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			s.Errorf("serve ended with %v", err)
		}
		_ = log.Close()
	})
	s.Cleanup(g.stop)
	g.url = "http://" + address.FindStringSubmatch(g.await(address))[1]
	return g
}

// await waits for a line of the log.
func (g *served) await(what *regexp.Regexp) string {
	g.Helper()
	for until := time.Now().Add(patience); ; {
		text := g.logged()
		if what.MatchString(text) {
			return text
		}
		if time.Now().After(until) || strings.Contains(text, "stagedoor: ") {
			g.Fatalf("no %v in\n%s", what, text)
		}
	}
}

func (g *served) logged() string {
	text, err := os.ReadFile(g.log)
	if err != nil {
		g.Fatal(err)
	}
	return string(text)
}

// ask sends a request and searches the answer, its head included.
func (g *served) ask(method, path, body string, header http.Header) (int, string) {
	g.Helper()
	ctx, cancel := context.WithTimeout(g.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.Fatal(err)
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		g.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		g.Errorf("%s %s: %v", method, path, err)
	}
	g.search(fmt.Sprintf("answer to %s %.60s", method, path), fmt.Sprint(answer.Status, answer.Header, string(text)))
	return answer.StatusCode, string(text)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// mcp sends a request of 2026-07-28.
func (g *served) mcp(server, token, method, name, params string) (int, string) {
	g.Helper()
	header := bearer(token)
	header.Set("Accept", "application/json, text/event-stream")
	header.Set("MCP-Protocol-Version", "2026-07-28")
	header.Set("Mcp-Method", method)
	if name != "" {
		header.Set("Mcp-Name", name)
	}
	return g.ask("POST", "/mcp/"+server, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+`"_meta":{
		"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},
		"io.modelcontextprotocol/clientInfo":{"name":"canary","version":"1"}}}}`, header)
}

var toolName = regexp.MustCompile(`"name":"([a-z0-9-]+_[a-z0-9-]+)"`)

// callAll calls every tool with a token, and its action over the actions API
// with another. It tells how many calls had a result.
func (g *served) callAll(token, apiToken string) (good int) {
	g.Helper()
	_, list := g.mcp("main", token, "tools/list", "", "")
	names := toolName.FindAllStringSubmatch(list, -1)
	if len(names) < 100 {
		g.Fatalf("only %d tools: %.2000s\n%s", len(names), list, g.logged())
	}
	for _, name := range names {
		status, answer := g.mcp("main", token, "tools/call", name[1], `"name":"`+name[1]+`","arguments":{},`)
		if status == http.StatusOK && !strings.Contains(answer, `"isError":true`) {
			good++
		}
		plugin, action, _ := strings.Cut(name[1], "_")
		for _, version := range []string{"v1", "v2"} {
			g.ask("POST", "/.backstage/actions/"+version+"/actions/"+plugin+":"+action+"/invoke", `{}`, bearer(apiToken))
		}
	}
	return good
}

// TestCanaries is the whole of it, with each database and form of the log.
func TestCanaries(t *testing.T) {
	t.Run("sqlite, JSON", func(t *testing.T) {
		s := newStage(t)
		s.play("'sqlite:gateway.db'", "json")
		for _, name := range []string{"gateway.db", "gateway.db-wal", "gateway.db-journal"} {
			text, err := os.ReadFile(filepath.Join(s.dir, name))
			if err == nil {
				s.search(name, string(text))
			}
		}
	})
	t.Run("postgres, text", func(t *testing.T) {
		s := newStage(t)
		url := strings.Replace(storetest.Postgres(t), "postgres@", "postgres:"+s.hatch("database password")+"@", 1)
		s.play("'"+url+"'", "text")
		rows := storetest.Dump(t, url)
		s.search("the database", rows)
		if !strings.Contains(rows, "tools/call") {
			t.Errorf("the audit has no calls:\n%.3000s", rows)
		}
	})
}

// play uses everything in a config of everything.
func (s *stage) play(database, format string) {
	s.Helper()
	text := s.fill(s.T, everything(s.spy.URL, s.issuer.URL, database, format))
	path := s.write("config.yaml", text)
	s.commands(path)
	g := s.serve(path)
	jwt := s.issuer.Token("canary", map[string]any{"sub": "ada"})
	s.birds["caller's JWT"] = strings.ToLower(jwt[strings.LastIndex(jwt, ".")+1:])
	if good := g.callAll(jwt, s.value("api-static")); good < 40 {
		s.Errorf("only %d calls had a result", good)
	}
	g.callAll(s.value("server-static"), jwt)
	g.refusals()
	g.mcp("main", jwt, "tools/call", "bearer_json", `"name":"bearer_json","arguments":{"password":"`+s.hatch("argument")+`","say":5},`)
	g.registrations()
	g.faces()
	g.reloads(path, text)
	s.run("audit", "--config", path, "--json", "--limit", "10000")
	s.run("audit", "--config", path)
	s.run("plugins", "--url", g.url)
	s.run("actions", "list", "--url", g.url, "--json")
	g.stop()
	s.search("the log", g.logged())
	s.arrived()
}

// commands are those that show something of a config.
func (s *stage) commands(path string) {
	s.Helper()
	for _, args := range [][]string{
		{"check"}, {"check", "--json"}, {"tools", "main"}, {"actions", "list"}, {"actions", "list", "--json"}, {"actions", "show", "bearer:json", "--json"},
	} {
		s.run(append(args, "--config", path)...)
	}
	for kind := range kinds("", "") {
		s.run("actions", "call", kind+":json", "--config", path, "--dry-run", "--json")
		s.run("actions", "call", kind+":json", "--config", path, "--dry-run")
		s.run("actions", "call", kind+":json", "--config", path)
		s.run("actions", "call", kind+":s500", "--config", path, "--json")
	}
}

// refusals are requests that are turned away, with secrets in all parts.
func (g *served) refusals() {
	g.Helper()
	bad, good := g.hatch("unknown token"), g.value("server-static")
	header := func(name string, values ...string) http.Header { return http.Header{name: values} }
	for _, path := range []string{"/mcp/main", "/mcp/plain", "/mcp/main/sse", "/.backstage/actions/v1/actions", "/registry/v1/plugins", "/metrics", "/catalog-info.yaml", "/readyz", "/mcp/none", "/none"} {
		for _, h := range []http.Header{
			bearer(bad), header("Authorization", "Bearer "+bad, "Bearer "+good), header("Authorization", bad), header("Authorization", "Basic "+bad),
			header("Cookie", "token="+bad), header("X-Api-Key", bad), header("Proxy-Authorization", "Bearer "+bad), header("Authorization", "Bearer "+bad+", "+bad),
			header("Mcp-Session-Id", bad), header("Origin", "http://"+bad+".example"), {},
		} {
			g.ask("POST", path, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, h)
			g.ask("DELETE", path, "", h)
		}
		g.ask("GET", path+"?access_token="+good, "", nil)
		g.ask("GET", path+"?token="+bad+"&api_key="+bad, "", nil)
		g.ask("POST", path+"?access_token="+bad, `{"access_token":"`+bad+`"}`, nil)
	}
}

// registrations are of publishers, good and bad.
func (g *served) registrations() {
	g.Helper()
	const at = "/registry/v1/plugins/"
	header := bearer(g.value("publisher"))
	if status, answer := g.ask("PUT", at+"pushed?baseURL=https://pushed.example", echoDocument(), header); status != http.StatusCreated {
		g.Errorf("registration: %d %s", status, answer)
	}
	g.ask("PUT", at+"pushed?baseURL=https://pushed.example", "{", header)
	g.ask("PUT", at+"other?baseURL=https://pushed.example", echoDocument(), header)
	g.ask("PUT", at+"pushed?baseURL=https://u:"+g.hatch("unknown token")+"@pushed.example", echoDocument(), header)
	g.ask("PUT", at+"pushed?token="+g.value("publisher"), echoDocument(), header)
	g.ask("GET", at+"pushed", "", header)
	g.ask("DELETE", at+"pushed", "", header)
}

// faces are what operators and programs may read.
func (g *served) faces() {
	g.Helper()
	for _, path := range []string{
		"/metrics", "/readyz", "/healthz", "/registry/v1/plugins", "/catalog-info.yaml", "/.well-known/jwks.json", "/.backstage/auth/v1/jwks.json",
		"/.well-known/oauth-protected-resource/mcp/main", "/.well-known/oauth-protected-resource/.backstage/actions", "/registry/v1/plugins/bearer", "/registry/v1/plugins/refused",
	} {
		status, _ := g.ask("GET", path, "", bearer(g.value("operator-static")))
		if status == http.StatusUnauthorized || status == http.StatusForbidden {
			g.Errorf("GET %s is answered with %d", path, status)
		}
	}
}

// reloads are of configs with faults, and of one without.
func (g *served) reloads(path, text string) {
	g.Helper()
	for i, fault := range []string{"nonsense: true\n", "limits: {calls: -1}\n", "\tbroken\n"} {
		g.write(filepath.Base(path), text+fault)
		g.hup()
		g.await(regexp.MustCompile(fmt.Sprintf(`(?s)(reload refused.*){%d}`, i+1)))
	}
	g.write(filepath.Base(path), strings.Replace(text, "subject: server,", "subject: renamed,", 1))
	g.hup()
	g.await(regexp.MustCompile(`msg"?[=:]"?reloaded`))
}

// arrived makes sure that canaries were where they had to go: else the search
// would have been for nothing.
func (s *stage) arrived() {
	s.Helper()
	for place, name := range map[string]string{
		"bearer": "auth-bearer", "basic": "auth-basic!", "header": "auth-header", "query": "auth-query!", "granted": "issued", "exchange": "issued", "token": "auth-granted!",
		"refuses": "auth-refused!", "introspect": "server-introspection!", "api": "depot!", "schemes": "scheme-bearer", "docs": "spec-bearer",
	} {
		if !s.spy.has(place, name) {
			s.Errorf("%s was not sent to %s", name, place)
		}
	}
	for _, name := range []string{"caller's JWT", "auth-exchange!", "auth-body!", "scheme-granted!", "spec-granted!"} {
		if !s.spy.has("token", name) {
			s.Errorf("%s was not sent to the token endpoint", name)
		}
	}
	for place := range s.spy.seen {
		for name := range s.birds {
			inbound := strings.HasSuffix(name, "-static") || strings.HasSuffix(name, "-external") || strings.HasSuffix(name, "-legacy~") || name == "publisher"
			if (inbound || name == "caller's JWT" && place != "token" && place != "refuses" && place != "introspect") && s.spy.has(place, name) {
				s.Errorf("%s was sent to %s", name, place)
			}
		}
	}
}

// TestEveryPlaceHasACanary: a secret that a config can have and that this test
// does not know of would not be looked for.
func TestEveryPlaceHasACanary(t *testing.T) {
	s := newStage(t)
	in := map[string]bool{}
	path := s.write("config.yaml", s.fill(t, everything(s.spy.URL, s.issuer.URL, "${database@}", "json")))
	file, err := config.Load(path, s.env)
	if file == nil {
		t.Fatal(err)
	}
	for _, variable := range s.env {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	s.taken(reflect.ValueOf(file.Config), "", in)
	for _, place := range places(reflect.TypeFor[gateway.Config](), "") {
		if !in[place] && !strings.HasSuffix(place, ".specAuth.tokenExchange.clientSecret") { // a fault, and among the [faults]
			t.Errorf("%s has no canary", place)
		}
	}
	asJSON, err := json.Marshal(file.Config)
	s.search("the config as JSON", fmt.Sprintf("%s %v %+v %#v", asJSON, file.Config, file.Config, file.Config))
	if err != nil {
		t.Error(err)
	}
}
