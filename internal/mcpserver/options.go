package mcpserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// Invoker calls actions. Its error is an [invoke.Error] where the caller may
// learn of it; of any other the caller learns nothing. It may keep arguments.
type Invoker interface {
	Invoke(ctx context.Context, c registry.Call) (*invoke.Result, error)
}

// Options are what a [Handler] is made of. Store and Invoker are required.
type Options struct {
	Store   Store
	Invoker Invoker
	// Replica is this process's id among those that share the store; random by
	// default.
	Replica string
	// Secret proves to all replicas that one of them said something; 32 bytes,
	// random by default.
	Secret []byte
	// Admit gives the error of a call that the Invoker would refuse before the
	// plugin hears of it; nil: there is none.
	Admit func(c registry.Call) error
	// PublicURL is where clients find the gateway; pages from there may call it.
	PublicURL string
	// AllowedOrigins are further web origins ("https://host:port") whose pages may.
	AllowedOrigins []string
	// LoopbackOnly says that the listener is on a loopback address, so that
	// requests must name this machine in Host.
	LoopbackOnly bool
	Logger       *slog.Logger // default: none
	// Record is told of each call, and of each that was refused; by default they
	// are lines of the log.
	Record  func(ctx context.Context, c audit.Call)
	MaxBody int64 // default 4 MiB
	// Calls and CallsPerSession bound the requests that are answered at once
	// (default 10,000 and 1,000), Streams and StreamsPerSession the connections
	// that only listen (default 10,000 and 16).
	// One principal has at most a quarter of each, or as much as one session may.
	Calls, CallsPerSession, Streams, StreamsPerSession int
	// SessionsPerPrincipal bounds the sessions that a principal has at a server,
	// and, where they are more than 60, those that it opens within a minute; default 1,000.
	SessionsPerPrincipal int

	SessionTTL  time.Duration // since a session was last seen; default 24 h
	CallTimeout time.Duration // of a legacy request, which outlives its connection; default 15 min
	SlowCall    time.Duration // after it, an answer becomes a stream; default 2 s
	KeepAlive   time.Duration // between comments on a quiet stream; default 15 s
	// Recheck is how often the gate is asked again about the callers of streams
	// that only listen; default 30 s.
	Recheck time.Duration
	// EventTTL is how long the events of a stream are kept for a client that
	// comes back; default 10 min.
	EventTTL time.Duration
	// EventBytes bounds what is kept of one session; default 16 MiB.
	EventBytes int64
	Now        func() time.Time
}

func setDefaults(o *Options) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Record == nil {
		o.Record = audit.New(audit.Options{Log: o.Logger}).Record
	}
	if o.MaxBody == 0 {
		o.MaxBody = 4 << 20
	}
	if o.SessionTTL == 0 {
		o.SessionTTL = 24 * time.Hour
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = 15 * time.Minute
	}
	if o.Admit == nil {
		o.Admit = func(registry.Call) error { return nil }
	}
	if o.Replica == "" {
		o.Replica = newSessionID()
	}
	if len(o.Secret) == 0 {
		o.Secret = []byte(rand.Text())
	}
	o.Calls, o.CallsPerSession = cmp.Or(o.Calls, 10_000), cmp.Or(o.CallsPerSession, 1000)
	o.Streams, o.StreamsPerSession = cmp.Or(o.Streams, 10_000), cmp.Or(o.StreamsPerSession, 16)
	o.SessionsPerPrincipal = cmp.Or(o.SessionsPerPrincipal, 1000)
	o.SlowCall, o.KeepAlive = cmp.Or(o.SlowCall, 2*time.Second), cmp.Or(o.KeepAlive, 15*time.Second)
	o.EventTTL, o.EventBytes = cmp.Or(o.EventTTL, 10*time.Minute), cmp.Or(o.EventBytes, 16<<20)
	o.Recheck = cmp.Or(o.Recheck, 30*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
}
