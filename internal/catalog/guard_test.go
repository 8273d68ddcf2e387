package catalog

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestIsPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "1.1.1.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "0.0.0.0": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "198.18.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "192.0.0.8": false,
		"::1": false, "::": false, "fe80::1": false, "fc00::1": false, "fd12::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:db8::1": false, "2001::1": false,
		"fe80::1%eth0": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestAllowed(t *testing.T) {
	prefixes := []string{"https://git.example.com/raw/", "http://127.0.0.1:9000"}
	for target, want := range map[string]bool{
		"https://git.example.com/raw/a.yaml":               true,
		"https://GIT.example.com/raw/a/b.yaml":             true,
		"http://127.0.0.1:9000/x":                          true,
		"http://127.0.0.1:9000":                            true,
		"https://git.example.com/rawer/a.yaml":             false,
		"https://git.example.com/a.yaml":                   false,
		"https://git.example.com/raw/../a.yaml":            false,
		"https://git.example.com/raw/%2e%2e/a.yaml":        false,
		"https://git.example.com/raw/..%2fa.yaml":          false,
		"https://git.example.com/raw//a.yaml":              false,
		`https://git.example.com/raw/..\a.yaml`:            false,
		"http://git.example.com/raw/a.yaml":                false,
		"https://git.example.com:444/raw/a.yaml":           false,
		"https://git.example.com.evil.com/raw/":            false,
		"http://127.0.0.1:90000/x":                         false,
		"https://example.com/https://git.example.com/raw/": false,
	} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if got := allowed(u, prefixes); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
}

func TestRawURL(t *testing.T) {
	for page, want := range map[string]string{
		"https://github.com/o/r/blob/main/a/catalog-info.yaml":     "https://raw.githubusercontent.com/o/r/main/a/catalog-info.yaml",
		"https://gitlab.example.com/g/p/-/blob/main/c.yaml":        "https://gitlab.example.com/g/p/-/raw/main/c.yaml",
		"https://raw.githubusercontent.com/o/r/main/a.yaml":        "https://raw.githubusercontent.com/o/r/main/a.yaml",
		"https://github.com/o/r":                                   "https://github.com/o/r",
		"https://git.example.com/o/r/blob/main/a/catalog.yaml?x=1": "https://git.example.com/o/r/blob/main/a/catalog.yaml?x=1",
	} {
		u, _ := url.Parse(page)
		if got := rawURL(u).String(); got != want {
			t.Errorf("%s: %s", page, got)
		}
	}
}

func post(target string) string { return fmt.Sprintf(`{"type":"url","target":%q}`, target) }

// An agent must not make the catalog read what only the gateway can reach.
func TestRegisteringDoesNotReachInside(t *testing.T) {
	hits := 0
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits++
		_, _ = w.Write([]byte(component("secret")))
	}))
	defer inside.Close()
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	c := newTest(t, Options{})
	for _, target := range []string{
		inside.URL + "/catalog-info.yaml", "http://localhost" + port, "http://[::1]" + port, "http://[::ffff:127.0.0.1]" + port,
		"http://127.1" + port, "http://2130706433" + port, "http://0.0.0.0" + port, "http://169.254.169.254/latest/meta-data",
	} {
		for _, query := range []string{"", "?dryRun=true"} {
			message := refused(t, c, "POST", "/locations"+query, post(target), 400)
			if strings.Contains(message, "secret") || strings.Contains(message, "dial") {
				t.Errorf("%s: %s", target, message)
			}
		}
	}
	if hits > 0 {
		t.Errorf("the inside was reached %d times", hits)
	}
	for _, target := range []string{"file:///etc/passwd", "/etc/passwd", "ftp://example.com/x", "https://user:secret@example.com/x", "https://", "javascript:alert(1)", "https:///x"} {
		message := refused(t, c, "POST", "/locations", post(target), 400)
		if strings.Contains(message, "secret") {
			t.Errorf("%s: %s", target, message)
		}
	}
	for _, body := range []string{`{"type":"file","target":"/etc/passwd"}`, `{"type":"embedded","target":"example"}`, `{"type":"","target":"x"}`, `{"type":"url"}`, `{}`, ``} {
		refused(t, c, "POST", "/locations", body, 400)
	}
}

func TestNestedTargetsAreNoWayInside(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("the inside was reached")
	}))
	defer inside.Close()
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/url.yaml":
			_, _ = w.Write([]byte(locationTo("l", inside.URL+"/x.yaml")))
		case "/file.yaml":
			_, _ = w.Write([]byte("apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: l}\nspec: {type: file, targets: [/etc/passwd]}\n"))
		case "/text.yaml":
			_, _ = w.Write([]byte(strings.Replace(component("a"), "owner: team", "owner: team\n  x: {$text: "+inside.URL+"}", 1)))
		case "/redirect":
			http.Redirect(w, r, inside.URL+"/x.yaml", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	}))
	defer outside.Close()
	c := newTest(t, Options{AllowedURLs: []string{outside.URL}})
	for path, want := range map[string]string{
		"/url.yaml": "not a public one", "/file.yaml": "only a file may lead to another file", "/text.yaml": "not a public one",
		"/redirect": "redirects to another host", "/loop": "redirects too often", "/empty": "no entity in it",
	} {
		if message := refused(t, c, "POST", "/locations", post(outside.URL+path), 400); !strings.Contains(message, want) {
			t.Errorf("%s: %s", path, message)
		}
	}
}

func TestConfiguredURLs(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/catalog-info.yaml":
			_, _ = w.Write([]byte(component("a") + locationTo("l", "./sub/b.yaml", "/gone.yaml")))
		case "/sub/b.yaml":
			_, _ = w.Write([]byte(strings.Replace(component("b"), "owner: team", "owner: team\n  x: {$text: ../text.txt}\n  y: {$json: ./y.json}", 1)))
		case "/text.txt":
			_, _ = w.Write([]byte("some text"))
		case "/sub/y.json":
			_, _ = w.Write([]byte(`{"z": [1]}`))
		case "/large.yaml":
			_, _ = w.Write(make([]byte, maxFileBytes+1))
		default:
			http.NotFound(w, r)
		}
	}))
	defer inside.Close()
	logger, logged := newLogger()
	c := newTest(t, Options{Locations: []string{inside.URL + "/catalog-info.yaml", inside.URL + "/large.yaml", "http://127.0.0.1:1/refused.yaml"}, Logger: logger})
	b := ok(t, c, "GET", "/entities/by-name/component/default/b", "")
	if spec := b["spec"].(map[string]any); spec["x"] != "some text" || fmt.Sprint(spec["y"]) != "map[z:[1]]" {
		t.Errorf("placeholders: %v", spec)
	}
	annotations := b["metadata"].(map[string]any)["annotations"].(map[string]any)
	if annotations[annotationLocation] != "url:"+inside.URL+"/sub/b.yaml" || annotations[annotationOrigin] != "url:"+inside.URL+"/catalog-info.yaml" {
		t.Errorf("annotations: %v", annotations)
	}
	for _, want := range []string{"answered 404 Not Found", "larger than 5 MiB", "could not be reached"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("log has no %q:\n%s", want, logged)
		}
	}
}

func TestSlowServersAreGivenUp(t *testing.T) {
	stop := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer slow.Close()
	defer close(stop)
	c := newTest(t, Options{HTTPClient: &http.Client{Timeout: 50 * time.Millisecond}, AllowedURLs: []string{slow.URL}})
	if message := refused(t, c, "POST", "/locations", post(slow.URL), 400); !strings.Contains(message, "in time") {
		t.Error(message)
	}
}

func TestFileRoots(t *testing.T) {
	dir := write(t, map[string]string{
		"open/a.yaml": component("a"), "closed/b.yaml": component("b"),
		"open/up.yaml": locationTo("up", "../closed/b.yaml"), "open/net.yaml": locationTo("net", "http://127.0.0.1:1/x"),
	})
	if err := os.Symlink(filepath.Join(dir, "closed", "b.yaml"), filepath.Join(dir, "open", "link.yaml")); err != nil {
		t.Fatal(err)
	}
	c := newTest(t, Options{BaseDir: dir, FileRoots: []string{"open"}})
	file := func(target string) string { return fmt.Sprintf(`{"type":"file","target":%q}`, target) }
	for _, target := range []string{"closed/b.yaml", "open/../closed/b.yaml", "../x.yaml", "/etc/passwd", "open/link.yaml", "open/up.yaml", "open/net.yaml", "open", "open/*.yaml", "open/none.yaml", filepath.Join(dir, "closed/b.yaml")} {
		message := refused(t, c, "POST", "/locations", file(target), 400)
		if strings.Contains(message, "root:") {
			t.Errorf("%s: %s", target, message)
		}
	}
	ok(t, c, "POST", "/locations", file("open/a.yaml"))
	ok(t, c, "GET", "/entities/by-name/component/default/a", "")
	status, _ := call(t, c, "POST", "/locations?onConflict=refresh", file("open/a.yaml"))
	if status != 201 {
		t.Errorf("refresh of a registered file: %d", status)
	}
}
