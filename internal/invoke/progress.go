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

// WithProgress lets the calls of a context tell how an answer that is a stream
// comes in. The function is called by the goroutine that called
// [Client.Invoke], before it returns.
func WithProgress(ctx context.Context, f func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, f)
}

// ProgressOf gives the function that WithProgress put there, nil where nobody
// asked.
func ProgressOf(ctx context.Context) func(Progress) {
	f, _ := ctx.Value(progressKey{}).(func(Progress))
	return f
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
	tell   func(Progress) // nil: nobody wants to know
	last   float64
	begun  bool
}

func (c *Client) teller(ctx context.Context) *teller {
	return &teller{client: c, tell: ProgressOf(ctx)}
}

// told tells of p. Without a value it counts one on from what was told before.
func (t *teller) told(p Progress) {
	if t.tell == nil {
		return
	}
	if p.Value == "" {
		p.Value = json.Number(strconv.FormatFloat(t.last+1, 'f', -1, 64))
	}
	value, err := p.Value.Float64()
	if err != nil || len(p.Value) > maxProgressDigits || t.begun && value <= t.last {
		return
	}
	if _, err := p.Total.Float64(); err != nil || len(p.Total) > maxProgressDigits {
		p.Total = ""
	}
	p.Message = shorten(t.client.discreet(strings.ToValidUTF8(p.Message, "\uFFFD")))
	t.last, t.begun = value, true
	t.tell(p)
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
