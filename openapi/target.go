package openapi

import (
	"fmt"
	"strings"
)

// target is a place in a request that an x-action names: "path.kind",
// "query.filter", "header.X-Trace", "body", "body.location.type".
type target struct {
	in   In
	name string   // of a parameter
	path []string // in a body; empty: the whole body
}

// contentType is the header that chooses a body's media type. No parameter of
// that name is ever taken from a document (OpenAPI 3.1 §4.8.12.1).
const contentType = "Content-Type"

func (t target) isContentType() bool {
	return t.in == InHeader && strings.EqualFold(t.name, contentType)
}

// location is where the target's value travels; "" for the choice of a media type.
func (t target) location() In {
	if t.isContentType() {
		return ""
	}
	return t.in
}

// given is the name that the document gives a target.
func (t target) given() string {
	switch {
	case t.in != InBody:
		return t.name
	case len(t.path) > 0:
		return t.path[len(t.path)-1]
	}
	return "body"
}

func parseTarget(s string) (target, error) {
	in, rest, dotted := strings.Cut(s, ".")
	switch In(in) {
	case InPath, InQuery, InQuerystring, InHeader, InCookie:
		if !dotted || rest == "" {
			return target{}, fmt.Errorf("target %q names no parameter", s)
		}
		return target{in: In(in), name: rest}, nil
	case InBody:
		if !dotted {
			return target{in: InBody}, nil
		}
		path := strings.Split(rest, ".")
		for _, p := range path {
			if p == "" {
				return target{}, fmt.Errorf("target %q has an empty member name", s)
			}
		}
		return target{in: InBody, path: path}, nil
	}
	return target{}, fmt.Errorf("target %q does not begin with path., query., querystring., header., cookie. or body", s)
}

func (t target) String() string {
	if t.in == InBody {
		return strings.Join(append([]string{"body"}, t.path...), ".")
	}
	return string(t.in) + "." + t.name
}

// within tells whether t lies inside o's value (both in the body), or is it.
func (t target) within(o target) bool {
	if t.in != InBody || o.in != InBody || len(t.path) < len(o.path) {
		return t.in != InBody && t.in == o.in && sameParameter(t.in, t.name, o.name)
	}
	for i, p := range o.path {
		if t.path[i] != p {
			return false
		}
	}
	return true
}

// sameParameter compares names; those of headers have no case (RFC 9110 §5.1).
func sameParameter(in In, a, b string) bool {
	if in == InHeader {
		return strings.EqualFold(a, b)
	}
	return a == b
}
