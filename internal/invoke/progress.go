package invoke

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
)

// Progress is how far a call is (2025-11-25, basic/utilities/progress).
type Progress struct {
	Value   json.Number // more than the one before; with the digits that the plugin gave
	Total   json.Number // "" where nobody knows
	Message string      // short text, or ""
}

type progressKey struct{}

// progressed is what the calls of a context told.
type progressed struct {
	tell  func(Progress)
	last  float64
	begun bool
}

// WithProgress lets the calls of a context, one after the other, tell how an
// answer that is a stream comes in. The function is called by the goroutine that
// called [Client.Invoke], before it returns. What it is told goes up over all of them.
func WithProgress(ctx context.Context, f func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, &progressed{tell: f})
}

// ProgressOf gives the function that WithProgress put there, nil where nobody
// asked.
func ProgressOf(ctx context.Context) func(Progress) {
	if told, ok := ctx.Value(progressKey{}).(*progressed); ok {
		return told.tell
	}
	return nil
}

const (
	// maxProgressText bounds what of an item is taken for a message, in bytes.
	maxProgressText = 200
	// maxProgressDigits bounds its numbers.
	maxProgressDigits = 40
)

// teller tells of progress that goes up: "The progress value MUST increase with
// each notification". What does not is dropped.
type teller struct {
	client *Client
	before *progressed // nil: nobody wants to know
}

func (c *Client) teller(ctx context.Context) *teller {
	before, _ := ctx.Value(progressKey{}).(*progressed)
	return &teller{client: c, before: before}
}

// told tells of p. Without a value it counts one on from what was told before.
func (t *teller) told(p Progress) {
	before := t.before
	if before == nil {
		return
	}
	if p.Value == "" {
		p.Value = json.Number(strconv.FormatFloat(before.last+1, 'f', -1, 64))
	}
	value, err := p.Value.Float64()
	if err != nil || len(p.Value) > maxProgressDigits || before.begun && value <= before.last {
		return
	}
	if _, err := p.Total.Float64(); err != nil || len(p.Total) > maxProgressDigits {
		p.Total = ""
	}
	p.Message = shorten(t.client.discreet(strings.ToValidUTF8(p.Message, "\uFFFD")))
	before.last, before.begun = value, true
	before.tell(p)
}

// progressText is the text of an item: of a string, or of an object's member
// that is meant for reading.
func progressText(item []byte) string {
	v, err := unmarshal(item)
	if err != nil {
		return ""
	}
	if event, ok := v.(map[string]any); ok && event["data"] != nil {
		v = event["data"]
	}
	if object, ok := v.(map[string]any); ok {
		for _, name := range []string{"message", "text", "status", "title", "name"} {
			if text, ok := object[name].(string); ok {
				v = text
				break
			}
		}
	}
	text, _ := v.(string)
	if len(text) > maxProgressText {
		return ""
	}
	return text
}
