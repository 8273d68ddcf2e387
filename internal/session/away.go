package session

import "errors"

// ErrAway says that the database does not answer: it was restarted, cannot be
// reached, or is too busy. The same call may succeed a moment later.
var ErrAway = errors.New("database does not answer")
