package oracle_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/openapi"
)

// exception is a difference that is not ours: what the oracle does, and what
// OpenAPI, or the document that it builds on, says. Each has to occur.
type exception struct {
	oracle  string
	applies func(c cell, v any) bool
	does    string
	says    string
	source  string
}

const (
	parseFirst = "the components and subcomponents significant to the scheme-specific dereferencing process (if any) must be parsed and " +
		"separated before the percent-encoded octets within those components can be safely decoded"
	preEncode = "This requires users to pre-encode the character(s) in some other way in parameter names and values to distinguish them " +
		"from the delimiter usage when using one of these styles."
	mustEscape = "All Unicode characters may be placed within the quotation marks, except for the characters that MUST be escaped: " +
		"quotation mark, reverse solidus, and the control characters (U+0000 through U+001F)."
	cookiePairs = "For multiple values, `style: form` is always incorrect as name=value pairs in cookies are delimited by `; ` " +
		"(a semicolon followed by a space character) rather than `&`."
	triples = "allows RFC3986's reserved character set, as well as percent-encoded triples, to pass through unchanged"
	period  = "percent-encoded octets in the ranges of ALPHA (%41-%5A and %61-%7A), DIGIT (%30-%39), hyphen (%2D), period (%2E), underscore (%5F), " +
		"or tilde (%7E) should not be created by URI producers"
	headerText  = "RFC6570's percent-encoding behavior is not always appropriate for `in: header` and `in: cookie` parameters."
	mustDelimit = "The `[` and `]`, `|`, and space characters, which are used as delimiters for the `deepObject`, `pipeDelimited`, and `spaceDelimited` styles, " +
		"respectively, all MUST be percent-encoded to comply with RFC3986."
)

var encodedTriple = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

func hasTriple(v any) bool {
	for _, s := range texts(v) {
		if encodedTriple.MatchString(s) {
			return true
		}
	}
	return false
}

// delimiter gives what parts a value in a style.
func delimiter(c cell) string {
	switch {
	case c.style == "spaceDelimited" && !c.explode:
		return " "
	case c.style == "pipeDelimited" && !c.explode:
		return "|"
	case c.style == "matrix" && c.explode && c.kind == "object":
		return ";="
	case c.style == "matrix" && c.explode:
		return ";"
	case c.style == "label" && c.explode && c.kind == "object":
		return "="
	case c.style == "label" && c.explode:
		return ""
	case c.explode && c.kind == "object":
		return ",="
	}
	return ","
}

// hasEmpty tells a value one of whose texts is empty.
func hasEmpty(v any) bool {
	for _, s := range texts(v) {
		if s == "" {
			return true
		}
	}
	return false
}

// runtimeExceptions are those of oapi-codegen's runtime.
var runtimeExceptions = []*exception{
	{"BindStyledParameterWithOptions", func(c cell, v any) bool { return c.in != "header" && holds(v, delimiter(c)) },
		"decodes a path segment or a cookie first and splits it then, so that an encoded delimiter in a value splits it", parseFirst, "RFC 3986 §2.4"},
	{"BindQueryParameterWithOptions", func(c cell, v any) bool { return c.style == "form" && holds(v, delimiter(c)) && !c.reserved },
		"decodes the query first and splits it then; its own documentation calls it deprecated for that", parseFirst, "RFC 3986 §2.4"},
	{"BindStyledParameterWithOptions", func(c cell, v any) bool {
		return c.style == "label" && c.explode && (c.kind == "number" || holds(v, "."))
	},
		"splits label values at every period; a period in a value cannot be told from one between values", period, "RFC 3986 §2.3"},
	{"BindStyledParameterWithOptions", func(c cell, v any) bool { return c.style == "matrix" && hasEmpty(v) },
		"does not know the form of an empty value", "matrix | false | ;color | ;color=blue", "OpenAPI 3.1.1, Style Examples"},
	{"all", func(c cell, v any) bool {
		return c.kind == "object" && (c.in != "query" || !c.explode) && holds(v, controls)
	},
		"make JSON of an object's members without escaping them", mustEscape, "RFC 8259 §7"},
	{"BindRawQueryParameter", func(c cell, v any) bool {
		return c.style == "pipeDelimited" && !c.explode && c.kind == "object" || len(asList(v)) > 1 || holds(v, "|")
	},
		"splits pipeDelimited at a bare `|` only, which no URI can have", mustDelimit, "OpenAPI 3.1.1, Appendix E"},
	{bothQuery, func(c cell, v any) bool {
		return strings.HasSuffix(c.style, "Delimited") && !c.explode && holds(v, delimiter(c))
	},
		"cannot tell the delimiter from the same character in a value; nobody can", preEncode, "OpenAPI 3.1.1, Appendix E"},
	{"BindStyledParameterWithOptions", func(c cell, v any) bool { return c.in == "header" && holds(v, delimiter(c)) },
		"splits a header at every comma, and headers carry no percent-encoding: a list with a comma in a value needs `content`", headerText, "OpenAPI 3.1.1, Appendix D"},
	{"BindStyledParameterWithOptions", func(c cell, v any) bool { return c.in == "cookie" && c.explode },
		"looks at one cookie of the parameter's name only, and so finds neither the others of a list nor the members of an object", cookiePairs, "OpenAPI 3.1.1, Appendix D"},
	{bothQuery, func(c cell, v any) bool { return c.reserved && hasTriple(v) },
		"decode what was encoded already, as every server does: allowReserved is for values that are", triples, "OpenAPI 3.1.1, Parameter Object"},
	{bothQuery, func(c cell, v any) bool { return c.reserved && holds(v, ";") },
		"use Go's net/url, which takes a query with a bare semicolon for broken", triples, "OpenAPI 3.1.1, Parameter Object"},
}

const (
	bothQuery = "BindRawQueryParameter and BindQueryParameterWithOptions"
	controls  = "\"\\\t\n\x00" // what JSON escapes
)

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

func excuse(all []*exception, oracle string, c cell, v any) *exception {
	for _, e := range all {
		if (e.oracle == "all" || strings.Contains(e.oracle, oracle)) && e.applies(c, v) {
			return e
		}
	}
	return nil
}

// use is one parameter of a call: its cell, and its value.
type use struct {
	cell  cell
	value any
	file  bool // or a list of files
}

// swaggerException is an exception of swagger-client in one part of a request.
type swaggerException struct {
	part string
	exception
}

const (
	undefined  = "A variable defined as a list value is considered undefined if the list contains zero members"
	styleTable = "label | false | . | .blue | .blue,black,brown | .R,100,G,200,B,150"
	notEmpty   = "notably, the empty string is _not_ undefined"
	openDeep   = "The representation of array or object properties is not defined."
)

func styled(in, style string) func(c cell) bool {
	return func(c cell) bool { return c.in == in && c.style == style }
}

func composite(c cell) bool { return c.kind != "string" && c.kind != "number" && c.kind != "boolean" }

// swaggerExceptions are those of swagger-client.
var swaggerExceptions = []*swaggerException{
	{"path", exception{"swagger-client", func(c cell, _ any) bool { return styled("path", "label")(c) && !c.explode && composite(c) },
		"parts label values by periods, as OpenAPI 3.0.3's table had it; 3.0.4 and 3.1.1 put it right", styleTable, "OpenAPI 3.1.1, Style Examples"}},
	{"path", exception{"swagger-client", func(c cell, v any) bool { return c.style == "matrix" && hasEmpty(v) },
		"writes `;color=` for an empty value", "matrix | false | ;color | ;color=blue", "OpenAPI 3.1.1, Style Examples"}},
	{"query", exception{"swagger-client", func(c cell, v any) bool { return c.in == "query" && (v == "" || v == any(nil)) },
		"leaves out an empty string", notEmpty, "OpenAPI 3.1.1, Style Examples"}},
	{"query", exception{"swagger-client", func(c cell, v any) bool { return c.in == "query" && lacks(v) && c.style != "content" },
		"sends an empty list as an empty string, and an empty object likewise", undefined, "RFC 6570 §2.3"}},
	{"query", exception{"swagger-client", func(c cell, _ any) bool {
		return strings.HasSuffix(c.style, "Delimited") && !c.explode && c.kind == "object"
	},
		"parts the members of delimited objects by commas", "spaceDelimited | false | _n/a_ | _n/a_ | ?color=blue%20black%20brown | ?color=R%20100%20G%20200%20B%20150", "OpenAPI 3.1.1, Style Examples"}},
	{"query", exception{"swagger-client", func(c cell, v any) bool { return c.style == "pipeDelimited" && !c.explode && len(asList(v)) > 1 },
		"leaves the pipe bare", mustDelimit, "OpenAPI 3.1.1, Appendix E"}},
	{"query", exception{"swagger-client", func(c cell, v any) bool { return c.style == "deepObject" && c.kind == "nested" },
		"writes the lists and objects within as JSON", openDeep, "OpenAPI 3.1.1, Style Values"}},
	{"query", exception{"swagger-client", func(c cell, v any) bool {
		return c.reserved && (hasTriple(v) || holds(v, "[]#&+") || c.style == "deepObject")
	},
		"encodes encoded triples again, and leaves what ends or parts a query bare", "Applications are still responsible for percent-encoding reserved characters that are " +
			"not allowed in the query string (`[`, `]`, `#`), or have a special meaning in `application/x-www-form-urlencoded` (`-`, `&`, `+`)", "OpenAPI 3.1.1, Parameter Object"}},
	{"query", exception{"swagger-client", func(c cell, v any) bool { return c.style == "content" },
		"leaves some characters bare that we encode, which means the same; and reads the strings of a list as JSON before it writes them",
		"Each part is encoded based on the media type (e.g. `text/plain` or `application/json`), and must then be percent-encoded", "OpenAPI 3.1.1, Appendix E"}},
	{"path", exception{"swagger-client", func(c cell, _ any) bool { return c.style == "fragment" },
		"fills in no parameter of a path with a fragment, which some authors use to describe one path twice",
		"the fragment identifier is not used in the scheme-specific processing of a URI", "RFC 3986 §3.5"}},
	{"headers", exception{"swagger-client", func(c cell, v any) bool { return c.in == "header" && lacks(v) },
		"sends an empty object as an empty header", undefined, "RFC 6570 §2.3"}},
	{"cookies", exception{"swagger-client", func(c cell, _ any) bool { return c.in == "cookie" },
		"encodes the commas of lists, joins the values of exploded ones with an encoded `&`, and leaves other characters bare", cookiePairs, "OpenAPI 3.1.1, Appendix D"}},
}

// formExceptions are those of swagger-client in the fields of forms; explode
// tells fields with a style of their own.
var formExceptions = []*swaggerException{
	{"body", exception{"swagger-client", func(c cell, v any) bool {
		return c.style == string(openapi.FormatMultipart) && holds(v, "\n")
	},
		"makes CRLF of each line feed in a field, as HTML forms do",
		"The `form-data` media type allows arbitrary text or binary data in its parts", "OpenAPI 3.1.1, Appendix E"}},
	{"body", exception{"swagger-client", func(c cell, _ any) bool {
		return c.style == string(openapi.FormatForm) && !c.explode && c.kind == "array"
	},
		"joins the items of a list with commas where no style is given",
		"the default serialization strategy of such properties is described in the Encoding Object's `style` property as `form`", "OpenAPI 3.1.1, Support for x-www-form-urlencoded Request Bodies"}},
	{"body", exception{"swagger-client", func(c cell, _ any) bool {
		return c.style == string(openapi.FormatMultipart) && !c.explode && c.kind == "array"
	},
		"joins the items of a list with commas, in one part", "Array properties are handled by applying the same `name` to multiple parts", "OpenAPI 3.1.1, Encoding `multipart` Media Types"}},
	{"body", exception{"swagger-client", func(c cell, v any) bool { return isForm(c) && c.explode && lacks(v) },
		"sends an empty list as an empty field", undefined, "RFC 6570 §2.3"}},
	{"body", exception{"swagger-client", func(c cell, _ any) bool {
		return c.style == string(openapi.FormatMultipart) && (c.kind == "object" || c.kind == "nested")
	},
		"says no media type of a part that is JSON", "`object` | _n/a_ | `application/json`", "OpenAPI 3.1.1, Encoding Object, default of contentType"}},
	{"body", exception{"swagger-client", func(c cell, v any) bool { return isForm(c) && c.reserved && (hasTriple(v) || holds(v, "&+")) },
		"encodes encoded triples of a field with allowReserved again, and leaves `&` and `+` bare", triples, "OpenAPI 3.1.1, Encoding Object"}},
}

// oldExceptions are those of swagger-client with documents of Swagger 2.0; the
// value is that of all arguments.
var oldExceptions = []*swaggerException{
	{"path", exception{"swagger-client", func(c cell, v any) bool { return c.style == "2.0" && holds(v, ":()*!'@$&+,;=[]%") },
		"with Swagger 2.0, leaves reserved characters of a path bare, and takes what looks encoded for encoded",
		"Because the percent (\"%\") character serves as the indicator for percent-encoded octets, it must be percent-encoded as \"%25\" for that octet to be used as data within a URI", "RFC 3986 §2.4"}},
	{"query", exception{"swagger-client", func(c cell, v any) bool { return c.style == "2.0" && holds(v, "!'()*") },
		"with Swagger 2.0, leaves the characters `!'()*` of a query bare, which means the same",
		"The percent-decoding algorithm does not care which characters were or were not percent-decoded", "OpenAPI 3.1.1, Appendix E"}},
	{"body", exception{"swagger-client", func(c cell, v any) bool { return c.style == "2.0" && (hasEmpty(v) || hasEmptyList(v)) },
		"with Swagger 2.0, leaves empty fields out, and sends empty lists", notEmpty, "OpenAPI 3.1.1, Style Examples"}},
}

func hasEmptyList(v any) bool {
	object, _ := v.(map[string]any)
	for _, member := range object {
		if list, isList := member.([]any); isList && len(list) == 0 {
			return true
		}
	}
	return false
}

func isForm(c cell) bool {
	return c.style == string(openapi.FormatForm) || c.style == string(openapi.FormatMultipart)
}

// excuseCall finds the exception that explains a difference.
func excuseCall(c *call, diff string) *exception {
	for _, e := range slices.Concat(swaggerExceptions, formExceptions, oldExceptions) {
		if !strings.HasPrefix(diff, e.part+":") {
			continue
		}
		uses := c.uses
		if strings.Contains(c.operation, "#") {
			uses = append(uses, use{cell: cell{style: "fragment"}})
		}
		if c.Spec["swagger"] != nil {
			uses = append(uses, use{cell: cell{style: "2.0"}, value: c.arguments})
		}
		for _, u := range uses {
			if e.applies(u.cell, u.value) {
				return &e.exception
			}
		}
	}
	return nil
}

// useOf is a parameter's cell in the matrix.
func useOf(p *openapi.Parameter, v any) use {
	c := cell{string(p.In), p.Style, p.Explode, "string", p.AllowReserved}
	if p.ContentType != "" {
		c.style = "content"
	}
	deep := func(member any) bool {
		switch member.(type) {
		case []any, map[string]any:
			return true
		}
		return false
	}
	switch v := v.(type) {
	case json.Number:
		c.kind = "number"
	case bool:
		c.kind = "boolean"
	case []any:
		c.kind = "array"
		if slices.ContainsFunc(v, deep) {
			c.kind = "nested"
		}
	case map[string]any:
		c.kind = "object"
		if slices.ContainsFunc(slices.Collect(maps.Values(v)), deep) {
			c.kind = "nested"
		}
	}
	return use{cell: c, value: v}
}
