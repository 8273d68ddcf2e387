package idp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// folder has provider.mjs with its packages; "": there is none.
func folder() string { return os.Getenv("STAGEDOOR_TEST_IDP") }

// provider is a process of provider.mjs.
type provider struct {
	issuer string
	cmd    *exec.Cmd
}

// The providers that tests share, by what their access tokens are.
var (
	lasting = sync.OnceValues(func() (*provider, error) { return startProvider(`{}`) })
	brief   = sync.OnceValues(func() (*provider, error) { return startProvider(`{"lifetime":2}`) })
	opaque  = sync.OnceValues(func() (*provider, error) { return startProvider(`{"opaque":true}`) })

	running struct {
		sync.Mutex
		all []*provider
	}
)

func startProvider(settings string) (*provider, error) {
	p := &provider{cmd: exec.CommandContext(context.Background(), "node", "provider.mjs", settings)} // #nosec G204 -- our own program
	p.cmd.Dir = folder()                                                                             // what it says on standard error is that it is for development
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	running.Lock()
	running.all = append(running.all, p)
	running.Unlock()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "http://") {
			p.issuer = lines.Text()
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return p, nil
		}
	}
	return nil, fmt.Errorf("provider.mjs: %w", p.cmd.Wait())
}

// stopProviders is for the end of all tests.
func stopProviders() {
	running.Lock()
	defer running.Unlock()
	for _, p := range running.all {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()
	}
}

// providerOf skips the test where there is no provider.
func providerOf(t *testing.T, start func() (*provider, error)) *provider {
	t.Helper()
	if folder() == "" {
		t.Skip("STAGEDOOR_TEST_IDP is not set")
	}
	if _, err := os.Stat(filepath.Join(folder(), "node_modules", "oidc-provider")); err != nil {
		t.Fatal(err)
	}
	p, err := start()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tokens are what a token endpoint answers.
type tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Error   string `json:"error"`
}

// post sends a form to an endpoint of the provider, and reads JSON.
func (p *provider) post(t testing.TB, path string, form url.Values, to any) {
	t.Helper()
	response, err := http.PostForm(p.issuer+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && len(body) > 0 && to != nil {
		err = json.Unmarshal(body, to)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", path, err, body)
	}
}

// user logs a person in by the device authorization grant (RFC 8628), for a
// resource (RFC 8707).
func (p *provider) user(t testing.TB, name, resource, scope string) tokens {
	t.Helper()
	var d struct {
		DeviceCode string `json:"device_code"`
		Complete   string `json:"verification_uri_complete"`
	}
	p.post(t, "/device/auth", url.Values{"client_id": {"stagedoor-cli"}, "resource": {resource}, "scope": {"openid offline_access " + scope}}, &d)
	if err := approve(d.Complete, name); err != nil {
		t.Fatal(err)
	}
	var got tokens
	p.post(t, "/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"stagedoor-cli"}, "device_code": {d.DeviceCode}, "resource": {resource}}, &got)
	if got.Access == "" || got.ID == "" || got.Refresh == "" {
		t.Fatalf("the provider gives %s no tokens: %+v", name, got)
	}
	return got
}

// robot is a token of the client credentials grant, without any user.
func (p *provider) robot(t testing.TB, resource, scope string) string {
	t.Helper()
	var got tokens
	p.post(t, "/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"robot"}, "client_secret": {"robot-secret"}, "resource": {resource}, "scope": {scope}}, &got)
	if got.Access == "" {
		t.Fatalf("the provider gives the robot no token: %s", got.Error)
	}
	return got.Access
}

var (
	form      = regexp.MustCompile(`(?s)<form [^>]*>.*?</form>`)
	input     = regexp.MustCompile(`<input [^>]*>`)
	attribute = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
)

func attributes(tag string) map[string]string {
	all := map[string]string{}
	for _, a := range attribute.FindAllStringSubmatch(tag, -1) {
		all[a[1]] = html.UnescapeString(a[2])
	}
	return all
}

// approve is a person with a browser, who says yes: opens a page, and fills in
// and sends whatever form it shows, until there is none.
func approve(page, user string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := http.Client{Jar: jar, Timeout: 20 * time.Second}
	read := func(response *http.Response, err error) (string, *url.URL, error) {
		if err != nil {
			return "", nil, err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode >= http.StatusBadRequest {
			err = fmt.Errorf("%s: %s: %s", response.Request.URL, response.Status, body)
		}
		return string(body), response.Request.URL, err
	}
	text, at, err := read(browser.Get(page))
	for range 10 {
		if err != nil {
			return err
		}
		shown := form.FindString(text)
		if shown == "" {
			return nil
		}
		fields := url.Values{}
		for _, tag := range input.FindAllString(shown, -1) {
			field := attributes(tag)
			value := field["value"]
			switch field["name"] {
			case "login":
				value = user
			case "password":
				value = "any"
			}
			fields.Set(field["name"], value)
		}
		to, wrong := at.Parse(attributes(shown[:strings.Index(shown, ">")+1])["action"])
		if wrong != nil {
			return wrong
		}
		text, at, err = read(browser.PostForm(to.String(), fields))
	}
	return fmt.Errorf("%s: there is no end of forms", page)
}
