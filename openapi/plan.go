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
	Value       Value
}

// Body is how a request body is put together and written.
type Body struct {
	MediaType string // as the document writes it, for example "application/json; charset=utf-8"
	Required  bool
	// Whole is the value of the entire body, when no member is set on its own.
	Whole *Value
	// Members are put into an object body at their paths.
	Members []Member
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
}

// ResponsePlan says how an HTTP response becomes a result.
type ResponsePlan struct {
	// Success lists the statuses that are results; empty means any 2xx.
	Success []int
	// Select is run over the response's JSON body; nil: the body is the result.
	Select *Query
}

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
