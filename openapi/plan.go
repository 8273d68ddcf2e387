package openapi

import "encoding/json"

// RequestPlan says, without the document, how an action's arguments become an
// HTTP request. It is worked out once, when the document is read.
type RequestPlan struct {
	Method string
	// Path is the template cut into segments; joined they give the path below
	// the plugin's base URL, beginning with "/".
	Path []PathPart
	// Parameters holds query, header and cookie parameters in document order.
	// Path parameters are in Path.
	Parameters []Parameter
	Body       *Body // nil: the request has no body
	Accept     string
	// Defaults are filled in for arguments that the caller left out.
	Defaults map[string]json.RawMessage
}

// PathPart is literal text of a path template, or a parameter in it.
type PathPart struct {
	Literal   string
	Parameter *Parameter // nil: the part is literal
}

// In is where a parameter travels.
type In string

// The locations of OpenAPI 3.x.
const (
	InPath        In = "path"
	InQuery       In = "query"
	InQuerystring In = "querystring" // the whole query, written as ContentType
	InHeader      In = "header"
	InCookie      In = "cookie"
	InBody        In = "body" // not a parameter location; used in x-action targets
)

// Parameter is one parameter of a request: location × style × explode × type.
// Style is never empty: the location's default is filled in (OpenAPI 3.1
// §4.8.12.2). Swagger's lists bring spaceDelimited and pipeDelimited to paths and
// headers, and "tabDelimited"; OpenAPI 3.2 brings "cookie".
type Parameter struct {
	Name            string
	In              In
	Style           string
	Explode         bool
	AllowReserved   bool
	AllowEmptyValue bool
	Required        bool
	// ContentType is set for a parameter described by "content" instead of
	// "schema": the value is serialised as that media type.
	ContentType string
	// Integer tells that the value is an integer, or a list of them: 1.0 is one
	// to JSON Schema, and not to most servers.
	Integer bool
	Value   Value
}

// Body is how a request body is put together and written.
type Body struct {
	Required bool
	// Whole is the value of the entire body, when no member is set on its own.
	Whole *Value
	// Members are put into an object body at their paths.
	Members []Member
	// Contents are the media types that it can be written as, the preferred one
	// first. There is always one.
	Contents []Content
	// ContentType names one of Contents; nil, or absent: the first.
	ContentType *Value
}

// Content is one media type of a body, and how a value is written as it.
type Content struct {
	// MediaType is as the document writes it, for example "application/json;
	// charset=utf-8". For a range like "image/*" the value says which it is.
	MediaType string
	Format    Format
	// Encoding tells of the fields of a form (OpenAPI 3.1 §4.8.15).
	Encoding map[string]Encoding
	XML      *XML // nil: elements are called like the members
}

// Format is how values are written as a media type.
type Format string

// The formats. Lines is NDJSON, Sequence RFC 7464; both write a list. Text
// writes a string as it is and all else as JSON; Binary writes a file.
const (
	FormatJSON      Format = "json"
	FormatForm      Format = "form" // application/x-www-form-urlencoded
	FormatMultipart Format = "multipart"
	FormatLines     Format = "lines"
	FormatSequence  Format = "sequence"
	FormatXML       Format = "xml"
	FormatText      Format = "text"
	FormatBinary    Format = "binary"
)

// Encoding is how one field of a form is written.
type Encoding struct {
	// ContentType is the part's, or several parted by commas of which the value
	// decides; "": what fits the value.
	ContentType string
	XML         *XML // of a part that is XML
	// Style is "" where the content type decides and not RFC 6570.
	Style         string
	Explode       bool
	AllowReserved bool
	// File tells that the value, or each of a list, is a file: base64, a data
	// URL, or an object of data or text, filename and mediaType.
	File bool
	// Headers of the part, by name.
	Headers map[string]string
}

// XML is the XML Object of a schema (OpenAPI 3.1 §4.8.26) with those of its
// parts; recursive schemas give cycles.
type XML struct {
	Name      string // "": the member's name
	Prefix    string
	Namespace string
	Attribute bool
	Text      bool // the element's text (OpenAPI 3.2, nodeType)
	Inline    bool // its members stand in the element around it (likewise)
	Wrapped   bool // a list has an element of its own around its items
	Items     *XML
	Members   []XMLMember // in the author's order
}

// XMLMember is one member of an object.
type XMLMember struct {
	Name string
	XML  *XML
}

// Member is one property of an object body; Path has a name for each level.
type Member struct {
	Path  []string
	Value Value
}

// Value says where a value comes from: exactly one field is set.
type Value struct {
	Argument string          // the top-level argument of that name; absent argument, absent value
	Fixed    json.RawMessage // always this JSON
	Query    *Query          // jq over the arguments object; null or empty: absent value
	Secret   string          // the operator's secret of that name; not for anybody's eyes
	Known    Known           // what the gateway knows of the call beside its arguments; may be absent
}

// Known is something that the gateway knows of a call and its arguments do not
// say.
type Known string

// What an action whose plugin answers with MCP results can be told (2026-07-28,
// basic/patterns/mrtr): the client's answers to what the plugin asked (an object),
// the state that the plugin gave with its questions (a string), and what the
// client declared that it can do (an object).
const (
	InputResponses     Known = "inputResponses"
	RequestState       Known = "requestState"
	ClientCapabilities Known = "capabilities"
)

// ResponsePlan says how an HTTP response becomes a result.
type ResponsePlan struct {
	// Success lists the statuses that are results; empty means any 2xx.
	Success []int
	// Select is run over the response's JSON body; nil: the body is the result.
	Select *Query
	// Progress is run over each item of an answer that is a stream; what it makes
	// a number, a string or {progress, total, message} of is progress, and no part
	// of the result. nil: each item is both.
	Progress *Query
	// MCP says that the plugin answers with MCP results. Its requests carry
	// the client's answers and the plugin's state where Answers and State are set.
	MCP, Answers, State bool
}

// Asks tells whether a plugin can answer that it needs input first.
func (p ResponsePlan) Asks() bool { return p.Answers || p.State }

// IsSuccess tells whether a status is a result and not an error.
func (p ResponsePlan) IsSuccess(status int) bool {
	if len(p.Success) == 0 {
		return status >= 200 && status < 300
	}
	for _, s := range p.Success {
		if s == status {
			return true
		}
	}
	return false
}
