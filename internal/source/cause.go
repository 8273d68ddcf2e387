package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
)

// What everybody may know of an error.
const (
	unreachable = "its server cannot be reached"
	late        = "it does not come in time"
	cutShort    = "its server's answer is cut short"
	misencoded  = "its server's answer cannot be decoded"
	redirected  = "its server sends elsewhere"
	tooLarge    = "it is too large"
	gone        = "it is gone"
	lostFile    = "a file that it refers to is gone"
	noFile      = "it is not a file that can be read"
	noDocument  = "its server has no OpenAPI document at the usual places"
	noList      = "it is no list of actions"
	noProof     = "the credentials for it cannot be read"
	unreadable  = "it cannot be read"
)

// causedError is an error of which everybody may know the cause.
type causedError struct {
	cause string
	error
}

func (e *causedError) Unwrap() error { return e.error }

func because(cause string, err error) error { return &causedError{cause, err} }

// Cause says in a few words what is wrong with a plugin's documents, by an error
// of [Source.Poll]. The words never have a host, a path or a query, and are fit
// for everybody; "" without an error.
func Cause(err error) string {
	if err == nil {
		return ""
	}
	caused, isCaused := errors.AsType[*causedError](err)
	status, isStatus := errors.AsType[*StatusError](err)
	_, isPage := errors.AsType[*pageError](err)
	network, isNetwork := errors.AsType[net.Error](err)
	switch {
	case isCaused:
		return caused.cause
	case isStatus:
		return fmt.Sprintf("its server answers with HTTP %d", status.Status)
	case isPage:
		return "a web page is in its place"
	case errors.Is(err, context.DeadlineExceeded), isNetwork && network.Timeout():
		return late
	case isNetwork:
		return unreachable
	case errors.Is(err, fs.ErrNotExist):
		return gone
	}
	return unreadable
}
