package invoke

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/stagedoor/stagedoor/openapi"
)

// sequence says how a stream of JSON texts or events is taken apart.
type sequence struct {
	// split makes what cuts one stream into records.
	split func() bufio.SplitFunc
	// item makes JSON of a record, without the secrets; nil: there is nothing in it.
	item func(record []byte, hidden *secrets) json.RawMessage
}

const eventStream = "text/event-stream"

// sequenceOf gives the form of a media type that is a sequence, nil of others:
// JSON lines under their several names, JSON text sequences (RFC 7464) and
// server-sent events (HTML Standard, §9.2).
func sequenceOf(essence string) *sequence {
	switch essence {
	case "application/x-ndjson", "application/ndjson", "text/x-ndjson", "application/jsonl", "application/x-jsonl", "application/jsonlines",
		"application/x-jsonlines", "application/json-lines", "application/stream+json", "application/x-json-stream":
		return &sequence{split: func() bufio.SplitFunc { return splitAt('\n', nil) }, item: jsonItem}
	case eventStream:
		return &sequence{split: splitEvents, item: eventItem}
	}
	if essence == "application/json-seq" || strings.HasSuffix(essence, "+json-seq") {
		return &sequence{split: func() bufio.SplitFunc { return splitAt(0x1E, wholeTexts()) }, item: jsonItem}
	}
	return nil
}

// splitAt splits at a byte: LF of lines, RFC 7464's record separator. A splitter
// is of one stream: it remembers how far it has looked, for it sees the
// beginning of a record again with each read. What is whole needs no mark after it.
func splitAt(mark byte, whole func(data []byte) bool) bufio.SplitFunc {
	seen := 0
	return func(data []byte, atEOF bool) (advance int, token []byte, err error) {
		if i := bytes.IndexByte(data[seen:], mark); i >= 0 {
			end := seen + i
			seen = 0
			return end + 1, data[:end], nil
		}
		seen = len(data)
		if seen > 0 && (atEOF || whole != nil && whole(data)) {
			seen = 0
			return len(data), data, nil
		}
		return 0, nil, nil
	}
}

// wholeTexts tells whether a record of RFC 7464, whose mark stands before it,
// has come to its end: a plugin may write the next one much later. It looks again
// only when there is twice as much, so that all its looking takes linear time.
func wholeTexts() func(data []byte) bool {
	failed := 0
	return func(data []byte) bool {
		if len(data) < failed { // another record
			failed = 0
		}
		if !bytes.HasSuffix(data, []byte("\n")) || len(data) < 2*failed {
			return false
		}
		if json.Valid(data) {
			failed = 0
			return true
		}
		failed = len(data)
		return false
	}
}

// splitEvents splits at blank lines; a line ends with LF, CR or both.
func splitEvents() bufio.SplitFunc {
	seen, start := 0, 0 // start is that of the line
	return func(data []byte, atEOF bool) (advance int, token []byte, err error) {
		for i := seen; i < len(data); i++ {
			if data[i] != '\n' && data[i] != '\r' {
				continue
			}
			blank := i == start
			if data[i] == '\r' {
				if i+1 == len(data) && !atEOF && !blank {
					seen = i // LF may follow
					return 0, nil, nil
				}
				if i+1 < len(data) && data[i+1] == '\n' {
					i++
				}
			}
			start = i + 1
			if blank {
				end := start
				seen, start = 0, 0
				return end, data[:end], nil
			}
		}
		seen = len(data)
		if atEOF && seen > 0 {
			seen, start = 0, 0
			return len(data), data, nil
		}
		return 0, nil, nil
	}
}

// jsonItem is a record that is JSON, or else its text as a JSON string: one bad
// line does not cost the others.
func jsonItem(record []byte, hidden *secrets) json.RawMessage {
	record = bytes.TrimSpace(record)
	if len(record) == 0 {
		return nil
	}
	record = bytes.ToValidUTF8(record, []byte("\uFFFD"))
	var compact bytes.Buffer
	if json.Compact(&compact, record) == nil {
		return hidden.redactJSON(mended(compact.Bytes()))
	}
	text, err := marshal(hidden.redactText(string(record)))
	if err != nil {
		return nil
	}
	return text
}

// eventItem makes {"event":…,"id":…,"data":…} of an event; comments, which keep
// connections alive, are nothing.
func eventItem(record []byte, hidden *secrets) json.RawMessage {
	var name, id string
	var data []string
	for line := range strings.FieldsFuncSeq(string(record), func(r rune) bool { return r == '\n' || r == '\r' }) {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "id":
			id = value
		case "data":
			data = append(data, value)
		}
	}
	if name == "" && data == nil {
		return nil
	}
	event := []byte{'{'}
	for _, f := range []struct{ name, value string }{{"event", name}, {"id", id}} {
		if text, err := marshal(hidden.redactText(f.value)); err == nil && f.value != "" {
			event = fmt.Appendf(event, "%q:%s,", f.name, text)
		}
	}
	content := jsonItem([]byte(strings.Join(data, "\n")), hidden)
	if content == nil {
		content = json.RawMessage(`""`)
	}
	return append(append(append(event, `"data":`...), content...), '}')
}

// stream is a plugin's body up to the cap. It remembers why it ended early: of
// what it broke off in, nothing is kept.
type stream struct {
	body io.Reader
	left int64
	err  error
}

var errFull = errors.New("the cap is reached")

func (s *stream) Read(p []byte) (int, error) {
	if s.left <= 0 {
		s.err = errFull
		return 0, errFull
	}
	n, err := s.body.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// collect reads a stream until it ends, the cap is reached or time is up; what
// there is by then is the result, an array. Where the action says which items
// are progress, those are not, and one item that is left alone is the result.
func (c *Client) collect(ctx context.Context, a *openapi.Action, in *answer, body io.Reader) (*Result, error) {
	form, sift := sequenceOf(in.media.essence), c.sift(ctx, a, in)
	from := &stream{body: body, left: c.maxResponse + 1}
	records := bufio.NewScanner(from)
	records.Buffer(make([]byte, 0, 4<<10), int(c.maxResponse)+2)
	split, advanced := form.split(), 0
	records.Split(func(data []byte, atEOF bool) (advance int, token []byte, err error) {
		advanced, token, err = split(data, atEOF && from.err == nil)
		return advanced, token, err
	})
	list, count := []byte{'['}, 0
	for records.Scan() {
		item := form.item(toUTF8(records.Bytes(), in.media.charset, true), in.secrets)
		if item != nil {
			var err error
			if item, err = sift(item); err != nil {
				return nil, err
			}
		}
		if item == nil {
			from.left += int64(advanced) // the cap is for what is kept
			continue
		}
		if int64(len(list)+len(item)+len(",]")) > c.maxResponse {
			from.err = errFull
			break
		}
		if count > 0 {
			list = append(list, ',')
		}
		list = append(list, item...)
		count++
	}
	cut, err := c.streamCut(ctx, a, in.status, from.err, count)
	r := &Result{Status: in.status, Headers: in.headers, JSON: append(list, ']'), Cut: cut}
	if one := a.Response.MCP || a.Response.Progress != nil; one && count == 1 && cut == nil {
		r.JSON = list[1:]
	}
	return r, err
}

// streamCut says why a stream was left before its end. It is an error where
// nothing came, and where the caller gave up.
func (c *Client) streamCut(ctx context.Context, a *openapi.Action, status int, err error, count int) (*Cut, error) {
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, errFull) && count == 0:
		return nil, c.tooLarge(a, status)
	case errors.Is(err, errFull):
		return &Cut{Reason: cutSize, Items: count, Note: c.cutNote(a, kept("", count, "items"))}, nil
	case errors.Is(ctx.Err(), context.Canceled) || count == 0:
		return nil, err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Cut{Reason: cutTime, Items: count, Note: "The plugin's answer is a stream that had not ended when the time for the call was up: " +
			kept("", count, "items") + "."}, nil
	}
	return &Cut{Reason: cutBroken, Items: count, Note: "The plugin's answer is a stream that broke off: " + kept("", count, "items") + "."}, nil
}
