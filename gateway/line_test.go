package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// hanging is a source that gives a document once, and then hangs.
type hanging struct {
	asked, release chan struct{}
	told           bool
}

func (h *hanging) Poll(ctx context.Context) (*source.Publication, error) {
	if !h.told {
		h.told = true
		return source.Given(openapi.Source{Name: "document", Data: []byte("{}")}), nil
	}
	h.asked <- struct{}{}
	select {
	case <-h.release:
	case <-ctx.Done():
	}
	return nil, ctx.Err()
}

func (h *hanging) String() string { return "hanging" }

// TestSettlingWaitsForNoSource: news of a plugin is put to use while all other
// plugins wait, so it must not wait for the plugin, which may be asked once more
// by then.
func TestSettlingWaitsForNoSource(t *testing.T) {
	h := &hanging{asked: make(chan struct{}), release: make(chan struct{})}
	l, faults := newLine("billing", DefaultPlugin(), fromPublisher, nil, identity{}, slog.New(slog.DiscardHandler))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	l.source = h
	news := l.poll(t.Context())
	if news.publication == nil {
		t.Fatal("no news")
	}
	ended := make(chan polled)
	go func() { ended <- l.poll(t.Context()) }()
	<-h.asked
	if l.overtaken(news) {
		t.Error("overtaken by nothing")
	}
	l.settled(news) // hangs, or does not
	close(h.release)
	if again := <-ended; again.publication != nil {
		t.Error("what was settled is news again")
	}
}

// TestDocumentThatBringsOutAnError: an error of the program in what one plugin
// published is that plugin's trouble.
func TestDocumentThatBringsOutAnError(t *testing.T) {
	l, faults := newLine("billing", DefaultPlugin(), fromPublisher, nil, identity{}, slog.New(slog.DiscardHandler))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	var said bytes.Buffer
	g := &Gateway{log: slog.New(slog.NewTextHandler(&said, nil)), cores: make(cores, 1)}
	for range 2 { // the place is given back
		e, faults := g.judge(l, nil, func() *edition { return nil })
		if len(faults) != 1 || e == nil || strings.Contains(faults[0].Message, "nil pointer") {
			t.Errorf("got %v %v", e, faults)
		}
	}
	if !strings.Contains(said.String(), "nil pointer") || !strings.Contains(said.String(), "plugin=billing") {
		t.Errorf("logged %s", said.String())
	}
}
