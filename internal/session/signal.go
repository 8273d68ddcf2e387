package session

// Signal is a word from one replica to all, itself too. It is a hint where to
// look and never carries data; it can be lost when the database goes away, and
// then a [SignalResync] follows.
type Signal struct {
	Topic   string // one of the Signal constants
	Key     string // at most 500 bytes, without line breaks
	Replica string // who sent it
}

// Topics of signals, and what their keys are.
const (
	SignalResync    = "resync"    // signals may have been lost; from this replica itself, no key
	SignalMail      = "mail"      // an address that has mail
	SignalCancel    = "cancel"    // "session request": a request was cancelled
	SignalEnded     = "ended"     // a session ended
	SignalFollow    = "follow"    // a stream that another replica wants to be told of
	SignalEvents    = "events"    // a stream that has new events
	SignalListen    = "listen"    // a session that has a new stream of its own at some replica
	SignalUnlisten  = "unlisten"  // a session whose newest stream of its own was closed
	SignalLists     = "lists"     // "server kind": a list of a server changed at some replica
	SignalDocuments = "documents" // a plugin whose documents changed at some replica; none: config or any documents
	SignalTask      = "task"      // "task session", or "task" where it has none: it changed, or is to be cancelled
)
