package credential

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/stagedoor/stagedoor/openapi"
)

// BySecurity gives the credentials that an action's document asks for: those of
// the first alternative all of whose schemes have a source. Where there is none,
// otherwise has the say; nil: nothing is sent. A scheme with the source nil
// needs nothing.
func BySecurity(schemes map[string]Source, otherwise Source) Source {
	s := &bySecurity{schemes: schemes, otherwise: otherwise}
	for _, name := range slices.Sorted(maps.Keys(schemes)) {
		s.all = s.all.with(schemes[name], nil)
	}
	s.all = s.all.with(otherwise, nil)
	return s
}

type bySecurity struct {
	schemes   map[string]Source
	otherwise Source
	all       Places
}

// MutualTLS is the type of schemes that connections serve, and not requests
// (OpenAPI 3.1 §4.8.27).
const MutualTLS = "mutualTLS"

// serves tells whether all schemes of an alternative have a source.
func serves(schemes map[string]Source, alternative []openapi.SecurityScheme) bool {
	return !slices.ContainsFunc(alternative, func(s openapi.SecurityScheme) bool {
		_, ok := schemes[s.Name]
		return !ok && s.Type != MutualTLS
	})
}

// alternative is the one that is used, nil where otherwise has the say. One that
// needs nothing is only taken where no other can be.
func (s *bySecurity) alternative(a *openapi.Action) (chosen []openapi.SecurityScheme, ok bool) {
	if a == nil {
		return nil, false
	}
	for _, alternative := range a.Security {
		if len(alternative) > 0 && serves(s.schemes, alternative) {
			return alternative, true
		}
	}
	return nil, false
}

// Credentials implements [Source].
func (s *bySecurity) Credentials(ctx context.Context, a *openapi.Action) (*Credentials, error) {
	chosen, ok := s.alternative(a)
	switch {
	case !ok && s.otherwise == nil:
		return nil, nil
	case !ok:
		return s.otherwise.Credentials(ctx, a)
	}
	var merged *Credentials
	for _, scheme := range chosen {
		source := s.schemes[scheme.Name]
		if source == nil {
			continue
		}
		c, err := source.Credentials(ctx, a)
		if err != nil {
			return nil, err
		}
		merged = merged.with(c)
	}
	return merged, nil
}

// with are both credentials as one.
func (c *Credentials) with(o *Credentials) *Credentials {
	switch {
	case c == nil:
		return o
	case o == nil:
		return c
	}
	both := &Credentials{Header: http.Header{}, Query: url.Values{}, Drop: c.Drop}
	for _, part := range []*Credentials{c, o} {
		maps.Copy(both.Header, part.Header)
		maps.Copy(both.Query, part.Query)
	}
	switch {
	case c.Drop == nil:
		both.Drop = o.Drop
	case o.Drop != nil:
		both.Drop = func() { c.Drop(); o.Drop() }
	}
	return both
}

// Places implements [Source].
func (s *bySecurity) Places(a *openapi.Action) (places Places) {
	if a == nil {
		return s.all
	}
	chosen, ok := s.alternative(a)
	if !ok {
		return places.with(s.otherwise, a)
	}
	for _, scheme := range chosen {
		places = places.with(s.schemes[scheme.Name], a)
	}
	return places
}

func (p Places) with(s Source, a *openapi.Action) Places {
	if s == nil {
		return p
	}
	more := s.Places(a)
	return Places{Header: union(p.Header, more.Header), Query: union(p.Query, more.Query)}
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
