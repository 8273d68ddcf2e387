package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
	"github.com/stagedoor/stagedoor/specs"
)

// inProcessURL is the base URL of plugins that have no socket.
const inProcessURL = "http://plugin.invalid"

// line is the way to one plugin: where its documents come from, and how it is
// called. It lives as long as its settings do, over many reloads.
type line struct {
	name     string
	log      *slog.Logger
	plugin   Plugin // of the config that the line was made for
	origin   origin
	settings settings
	overlays []openapi.Source
	catalog  *runningCatalog

	credentials  credential.Source // nil: there are none
	certificates *tls.Config       // nil: as usual

	// source is nil for plugins that register themselves: they are not asked.
	source source.Source
	turn   chan struct{}      // who holds it may ask the source, which may take long
	stop   context.CancelFunc // ends the watch; nil: there is none
	wake   chan struct{}      // has the watch ask soon
	heard  atomic.Bool        // another replica told of news, and was not followed yet

	told struct {
		sync.Mutex
		news polled // that the source gave last
		done int    // turn of what was settled last
	}

	client atomic.Pointer[invoke.Client] // that serves; nil: none does
}

// settings are what a line depends on; a change of any makes another line.
type settings struct {
	origin                                 origin
	embedded, spec, baseURL, actions, refs string
	backstage                              string
	timeout, refresh                       time.Duration
	maxResponse                            Size
	concurrency                            int
	retry, breaker                         string
	overlays                               [sha256.Size]byte
	authority                              [sha256.Size]byte // content of tls.caFile
	backstages                             string            // whose users the plugin may be told of
	catalog                                *runningCatalog
}

// newLine makes the way to a plugin, which asks nobody yet. name and p are right
// by themselves, as [Config.Validate] has it.
func newLine(name string, p Plugin, from origin, catalog *runningCatalog, id identity, log *slog.Logger) (*line, Faults) {
	path := "plugins." + name
	l := &line{name: name, log: log, plugin: p, origin: from, catalog: catalog, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	for i, file := range p.Overlays {
		overlay, err := source.File(file)
		if err != nil {
			return nil, Faults{{Path: fmt.Sprintf("%s.overlays[%d]", path, i), Message: err.Error()}}
		}
		l.overlays = append(l.overlays, overlay)
	}
	l.settings = settings{
		origin: from, embedded: p.Embedded, spec: p.Spec, baseURL: p.BaseURL, actions: p.Actions, refs: p.Refs, backstage: p.Backstage.settings(),
		timeout: p.Timeout, refresh: p.Refresh, maxResponse: p.MaxResponse, concurrency: p.Concurrency, retry: p.Retry, breaker: p.Breaker,
		overlays: digest(l.overlays), authority: contentOf(p.TLS.CAFile), catalog: catalog,
	}
	if slices.ContainsFunc(p.auths(), func(a PluginAuth) bool { return a.backstage() != nil }) {
		l.settings.backstages = strings.Join(id.backstages, " ")
	}
	l.credentials = p.credentials(name, id)
	var err error
	if l.certificates, err = p.TLS.config(); err != nil {
		return nil, Faults{{Path: path + ".tls", Message: err.Error()}}
	}
	documents := p.documentCredentials(name, id, l.credentials)
	switch from {
	case fromBinary:
		l.source = &given{document: openapi.Source{Name: "embedded:" + p.Embedded, Data: specs.Catalog()}}
	case fromGo:
		l.source = &given{document: openapi.Source{Name: "document", Data: p.Document}}
	case fromFiles:
		l.source = source.FromFiles(p.Spec, source.Refs(p.Refs))
	case fromURL:
		l.source = source.FromURL(source.URLOptions{URL: p.Spec, BaseURL: p.BaseURL, Refs: source.Refs(p.Refs), Header: headerOf(documents), Transport: documentTransport(documents, l.ownCertificates())})
	case fromBackstage:
		l.source = source.FromBackstage(source.BackstageOptions{
			BaseURL: p.Backstage.BaseURL, Plugin: p.Backstage.Plugin, Header: headerOf(documents), Secrets: slices.Collect(maps.Keys(p.Backstage.Secrets)),
			Transport: documentTransport(documents, l.certificates),
		})
	}
	return l, nil
}

// keeps tells whether the line does for a plugin of the next config. Handlers
// cannot be compared, and are never taken over.
func (l *line) keeps(next *line) bool {
	p, n := l.plugin, next.plugin
	return l.settings == next.settings && p.Handler == nil && reflect.DeepEqual(p.Auth, n.Auth) && reflect.DeepEqual(p.SpecAuth, n.SpecAuth) &&
		reflect.DeepEqual(p.Schemes, n.Schemes) && p.TLS == n.TLS
}

// ownCertificates are for the document where it is at the plugin's own origin.
func (l *line) ownCertificates() *tls.Config {
	if l.plugin.atOwnOrigin() {
		return l.certificates
	}
	return nil
}

// contentOf is a hash of what is in a file.
func contentOf(file string) (sum [sha256.Size]byte) {
	if data, err := os.ReadFile(file); file != "" && err == nil {
		sum = sha256.Sum256(data)
	}
	return sum
}

// settings are a text that changes with what is said.
func (b BackstageSource) settings() string {
	if b.BaseURL == "" {
		return ""
	}
	text := fmt.Sprintf("%q %q", b.BaseURL, b.Plugin)
	for _, name := range slices.Sorted(maps.Keys(b.Secrets)) {
		s := b.Secrets[name]
		text += fmt.Sprintf(" %q %x", name, sha256.Sum256([]byte(s.value+"\x00"+s.env+"\x00"+s.file)))
	}
	return text
}

// given is a source of one document that never changes.
type given struct {
	document openapi.Source
	told     bool
}

func (s *given) Poll(context.Context) (*source.Publication, error) {
	if s.told {
		return nil, nil
	}
	s.told = true
	return source.Given(s.document), nil
}

func (s *given) String() string { return s.document.Name }

// String is where the plugin's documents come from, fit to be shown.
func (l *line) String() string {
	if l.source == nil {
		return "registered by the plugin"
	}
	if u, err := url.Parse(l.plugin.Spec); err == nil && u.RawQuery != "" { // which may tell documents apart, and be a secret
		sum := sha256.Sum256([]byte(u.RawQuery))
		return fmt.Sprintf("%s (query %x)", l.source, sum[:4])
	}
	return l.source.String()
}

// polled is what came of asking a source.
type polled struct {
	publication *source.Publication // nil: what it was
	turn        int                 // of two, the later one is newer
	err         error
}

// poll asks the source, when nobody else does. What it gave stays news until
// it is settled: a reload that is refused for another reason loses nothing.
func (l *line) poll(ctx context.Context) polled {
	if l.source == nil {
		return polled{}
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return polled{err: fmt.Errorf("document %s: it is being read, and does not come", l.source)}
	}
	pub, err := l.source.Poll(ctx)
	l.told.Lock()
	defer l.told.Unlock()
	if pub != nil {
		l.told.news = polled{publication: pub, turn: l.told.news.turn + 1}
	}
	if err != nil {
		return polled{turn: l.told.news.turn, err: err}
	}
	return l.told.news
}

// settled says that what was polled is in use, or cannot be. It waits for no
// source.
func (l *line) settled(p polled) {
	l.told.Lock()
	defer l.told.Unlock()
	if l.told.news.turn == p.turn {
		l.told.news.publication = nil
	}
	l.told.done = max(l.told.done, p.turn)
}

// overtaken tells whether something newer was settled meanwhile.
func (l *line) overtaken(p polled) bool {
	l.told.Lock()
	defer l.told.Unlock()
	return p.turn < l.told.done
}

// watchEvery is how often the source is asked; 0: never again.
func (l *line) watchEvery() time.Duration {
	switch {
	case l.origin == fromFiles && l.plugin.Refresh == 0:
		return source.LookEvery
	case l.origin == fromURL && l.plugin.Refresh == 0, l.origin == fromBackstage && l.plugin.Refresh == 0:
		return pollEvery
	case l.origin == fromFiles || l.origin == fromURL || l.origin == fromBackstage:
		return l.plugin.Refresh
	}
	return 0
}

// rouse has the source asked soon, at the word of another replica.
func (l *line) rouse() {
	l.heard.Store(true)
	select {
	case l.wake <- struct{}{}:
	default: // it is going to be asked anyway
	}
}

// reach gives the way to the plugin's API: its own pool of connections, or a
// handler in this process. It stays the same as long as the base URL does.
func (l *line) reach(baseURL string) (*invoke.Client, error) {
	p := l.plugin
	o := invoke.Options{
		Name: l.name, BaseURL: p.BaseURL, Timeout: p.Timeout, MaxResponse: int64(p.MaxResponse), Credentials: l.credentials, TLS: l.certificates,
		UserAgent: "stagedoor/" + Version, Concurrency: p.Concurrency, Retry: p.Retry == "on", Breaker: p.Breaker == "on",
		Secrets: p.Backstage.reveal(), Logger: l.log,
	}
	handler := p.Handler
	if l.catalog != nil {
		handler = l.catalog
	}
	switch {
	case handler != nil:
		o.BaseURL = inProcessURL
		o.Transport = invoke.InProcess(handler, o.MaxResponse)
	case baseURL != "":
		o.BaseURL = baseURL
	case o.BaseURL == "" && source.IsURL(p.Spec):
		o.BaseURL = originOf(p.Spec)
	case o.BaseURL == "":
		return nil, errors.New("is needed: the document came from a file, which does not say where the API is")
	}
	if client := l.used(); client != nil && client.BaseURL() == o.BaseURL {
		return client, nil
	}
	return invoke.New(o)
}

// use notes which client serves. The one before is no longer needed, save by
// calls that have begun.
func (l *line) use(client *invoke.Client) {
	if before := l.client.Swap(client); before != nil && before != client {
		before.Close()
	}
}

// used is the plugin's client, nil where none was needed yet.
func (l *line) used() *invoke.Client {
	return l.client.Load()
}

// close ends what the line does in the background, and its connections when
// they are idle.
func (l *line) close() {
	if l.stop != nil {
		l.stop()
	}
	if c, ok := l.source.(io.Closer); ok {
		_ = c.Close() // idle connections end without a word
	}
	if client := l.used(); client != nil {
		client.Close()
	}
}

func originOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
