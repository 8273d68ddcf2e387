package registry

import (
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

// Action is an action of a plugin as the registry knows it. It is immutable,
// save for what the checker of outputs keeps of it.
type Action struct {
	openapi.Action
	ID     string // "plugin:name"
	Plugin string
	// StrictOutput says that results keep to OutputSchema; else clients are told
	// that they may be something else.
	StrictOutput bool
	Icons        []Icon // the plugin's

	arguments *jsonschema.Schema
	client    *invoke.Client
	checked   *checked
	// ruled is what a server's [ArgumentRule]s made of it; nil: it is as the plugin
	// has it.
	ruled *ruledArguments
}

// Tool is an action under the name that one server shows it by.
type Tool struct {
	Name   string // matches ^[a-zA-Z0-9_.-]{1,64}$
	Action *Action
}

// Server is a named MCP server with its allowlist resolved: exactly these
// tools, ordered by name.
type Server struct {
	Name         string
	Title        string
	Version      string
	Description  string
	WebsiteURL   string
	Icons        []Icon
	Instructions string
	ListPage     int  // entries on one page of a list; 0: all
	NoLegacySSE  bool // it does not speak HTTP+SSE
	// ConfirmDestructive says that users are asked before a destructive action.
	ConfirmDestructive bool
	// TaskAfter is how long a call may take before it is a task, for clients that
	// know tasks; 0: there are none.
	TaskAfter time.Duration
	Door      *Door // who may call what; never nil
	Tools     []Tool
	Prompts   []Prompt   // ordered by name
	Resources []Resource // in the config's order
}

// Plugin is what the registry needs of one plugin. It is not changed once it
// was compiled.
type Plugin struct {
	Name    string
	Actions []openapi.Action
	Client  *invoke.Client
	// StrictOutput is as in [Action].
	StrictOutput bool
	Icons        []Icon
	// Attributes are the operator's word on actions, by name glob. It counts
	// more than the document's, in both directions.
	Attributes []AttributeRule
	// Previous is the plugin's part before, nil: none. What did not change is taken
	// over from it.
	Previous *Part
}

// AttributeRule sets attributes of the actions that a glob on their names
// matches; nil fields leave them as they are.
type AttributeRule struct {
	Path       string // where it stands in the config
	Actions    string // glob on action names
	Attributes AttributeSet
}

// AttributeSet is a choice of attributes: nil means "not said".
type AttributeSet struct {
	ReadOnly, Destructive, Idempotent, OpenWorld *bool
}

// Rule picks actions for an allowlist. All that is said must hold.
type Rule struct {
	Path       string // where it stands in the config, "servers.sales.actions.include[0]"
	ID         string // glob on ids, "*" matches any run of characters
	Attributes AttributeSet
	Tags       []string // the action has each of them
	Plugin     string
}

// ServerSpec is a named server before its allowlist is resolved.
type ServerSpec struct {
	Name         string
	Title        string
	Version      string
	Description  string
	WebsiteURL   string
	Icons        []Icon
	Instructions string
	ListPage     int
	NoLegacySSE  bool
	// ConfirmDestructive and TaskAfter are as in [Server].
	ConfirmDestructive bool
	TaskAfter          time.Duration
	ToolNames          string // template, "{plugin}_{action}" by default
	Include            []Rule
	Exclude            []Rule
	// Rules, Ruled, Scopes, Gate and Limits are its [Door]'s.
	Rules     []AccessRule
	Ruled     bool
	Scopes    Scopes
	Gate      principal.Gate
	Limits    Limits
	Arguments []ArgumentRule
	Prompts   []Prompt // ordered by name
	Resources []ResourceSpec
}

// Fault is something in the config that the actions do not bear out. Path is
// where it stands: "servers.sales.actions.include[0]".
type Fault struct {
	Path    string
	Message string
	Hint    string
	// Plugins are those whose actions bring the fault about, as far as that is known.
	Plugins []string
	// Soft says that something in the config is about actions that are not there:
	// there is a snapshot all the same.
	Soft bool
	// Gone says of a soft fault that it is about actions that were there, see
	// [Options.Gone].
	Gone bool
}
