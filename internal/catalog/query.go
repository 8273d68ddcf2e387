package catalog

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

const (
	defaultLimit   = 20
	maxLimit       = 1000
	maxOrders      = 10
	maxTextFilters = 50
)

// order is a dotted path to sort by.
type order struct {
	Field string `json:"f"`
	Desc  bool   `json:"d,omitempty"`
}

// query is what to find and in which order. It travels in cursors.
type query struct {
	Filter     filter          `json:"f,omitempty"`
	Predicate  json.RawMessage `json:"q,omitempty"`
	Orders     []order         `json:"o,omitempty"`
	Text       string          `json:"t,omitempty"`
	TextFields []string        `json:"tf,omitempty"`
}

// check bounds what did not come through the parsers, and normalizes.
func (q *query) check() error {
	q.Text = strings.ToLower(strings.TrimSpace(q.Text))
	switch {
	case len(q.Orders) > maxOrders:
		return inputError("at most %d fields can order a result", maxOrders)
	case len(q.TextFields) > maxTextFilters || len(q.Text) > maxFilterBytes:
		return inputError("full text filter is too long")
	}
	for i := range q.Orders {
		q.Orders[i].Field = strings.ToLower(q.Orders[i].Field)
	}
	for i := range q.TextFields {
		q.TextFields[i] = strings.ToLower(q.TextFields[i])
	}
	return nil
}

// searched are the fields that full text looks in: those asked for, else the
// one that orders the result, else what people recognize an entity by.
func (q *query) searched() []string {
	switch {
	case len(q.TextFields) > 0:
		return q.TextFields
	case len(q.Orders) > 0:
		return []string{q.Orders[0].Field}
	}
	return []string{"metadata.name", "metadata.title", "metadata.description", "spec.profile.displayname"}
}

// ranked is an item with the values that order it.
type ranked struct {
	*item
	keys []*string // nil: the item has no such value
}

// find gives the matching items in order.
func (ix *index) find(q *query) ([]ranked, error) {
	matches, err := parsePredicate(q.Predicate)
	if err != nil {
		return nil, err
	}
	fields := q.searched()
	var all []ranked
	for _, it := range ix.candidates(q.Filter) {
		if q.Filter.match(it.terms) && matches(it) && (q.Text == "" || it.terms.contain(fields, q.Text)) {
			all = append(all, ranked{it, q.keys(it)})
		}
	}
	if len(q.Orders) > 0 {
		slices.SortFunc(all, func(a, b ranked) int { return q.compare(a.keys, a.uid, b.keys, b.uid) })
	}
	return all, nil
}

func (q *query) keys(it *item) []*string {
	if len(q.Orders) == 0 {
		return nil
	}
	keys := make([]*string, len(q.Orders))
	for i, o := range q.Orders {
		if v, there := it.terms.first(o.Field); there {
			keys[i] = &v
		}
	}
	return keys
}

// compare orders by the keys, items without a value last, and then by uid.
func (q *query) compare(a []*string, aUID string, b []*string, bUID string) int {
	for i, o := range q.Orders {
		x, y := a[i], b[i]
		switch {
		case x == nil && y == nil:
			continue
		case x == nil:
			return 1
		case y == nil:
			return -1
		}
		c := cmp.Compare(*x, *y)
		if o.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(aUID, bUID)
}

// contain says whether the text is part of one of the fields' values, long
// ones included.
func (t terms) contain(fields []string, text string) bool {
	for _, f := range fields {
		for _, v := range t[f] {
			if strings.Contains(v.norm, text) {
				return true
			}
		}
	}
	return false
}

// page is a part of a query's result.
type page struct {
	items      []ranked
	total      int
	next, prev *cursor
}

// page cuts the first page of a query.
func (ix *index) page(q *query, offset, limit int) (page, error) {
	all, err := ix.find(q)
	if err != nil {
		return page{}, err
	}
	start := min(offset, len(all))
	return q.cut(all, start, min(start+limit, len(all)), true), nil
}

// turn cuts the page that a cursor points at. It begins where its neighbour
// ended in order, whatever came or went since.
func (ix *index) turn(c *cursor, limit int) (page, error) {
	q := &c.Query
	all, err := ix.find(q)
	if err != nil {
		return page{}, err
	}
	at, exact := slices.BinarySearchFunc(all, c, func(r ranked, c *cursor) int {
		return q.compare(r.keys, r.uid, c.Keys, c.UID)
	})
	if c.Back {
		return q.cut(all, max(0, at-limit), at, false), nil
	}
	if exact {
		at++
	}
	return q.cut(all, at, min(at+limit, len(all)), false), nil
}

func (q *query) cut(all []ranked, start, end int, first bool) page {
	p := page{items: all[start:end], total: len(all)}
	if start == end {
		return p
	}
	if end < len(all) {
		p.next = &cursor{Query: *q, Keys: all[end-1].keys, UID: all[end-1].uid}
	}
	if start > 0 && !first {
		p.prev = &cursor{Query: *q, Keys: all[start].keys, UID: all[start].uid, Back: true}
	}
	return p
}
