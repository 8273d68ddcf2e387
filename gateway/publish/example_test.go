package publish_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/signal"

	"github.com/stagedoor/stagedoor/gateway/publish"
)

// A plugin registers itself for as long as it runs.
func ExampleRun() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	document, err := os.ReadFile("openapi.yaml")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		err := publish.Run(ctx, publish.Options{
			Gateway: "https://stagedoor.internal", Token: os.Getenv("PUBLISHER_TOKEN"),
			Plugin: "billing", BaseURL: "https://billing.internal/api", Document: document,
		})
		if err != nil {
			fmt.Println(err) // a token, a name or a document that the gateway does not take
		}
	}()
	// … serve the API until ctx ends …
}

// What the gateway made of a document.
func ExampleOnce() {
	gateway := httptest.NewServer(newRegistry()) // stands for a real one
	defer gateway.Close()
	r, err := publish.Once(context.Background(), publish.Options{
		Gateway: gateway.URL, Token: "secret", Plugin: "billing", BaseURL: "https://billing.internal/api",
		Document: []byte(`{"openapi": "3.1.0", "paths": {}}`),
	})
	fmt.Println(r.State, r.Actions, err)
	for _, f := range r.Findings {
		fmt.Println(f.Severity, f.Message)
	}
	// Output:
	// accepted [pay] <nil>
	// info no examples
}
