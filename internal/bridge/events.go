package bridge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync/atomic"
	"time"
)

var (
	errTooLarge = errors.New("server sent a message of more than 64 MiB")
	errTooMuch  = errors.New("server sent too much at once: more than 256 MiB of unfinished messages")
)

// budget is how many bytes may be held together.
type budget struct{ left atomic.Int64 }

func (b *budget) take(n int) bool {
	if b.left.Add(-int64(n)) >= 0 {
		return true
	}
	b.left.Add(int64(n))
	return false
}

func (b *budget) give(n int) { b.left.Add(int64(n)) }

// allowance is one reader's part of a budget, and what one message may take of it.
type allowance struct {
	budget *budget
	taken  int
}

func (a *allowance) take(n int) error {
	switch {
	case a.taken+n > maxMessage:
		return errTooLarge
	case !a.budget.take(n):
		return errTooMuch
	}
	a.taken += n
	return nil
}

func (a *allowance) give() {
	a.budget.give(a.taken)
	a.taken = 0
}

// readAll reads a body that is one message. done gives its bytes back to the budget.
func readAll(r io.Reader, b *budget) (data []byte, done func(), err error) {
	a := &allowance{budget: b}
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		if full := a.take(n); full != nil {
			a.give()
			return nil, nil, full
		}
		data = append(data, chunk[:n]...)
		if errors.Is(err, io.EOF) {
			return data, a.give, nil
		}
		if err != nil {
			a.give()
			return nil, nil, err
		}
	}
}

// cursor is where a stream stands, for whoever goes on with it.
type cursor struct {
	id    string        // of the last event; "": it cannot be resumed
	retry time.Duration // how long to wait before that, as the server said; 0: it did not
}

// maxRetry bounds what a server's retry is taken for.
const maxRetry = 5 * time.Minute

// eventStream reads server-sent events (WHATWG HTML, 9.2 "Server-sent events").
type eventStream struct {
	r       *bufio.Reader
	held    allowance
	afterCR bool
	started bool
}

func newEventStream(r io.Reader, b *budget) *eventStream {
	return &eventStream{r: bufio.NewReaderSize(r, 16<<10), held: allowance{budget: b}}
}

// next gives the data of the next event that is a message and has any, and
// moves the cursor past it. An event that is cut off at the end is none.
func (s *eventStream) next(c *cursor) ([]byte, error) {
	defer s.held.give()
	id, kind := c.id, ""
	var data []byte
	for {
		line, err := s.line()
		if err != nil {
			return nil, err
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(line) == 0:
			c.id = id
			if len(data) > 1 && (kind == "" || kind == "message") { // an empty one only has an id
				return bytes.TrimSuffix(data, []byte("\n")), nil
			}
			data, kind = nil, ""
			s.held.give()
		case string(field) == "data":
			data = append(append(data, value...), '\n')
		case string(field) == "event":
			kind = string(value)
		case string(field) == "id" && isEventID(value):
			id = string(value)
		case string(field) == "retry":
			if n, err := strconv.ParseUint(string(value), 10, 32); err == nil {
				c.retry = min(time.Duration(n)*time.Millisecond, maxRetry)
			}
		}
	}
}

// isEventID leaves out what a header cannot carry.
func isEventID(id []byte) bool {
	return len(id) <= 8<<10 && !bytes.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// line reads a line that ends with CR, LF or both. It does not wait for what
// comes after a CR.
func (s *eventStream) line() ([]byte, error) {
	var line []byte
	for {
		if _, err := s.r.Peek(1); err != nil {
			return nil, err
		}
		part, _ := s.r.Peek(s.r.Buffered())
		if s.afterCR && part[0] == '\n' {
			s.afterCR = false
			_, _ = s.r.Discard(1)
			continue
		}
		s.afterCR = false
		end := bytes.IndexAny(part, "\r\n")
		whole := end >= 0
		if !whole {
			end = len(part)
		}
		if err := s.held.take(end); err != nil {
			return nil, err
		}
		line = append(line, part[:end]...)
		if !whole {
			_, _ = s.r.Discard(end)
			continue
		}
		s.afterCR = part[end] == '\r'
		_, _ = s.r.Discard(end + 1)
		if !s.started {
			s.started = true
			line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
		}
		return line, nil
	}
}
