package contract

import (
	"cmp"
	"slices"
	"strings"
)

// Change is a difference between two versions of an action, or of a server's
// tools, as somebody who calls it feels it.
type Change struct {
	Server string `json:"server,omitempty"` // of a lock
	Tool   string `json:"tool,omitempty"`   // of a lock
	Action string `json:"action"`
	Code   Code   `json:"code"`
	// Where is the place in the contract: "input.filter.status[]", "output.id",
	// "description"; empty: the action itself.
	Where    string `json:"where,omitempty"`
	Message  string `json:"message"`
	Breaking bool   `json:"breaking"`
	Hint     string `json:"hint,omitempty"`
}

// Code is a kind of change; docs/diff.md explains each.
type Code string

// The codes of changes.
const (
	ActionAdded   Code = "action-added"
	ActionRemoved Code = "action-removed"
	ToolAdded     Code = "tool-added"
	ToolRemoved   Code = "tool-removed"
	ToolMoved     Code = "tool-moved"

	TitleChanged       Code = "title-changed"
	DescriptionChanged Code = "description-changed"
	OperationChanged   Code = "operation-changed"
	MoreDangerous      Code = "more-dangerous"
	LessDangerous      Code = "less-dangerous"
	Deprecated         Code = "deprecated"
	Undeprecated       Code = "undeprecated"

	PropertyAdded      Code = "property-added"
	PropertyRemoved    Code = "property-removed"
	PropertyRequired   Code = "property-required"
	PropertyOptional   Code = "property-optional"
	TypeNarrowed       Code = "type-narrowed"
	TypeWidened        Code = "type-widened"
	ValuesRemoved      Code = "values-removed"
	ValuesAdded        Code = "values-added"
	BoundTightened     Code = "bound-tightened"
	BoundLoosened      Code = "bound-loosened"
	ObjectClosed       Code = "object-closed"
	ObjectOpened       Code = "object-opened"
	AlternativeRemoved Code = "alternative-removed"
	AlternativeAdded   Code = "alternative-added"
	EncodingChanged    Code = "encoding-changed"
	DefaultChanged     Code = "default-changed"
	SchemaUndecided    Code = "schema-undecided"
	OutputAdded        Code = "output-added"
	OutputRemoved      Code = "output-removed"
)

// Breaking tells whether any change breaks those who call.
func Breaking(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.Breaking })
}

// arrange sorts changes by server, tool and action; within one, those that break
// come first.
func arrange(changes []Change) []Change {
	slices.SortStableFunc(changes, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.Server, b.Server), strings.Compare(a.Tool, b.Tool), strings.Compare(a.Action, b.Action),
			compareBool(b.Breaking, a.Breaking), strings.Compare(a.Where, b.Where), strings.Compare(string(a.Code), string(b.Code)))
	})
	return changes
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
