package actionsapi

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// listing is what one snapshot offers.
type listing struct {
	snapshot *registry.Snapshot
	offer    *Offer
	entries  []*entry // ordered by id
	byID     map[string]*entry
	byPlugin map[string][]*entry
}

// newListing takes entries over from the one before where their actions are
// the same: one changed plugin costs no more than itself.
func newListing(s *registry.Snapshot, offer *Offer, before *listing) *listing {
	known := map[*registry.Action]*entry{}
	if before != nil {
		for _, e := range before.entries {
			known[e.action] = e
		}
	}
	l := &listing{snapshot: s, offer: offer, byID: map[string]*entry{}, byPlugin: map[string][]*entry{}}
	for _, a := range s.Actions() {
		if !offer.Admits(a) {
			continue
		}
		e := known[a]
		if e == nil {
			e = &entry{action: a}
		}
		l.entries = append(l.entries, e)
		l.byID[a.ID] = e
		l.byPlugin[a.Plugin] = append(l.byPlugin[a.Plugin], e)
	}
	return l
}

// listing is that of the current snapshot; nil: there is no actions API.
func (h *Handler) listing() *listing {
	snapshot := h.options.Registry.Snapshot()
	offer := h.offer.Load() // of that snapshot, or newer
	if offer == nil {
		return nil
	}
	if l := h.current.Load(); l != nil && l.snapshot == snapshot && l.offer == offer {
		return l
	}
	h.building.Lock()
	defer h.building.Unlock()
	l := h.current.Load()
	if l == nil || l.snapshot != snapshot || l.offer != offer {
		l = newListing(snapshot, offer, l)
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
	sees := l.offer.Door.Sees(x.principal)
	if sees == nil {
		return entries
	}
	var out []*entry
	for _, e := range entries {
		if sees(e.action) {
			out = append(out, e)
		}
	}
	return out
}

// list answers with the actions.
func (x *exchange) list(l *listing) *fault {
	entries := x.seen(l)
	if x.route.plugin != "" && len(entries) == 0 && !x.isEmpty(l) {
		return notFound(fmt.Sprintf("plugin %q has no actions here", short(x.route.plugin)))
	}
	if x.r.URL.RawQuery != "" {
		rule, f := filterOf(x.r.URL.RawQuery)
		if f != nil {
			return f
		}
		entries = slices.DeleteFunc(slices.Clone(entries), func(e *entry) bool { return !rule.Match(e.action) })
	}
	sum := sha256.New()
	for _, e := range entries {
		sum.Write(e.ready().sum[:])
	}
	header := x.w.Header()
	header.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:18])+`"`)
	header.Set("Cache-Control", "private, no-cache") // to be asked for again, at the price of a 304
	if matches(x.r.Header.Values("If-None-Match"), header.Get("ETag")) {
		x.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	x.writeList(entries)
	return nil
}

// isEmpty tells whether the path leads to a plugin that has no actions now, as
// against one whose actions are not offered, or not to everybody.
func (x *exchange) isEmpty(l *listing) bool {
	knows := x.handler.options.Knows
	return knows != nil && knows(x.route.plugin) && !slices.ContainsFunc(l.snapshot.Actions(), func(a *registry.Action) bool {
		return a.Plugin == x.route.plugin
	})
}

// writeList writes the entries' bytes as they are.
func (x *exchange) writeList(entries []*entry) {
	const before, after = `{"actions":[`, `]}`
	size := len(before) + max(len(entries)-1, 0) + len(after)
	for _, e := range entries {
		size += len(e.json)
	}
	x.w.Header().Set("Content-Type", jsonType)
	x.w.Header().Set("Content-Length", strconv.Itoa(size))
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodHead {
		return
	}
	_, _ = io.WriteString(x.w, before) // nobody is left to tell, here and below
	for i, e := range entries {
		if i > 0 {
			_, _ = io.WriteString(x.w, ",")
		}
		_, _ = x.w.Write(e.json)
	}
	_, _ = io.WriteString(x.w, after)
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

// filterOf reads a list's query. What it does not know it refuses: a filter
// that is not heeded would show too much.
func filterOf(raw string) (rule registry.Rule, f *fault) {
	texts := map[string]*string{"id": &rule.ID, "plugin": &rule.Plugin}
	attributes := map[string]**bool{
		"attributes.readOnly": &rule.Attributes.ReadOnly, "attributes.destructive": &rule.Attributes.Destructive,
		"attributes.idempotent": &rule.Attributes.Idempotent, "attributes.openWorld": &rule.Attributes.OpenWorld,
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return rule, badInput("query cannot be read")
	}
	for name, values := range query {
		value := values[0]
		switch {
		case name == "tag":
			rule.Tags = values
		case texts[name] == nil && attributes[name] == nil:
			known := slices.AppendSeq(slices.Collect(maps.Keys(texts)), maps.Keys(attributes))
			return rule, unknownParameter(name, append(known, "tag"))
		case len(values) > 1:
			return rule, badInput(fmt.Sprintf("query parameter %s is given twice", name))
		case texts[name] != nil:
			*texts[name] = value
		case value != "true" && value != "false":
			return rule, badInput(fmt.Sprintf("query parameter %s: expected true or false, got %q", name, short(value)))
		default:
			*attributes[name] = new(value == "true")
		}
	}
	if !registry.ValidGlob(rule.ID) {
		return rule, badInput(fmt.Sprintf("query parameter id: %q is not a glob", short(rule.ID)))
	}
	return rule, nil
}

func unknownParameter(name string, known []string) *fault {
	message := fmt.Sprintf("unknown query parameter %q", short(name))
	slices.Sort(known) // of two that are as close, always the same
	if hint := suggest.Hint(name, known); hint != "" {
		message += " (" + hint + ")"
	}
	return badInput(message)
}
