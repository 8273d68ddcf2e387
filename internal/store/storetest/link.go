package storetest

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Link is the network between a gateway and a Postgres database, which fails
// when a test wants it to.
type Link struct {
	URL    string // of the database behind it
	Direct string // of the same database, beside the link

	target   string
	mu       sync.Mutex
	state    linkState
	silences int           // how often it fell silent
	change   chan struct{} // closed when state changes
	open     map[net.Conn]struct{}
}

type linkState int

const (
	linkWell linkState = iota
	linkCut
	linkSilent
)

// NewLink puts a link before a fresh Postgres database.
func NewLink(t testing.TB) *Link {
	t.Helper()
	database := Postgres(t)
	direct, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{
		Direct: database,
		URL:    "postgres://postgres@" + listener.Addr().String() + direct.Path + "?sslmode=disable",
		target: direct.Query().Get("host") + "/.s.PGSQL.5432",
		change: make(chan struct{}), open: map[net.Conn]struct{}{},
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { l.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.Cut()
		wg.Wait()
	})
	return l
}

// Cut breaks all connections and refuses new ones.
func (l *Link) Cut() { l.set(linkCut) }

// Silence lets nothing through any more, and tells nobody.
func (l *Link) Silence() { l.set(linkSilent) }

// Restore makes the link well again, for new connections: those that fell
// silent stay so, as behind a router that forgot them.
func (l *Link) Restore() { l.set(linkWell) }

func (l *Link) set(state linkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state = state; state == linkSilent {
		l.silences++
	}
	close(l.change)
	l.change = make(chan struct{})
	if state == linkCut {
		for conn := range l.open {
			_ = conn.Close()
		}
		clear(l.open)
	}
}

// keep notes connections that Cut closes; not ok where it has. born is how
// often the link had been silent by then.
func (l *Link) keep(conns ...net.Conn) (born int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		l.open[conn] = struct{}{}
	}
	return l.silences, l.state != linkCut
}

func (l *Link) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(context.Background(), "unix", l.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	born, ok := l.keep(client, server)
	if !ok {
		return
	}
	var wg sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		wg.Go(func() {
			_, _ = io.Copy(gate{l, born, to}, from)
			_ = from.Close()
			_ = to.Close()
		})
	}
	wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, client)
	delete(l.open, server)
}

// gate is a connection's end that is shut while its link is silent, and for
// good where that began after it was made.
type gate struct {
	link *Link
	born int
	net.Conn
}

func (g gate) Write(data []byte) (int, error) {
	for {
		g.link.mu.Lock()
		state, change, forgotten := g.link.state, g.link.change, g.link.silences != g.born
		g.link.mu.Unlock()
		switch {
		case state == linkCut:
			return 0, net.ErrClosed
		case state == linkWell && !forgotten:
			return g.Conn.Write(data)
		}
		<-change
	}
}
