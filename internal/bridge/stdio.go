package bridge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// read takes the client's lines until there are no more or the context ends,
// though the reading goes on then: nothing can interrupt it.
func (b *bridge) read(ctx context.Context, in io.Reader) error {
	lines, failed := make(chan []byte), make(chan error, 1)
	go func() {
		defer close(lines)
		for reader := bufio.NewReaderSize(in, 64<<10); ; {
			line, err := readLine(reader, maxMessage)
			if line = bytes.TrimSpace(line); len(line) > 0 {
				select {
				case lines <- line:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					failed <- fmt.Errorf("standard input: %w", err)
				}
				return
			}
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				select {
				case err := <-failed:
					return err
				default:
					return nil
				}
			}
			b.take(ctx, line)
		case <-b.out.broken:
			return fmt.Errorf("standard output: %w", b.out.err)
		case <-ctx.Done():
			return nil
		}
	}
}

// readLine reads a line. Of one that is longer than limit it gives some bytes
// more than that.
func readLine(r *bufio.Reader, limit int) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line) <= limit {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// output is where the client reads.
type output struct {
	mu     sync.Mutex
	w      io.Writer
	err    error
	broken chan struct{} // closed when the client reads no more
}

// write puts a message, which is JSON, on a line of its own.
func (o *output) write(message []byte) {
	var line bytes.Buffer
	line.Grow(len(message) + 1)
	if json.Compact(&line, bytes.ToValidUTF8(message, []byte("\uFFFD"))) != nil {
		return // never: it was looked at
	}
	line.WriteByte('\n')
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return
	}
	if _, o.err = o.w.Write(line.Bytes()); o.err != nil {
		close(o.broken)
	}
}

// log tells a person what goes on, and the same thing once a minute at most.
type log struct {
	mu   sync.Mutex
	w    io.Writer
	said map[string]time.Time
}

// maxSaid bounds what a log remembers to have said.
const maxSaid = 100

func newLog(w io.Writer) *log { return &log{w: w, said: map[string]time.Time{}} }

func (l *log) say(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w == nil || time.Since(l.said[text]) < time.Minute {
		return
	}
	if len(l.said) >= maxSaid {
		clear(l.said)
	}
	l.said[text] = time.Now()
	fmt.Fprintln(l.w, "stagedoor connect: "+printable(text)) //nolint:errcheck // nobody is left to be told
}

// printable keeps what a server says from playing with a terminal, and short.
func printable(s string) string {
	const most = 1000
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return ' '
	}, s)
}
