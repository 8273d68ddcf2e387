package registryapi_test

import (
	"context"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway/publish"
)

// A plugin in Go, over a real socket into a real database: it registers itself,
// and withdraws when it ends.
func TestPluginInGo(t *testing.T) {
	f := newFixture(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- publish.Run(ctx, publish.Options{Gateway: f.url, Plugin: "billing", Token: token, BaseURL: base, Document: []byte(doc)})
	}()
	for deadline := time.Now().Add(20 * time.Second); ; {
		all, err := f.Registrations(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatal("not registered", err)
		}
		if len(all) == 1 {
			if r := all[0]; r.Plugin != "billing" || r.Publisher != "team" || r.BaseURL != base || r.Until.Sub(r.Now) > time.Minute {
				t.Errorf("registered %+v", r)
			}
			break
		}
	}
	kept, err := f.LastGood(t.Context(), "billing")
	if err != nil || string(kept.Documents[0].Data) != doc {
		t.Errorf("kept %+v, %v", kept, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if all, err := f.Registrations(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("%d are registered, %v", len(all), err)
	}
}
