package openapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

// requestBody is a body that a request can have.
type requestBody struct {
	node        *yaml.Node
	required    bool
	description string
	offered     []*content // all that the document has
	contents    []*content // those that a caller can mean, the preferred one first; never empty
}

// content is one media type of a body.
type content struct {
	node      *yaml.Node // the Media Type Object
	mediaType string
	schema    *yaml.Node // nil: the document has none
	format    Format
	encoding  openapi3.Encodings
}

func (r *reader) loadBody(o *operation, n *yaml.Node) bool {
	if n == nil || isNull(n) {
		return true
	}
	if o.method == "TRACE" || o.method == "HEAD" {
		r.report(SeverityWarning, "request-body-ignored", n, fmt.Sprintf("a %s request has no body (RFC 9110 §9.3); it is left out", o.method), "")
		return true
	}
	n, ok := r.follow(n, SeverityError, "request body")
	if !ok {
		return false
	}
	n = r.described(n)
	var rb openapi3.RequestBody
	if err := json.Unmarshal(rawJSON(r.skeleton(n)), &rb); err != nil {
		r.report(SeverityError, "request-body-invalid", n, kinMessage(err), "")
		return false
	}
	offered := r.contents(get(n, "content"), rb.Content)
	if len(offered) == 0 {
		if len(rb.Content) == 0 || !rb.Required {
			return true // nothing is described, so nothing can be sent
		}
		r.report(SeverityError, "request-body-invalid", get(n, "content"), "request body has no media type that can be sent", "for example application/json")
		return false
	}
	o.body = &requestBody{
		node: n, required: rb.Required, description: rb.Description, offered: offered, contents: r.distinctContents(offered),
	}
	return true
}

// contents are a body's media types in the order of preference: JSON, forms,
// sequences of JSON, XML, text, bytes. A form comes before JSON where the same
// schema holds files, which JSON cannot carry.
func (r *reader) contents(n *yaml.Node, typed openapi3.Content) []*content {
	var out []*content
	for k, media := range pairs(n) {
		if !isMapping(media) {
			continue
		}
		if len(out) == maxContents {
			r.report(SeverityWarning, "media-types-many", k, fmt.Sprintf("request body has more than %d media types; from here on they are left out", maxContents), "")
			break
		}
		if !isMediaType(k.Value) {
			r.report(SeverityWarning, "media-type-invalid", k, fmt.Sprintf("%q is no media type; it is left out", k.Value), "for example application/json")
			continue
		}
		c := &content{node: media, mediaType: k.Value, schema: get(media, "schema")}
		c.format = r.formatOf(essence(k.Value), c.schema)
		if c.format == FormatJSON && strings.Contains(k.Value, "*") {
			c.mediaType = "application/json"
		}
		if t := typed[k.Value]; t != nil {
			c.encoding = t.Encoding
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b *content) int { return cmp.Compare(a.rank(), b.rank()) })
	i := slices.IndexFunc(out, func(c *content) bool {
		return c.format == FormatMultipart && r.sameSchema(c.schema, out[0].schema) && r.hasFiles(c)
	})
	if i > 0 {
		out = slices.Insert(slices.Delete(slices.Clone(out), i, i+1), 0, out[i])
	}
	return out
}

// maxContents bounds the media types of one body: each is compared with each.
const maxContents = 50

func (c *content) rank() int {
	if essence(c.mediaType) == "application/json" {
		return -1
	}
	return slices.Index([]Format{
		FormatJSON, FormatForm, FormatMultipart, FormatLines, FormatSequence, FormatXML, FormatText, FormatBinary,
	}, c.format)
}

// distinctContents leaves out what only says the same in another form: a caller
// has to choose where the schemas differ, or the media types tell of the data.
func (r *reader) distinctContents(offered []*content) []*content {
	var out []*content
	for _, c := range offered {
		if !slices.ContainsFunc(out, func(kept *content) bool { return r.covers(kept, c) }) {
			out = append(out, c)
		}
	}
	return out
}

func (r *reader) covers(kept, c *content) bool {
	if !r.sameSchema(kept.schema, c.schema) {
		return false
	}
	switch {
	case c.format == FormatBinary, kept.format == FormatText, kept.format == FormatBinary:
		return false
	case kept.format == FormatJSON && c.format == FormatJSON: // JSON Patch and its like are not what they look like
		return slices.Contains([]string{"application/json", "text/json", essence(c.mediaType)}, essence(kept.mediaType))
	}
	return true
}

func (r *reader) sameSchema(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a, b = r.deref(a), r.deref(b); a == b {
		return true
	}
	return len(a.Content) == len(b.Content) && string(rawJSON(value(a))) == string(rawJSON(value(b)))
}

// narrow gives an operation whose body is written as the media type that
// x-action fixes, if it fixes any.
func (r *reader) narrow(o *operation, x *xAction) (*operation, bool) {
	i := slices.IndexFunc(x.fixed, func(a xAssignment) bool { return a.target.isContentType() })
	if i < 0 || o.body == nil {
		return o, true
	}
	wanted := x.fixed[i].node
	x.fixed = slices.Delete(slices.Clone(x.fixed), i, i+1)
	names := make([]string, 0, len(o.body.offered))
	for _, c := range o.body.offered {
		if strings.EqualFold(c.mediaType, wanted.Value) || essence(c.mediaType) == essence(wanted.Value) {
			body, narrowed := *o.body, *o
			body.contents, narrowed.body = []*content{c}, &body
			return &narrowed, true
		}
		names = append(names, c.mediaType)
	}
	r.report(SeverityError, "x-action-invalid", wanted,
		fmt.Sprintf("the request body has no media type %q", wanted.Value), "it has "+strings.Join(names, ", "))
	return o, false
}

// flattens tells whether the members of the body can be arguments of their own.
func (b *requestBody) flattens(r *reader) bool {
	for _, c := range b.contents {
		if c.format != FormatJSON && c.format != FormatForm && c.format != FormatMultipart || !r.sameSchema(c.schema, b.contents[0].schema) {
			return false
		}
	}
	return b.contents[0].schema != nil
}
