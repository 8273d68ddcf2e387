package gateway

import "github.com/stagedoor/stagedoor/openapi"

// cores bounds how many documents are read and compiled at once. A place is
// held for work alone: never while a lock is waited for, or the network.
type cores chan struct{}

// work does something that takes one core for a while.
func (c cores) work(f func()) {
	c <- struct{}{}
	defer func() { <-c }()
	f()
}

// idling is an opener for use inside of work: it gives the place back while it
// waits for a file.
type idling struct {
	openapi.Opener
	cores cores
}

// Open implements [openapi.Opener].
func (o idling) Open(name string) ([]byte, error) {
	<-o.cores
	defer func() { o.cores <- struct{}{} }()
	return o.Opener.Open(name)
}
