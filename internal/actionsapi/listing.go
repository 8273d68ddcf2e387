package actionsapi

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// listing is what one snapshot offers, ready to be written.
type listing struct {
	snapshot *registry.Snapshot
	allowed  *registry.Allowlist
	entries  []*entry // ordered by id
	byID     map[string]*entry
	byPlugin map[string][]*entry
}

// newListing takes entries over from the one before where their actions are
// the same: one changed plugin costs no more than itself.
func newListing(s *registry.Snapshot, allowed *registry.Allowlist, before *listing) *listing {
	known := map[*registry.Action]*entry{}
	if before != nil {
		for _, e := range before.entries {
			known[e.action] = e
		}
	}
	l := &listing{snapshot: s, allowed: allowed, byID: map[string]*entry{}, byPlugin: map[string][]*entry{}}
	for _, a := range s.Actions() {
		if !allowed.Admits(a) {
			continue
		}
		e := known[a]
		if e == nil {
			e = newEntry(a)
		}
		l.entries = append(l.entries, e)
		l.byID[a.ID] = e
		l.byPlugin[a.Plugin] = append(l.byPlugin[a.Plugin], e)
	}
	return l
}

// listing is that of the current snapshot; nil: there is no actions API.
func (h *Handler) listing() *listing {
	allowed, snapshot := h.allowed.Load(), h.options.Registry.Snapshot()
	if allowed == nil {
		return nil
	}
	if l := h.current.Load(); l != nil && l.snapshot == snapshot && l.allowed == allowed {
		return l
	}
	h.building.Lock()
	defer h.building.Unlock()
	l := h.current.Load()
	if l == nil || l.snapshot != snapshot || l.allowed != allowed {
		l = newListing(snapshot, allowed, l)
		h.current.Store(l)
	}
	return l
}

// seen are the entries that the request's path leads to, of those that its
// principal may know of.
func (x *exchange) seen(l *listing) []*entry {
	entries := l.entries
	if x.route.plugin != "" {
		entries = l.byPlugin[x.route.plugin]
	}
	if x.handler.options.Registry.Visibility() == nil {
		return entries
	}
	var out []*entry
	for _, e := range entries {
		if x.handler.options.Registry.Visible(x.principal, e.action) {
			out = append(out, e)
		}
	}
	return out
}

// list answers with the actions.
func (x *exchange) list(l *listing) *fault {
	entries := x.seen(l)
	if x.route.plugin != "" && len(entries) == 0 {
		return notFound(fmt.Sprintf("plugin %q has no actions here", short(x.route.plugin)))
	}
	if x.r.URL.RawQuery != "" {
		rule, f := filterOf(x.r.URL.RawQuery)
		if f != nil {
			return f
		}
		entries = slices.DeleteFunc(slices.Clone(entries), func(e *entry) bool { return !rule.Match(e.action) })
	}
	const before, after = `{"actions":[`, `]}`
	sum, size := sha256.New(), len(before)+max(len(entries)-1, 0)+len(after)
	for _, e := range entries {
		sum.Write(e.sum[:])
		size += len(e.json)
	}
	header := x.w.Header()
	header.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:18])+`"`)
	header.Set("Cache-Control", "private, no-cache") // to be asked for again, at the price of a 304
	if matches(x.r.Header.Values("If-None-Match"), header.Get("ETag")) {
		x.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Type", jsonType)
	header.Set("Content-Length", strconv.Itoa(size))
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodHead {
		return nil
	}
	_, _ = x.w.Write([]byte(before)) // nobody is left to tell, here and below
	for i, e := range entries {
		if i > 0 {
			_, _ = x.w.Write([]byte{','})
		}
		_, _ = x.w.Write(e.json)
	}
	_, _ = x.w.Write([]byte(after))
	return nil
}

// matches compares an ETag with those of If-None-Match (RFC 9110, section
// 13.1.2), weakly, as proxies that compress make them weak.
func matches(values []string, etag string) bool {
	for _, value := range values {
		for candidate := range strings.SplitSeq(value, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// filters are the query parameters of a list.
var filters = []string{"id", "plugin", "tag", "attributes.readOnly", "attributes.destructive", "attributes.idempotent", "attributes.openWorld"}

// filterOf reads a list's query. What it does not know it refuses: a filter
// that is not heeded would show too much.
func filterOf(raw string) (rule registry.Rule, f *fault) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return rule, badInput("query cannot be read")
	}
	for name, values := range query {
		value := values[0]
		if len(values) > 1 && name != "tag" {
			return rule, badInput(fmt.Sprintf("query parameter %q is given twice", short(name)))
		}
		switch name {
		case "id":
			rule.ID = value
		case "plugin":
			rule.Plugin = value
		case "tag":
			rule.Tags = values
		case "attributes.readOnly":
			rule.Attributes.ReadOnly, f = boolean(name, value)
		case "attributes.destructive":
			rule.Attributes.Destructive, f = boolean(name, value)
		case "attributes.idempotent":
			rule.Attributes.Idempotent, f = boolean(name, value)
		case "attributes.openWorld":
			rule.Attributes.OpenWorld, f = boolean(name, value)
		default:
			message := fmt.Sprintf("unknown query parameter %q", short(name))
			if hint := suggest.Hint(name, filters); hint != "" {
				message += " (" + hint + ")"
			}
			f = badInput(message)
		}
		if f != nil {
			return rule, f
		}
	}
	if !registry.ValidGlob(rule.ID) {
		return rule, badInput(fmt.Sprintf("query parameter id: %q is not a glob", short(rule.ID)))
	}
	return rule, nil
}

func boolean(name, value string) (*bool, *fault) {
	switch value {
	case "true", "false":
		return new(value == "true"), nil
	}
	return nil, badInput(fmt.Sprintf("query parameter %s: expected true or false, got %q", name, short(value)))
}
