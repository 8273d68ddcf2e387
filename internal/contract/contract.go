// Package contract knows what a tool promises its callers, tells what changed
// between two versions of that as a model's user would feel it, and keeps the
// promises that an operator has accepted in a lock file.
package contract

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/stagedoor/stagedoor/openapi"
)

// Contract is what an action promises those who call it.
type Contract struct {
	Action      string             `json:"action"` // id, "plugin:name"
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"` // in full, also where a model is shown less
	Operation   string             `json:"operation"`             // "GET /path"
	Attributes  openapi.Attributes `json:"attributes"`
	Deprecated  bool               `json:"deprecated,omitempty"`
	Input       json.RawMessage    `json:"inputSchema"`            // JSON Schema 2020-12
	Output      json.RawMessage    `json:"outputSchema,omitempty"` // likewise; nil: the document does not say
}

// Tool is an action under the name that a server shows it by.
type Tool struct {
	Name string
	Contract
}

// Of gives the contract of an action, by the id that the gateway gives it. Its
// attributes are to be those that the operator's config makes of the document's.
func Of(id string, a openapi.Action) Contract {
	return Contract{
		Action: id, Title: a.Title, Description: cmp.Or(a.FullDescription, a.Description), Operation: a.Operation,
		Attributes: a.Attributes, Deprecated: a.Deprecated, Input: a.InputSchema, Output: a.OutputSchema,
	}
}

// Hash is the SHA-256, in hex, of the contract as JSON with sorted members: the
// order in which a document has them is no part of the contract.
func (c Contract) Hash() string {
	sum := sha256.Sum256([]byte(shown(c.canonical())))
	return hex.EncodeToString(sum[:])
}

// canonical is the contract with its schemas as values, whose members
// encoding/json sorts.
func (c Contract) canonical() any {
	return struct {
		Contract
		Input  any `json:"inputSchema"`
		Output any `json:"outputSchema,omitempty"`
	}{c, decoded(c.Input), decoded(c.Output)}
}

// decoded is a schema as a value; one that is no JSON is a text.
func decoded(schema json.RawMessage) any {
	if schema == nil {
		return nil
	}
	v, err := unmarshal(schema)
	if err != nil {
		return string(schema)
	}
	return v
}
