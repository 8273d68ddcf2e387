package invoke

import (
	"net/url"
	"strings"

	"github.com/stagedoor/stagedoor/openapi"
)

// An object that is sent exploded brings names of its own into the query, the
// cookies or a form. They must not be those of what stands beside it: who may
// fill in the one does not get to say the other a second time.

// strayParameter holds the pairs of a parameter to names of its own.
func (b *requestBuilder) strayParameter(p *openapi.Parameter, v any, pairs []string) {
	if p.Value.Argument == "" {
		return // the document's own
	}
	b.stray(p.Name, v, pairs, func(name string) bool {
		for i := range b.plan.Parameters {
			if other := &b.plan.Parameters[i]; other.In == p.In && other.Name == name {
				return true
			}
		}
		return false
	})
}

func (b *requestBuilder) stray(own string, v any, pairs []string, taken func(name string) bool) {
	if _, isObject := v.(map[string]any); !isObject {
		return
	}
	for _, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil {
			name = key
		}
		if name != own && taken(name) {
			b.fail("%s: member %q would be sent as what has that name itself", own, name)
			return
		}
	}
}
