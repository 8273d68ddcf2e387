package openapi

import (
	"encoding/json"
	"time"
)

// Action is one named thing that an operation of a document can do, with all
// that a model needs to choose it and all that the gateway needs to call it.
// It is immutable once [Read] returns it.
type Action struct {
	// Name is unique within its document and matches [a-z0-9][a-z0-9_-]*.
	Name        string
	Title       string
	Description string
	// FullDescription is the description before Description was cut to what a
	// model is shown; empty where nothing was cut.
	FullDescription string
	Attributes      Attributes
	// InputSchema is a self-contained JSON Schema 2020-12 whose root is an
	// object that admits no unknown property.
	InputSchema json.RawMessage
	// OutputSchema is a self-contained JSON Schema 2020-12 of the result (any
	// root), nil when the document does not say what the result is.
	OutputSchema json.RawMessage
	Examples     []Example
	Tags         []string
	// Scopes are the scopes that a caller needs, as the document names them.
	Scopes     []string
	Timeout    time.Duration // 0: the plugin's
	Deprecated bool
	// Security is what the document says a caller of the API has to show: one of
	// these alternatives, with all schemes in it. An empty one needs nothing; none
	// at all: the document does not say.
	Security [][]SecurityScheme

	// Operation is "GET /path", as the document writes it.
	Operation string
	Location  Location

	Request  RequestPlan
	Response ResponsePlan
}

// Attributes say how careful a caller has to be. They are MCP's tool
// annotations without the "Hint".
type Attributes struct {
	ReadOnly    bool `json:"readOnly"`
	Destructive bool `json:"destructive"`
	Idempotent  bool `json:"idempotent"`
	OpenWorld   bool `json:"openWorld"`
}

// Example is a call that works, for people and models to imitate.
type Example struct {
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Input       json.RawMessage `json:"input,omitempty"`
	Output      json.RawMessage `json:"output,omitempty"`
}
