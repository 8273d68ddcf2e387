// Package publication has the words in which sources, the database, the
// gateway and its HTTP faces speak of what plugins publish: content, the
// generations that were made of it, registrations and how a plugin stands.
package publication

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrNotFound says that a plugin has no such generation or registration.
var ErrNotFound = errors.New("publication not found")

// ErrHeld says that another publisher has registered the plugin.
var ErrHeld = errors.New("another publisher holds the plugin's lease")

// ErrTooMany says that the publisher has registered as many plugins as it may.
var ErrTooMany = errors.New("publisher has too many plugins registered")

// Document is a document, or a file that one refers to.
type Document struct {
	Name string `json:"name"` // where it came from, fit to be shown: no credentials, no query
	Data []byte `json:"data"`
}

// Content is what a plugin published at one moment, complete: it can be read
// again without asking anybody.
type Content struct {
	Documents []Document `json:"documents"`
	Files     []Document `json:"files,omitempty"`   // what $refs of the documents led to, by their resolved names
	BaseURL   string     `json:"baseURL,omitempty"` // that the plugin itself registered; empty: the config says
}

// Hash is the SHA-256 of the content, in hex. The names of documents count, for
// $refs and findings depend on them.
func (c Content) Hash() string {
	h := sha256.New()
	for _, list := range [][]Document{c.Documents, c.Files} {
		h.Write(fmt.Appendf(nil, "%d ", len(list)))
		for _, d := range list {
			h.Write(fmt.Appendf(nil, "%q %d ", d.Name, len(d.Data)))
			h.Write(d.Data)
		}
	}
	h.Write(fmt.Appendf(nil, "%q", c.BaseURL))
	return hex.EncodeToString(h.Sum(nil))
}

// Generation is one version of a plugin's content that was judged.
type Generation struct {
	Plugin string
	Hash   string // of Content
	Content
	Source   string // where it came from, fit to be shown
	Verdict  Verdict
	Actions  []string        // names of the actions that it has
	Findings json.RawMessage // array of findings, as stagedoor lint writes them
	Time     time.Time       // when it was judged last, by the database's clock
}

// Verdict says what came of judging a generation.
type Verdict string

// Refused content is not kept: it is told by findings, log and metrics.
const (
	Accepted    Verdict = "accepted"    // it serves, or did
	Quarantined Verdict = "quarantined" // it breaks the contract lock
)

// Registration is a plugin that registered itself and renews its lease.
type Registration struct {
	Plugin    string
	Publisher string // name of the publisher in the config
	BaseURL   string
	Hash      string // of the generation that is registered
	Created   time.Time
	Until     time.Time // end of the lease, by the database's clock
	Now       time.Time // the database's clock when this was read
}

// State is how a plugin stands at one replica.
type State string

// In every state but Serving and Waiting the last good generation goes on
// serving, where there is one.
const (
	Serving      State = "serving"     // what is published is what is served
	Waiting      State = "waiting"     // nothing was published yet
	Unreachable  State = "unreachable" // the source does not answer, or not with a document
	Refused      State = "refused"     // what is published cannot be used
	InQuarantine State = "quarantined" // what is published breaks the contract lock
	Lapsed       State = "lapsed"      // the registration was not renewed in time
)

// Down tells whether the plugin itself seems to be away.
func (s State) Down() bool { return s == Unreachable || s == Lapsed }

// Status is how a plugin stands, for people and probes.
type Status struct {
	Name       string     `json:"name"`
	State      State      `json:"state"`
	Since      time.Time  `json:"since"`                // of the state
	Cause      string     `json:"cause,omitempty"`      // why it is not Serving, in words fit for everybody: no hosts
	Reason     string     `json:"reason,omitempty"`     // the same in full, for those who may register the plugin
	Source     string     `json:"source,omitempty"`     // where its documents come from
	Generation string     `json:"generation,omitempty"` // that serves: the first 12 digits of its hash
	Accepted   *time.Time `json:"accepted,omitempty"`   // when that generation was accepted
	Age        int64      `json:"age"`                  // seconds since then
	Actions    int        `json:"actions"`
	Errors     int        `json:"errors"`               // findings of the generation that serves
	Warnings   int        `json:"warnings"`             //
	Lease      *time.Time `json:"lease,omitempty"`      // until when it is registered
	Quarantine string     `json:"quarantine,omitempty"` // the generation that waits for stagedoor lock --accept
}
