package catalog

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strings"
)

// pageRequest is a query for a page, however it was asked.
type pageRequest struct {
	query
	keep          fields
	cursor        string
	limit, offset int
	uncounted     bool
}

func (c *Catalog) queryEntities(w http.ResponseWriter, r *http.Request) error {
	req, err := parsePageRequest(r.URL.Query())
	if err != nil {
		return err
	}
	return c.writePage(w, r, req)
}

func parsePageRequest(params url.Values) (req pageRequest, err error) {
	if req.limit, err = wholeParam(params, "limit", defaultLimit); err != nil {
		return req, err
	}
	if req.keep, err = parseFields(params["fields"]); err != nil {
		return req, err
	}
	req.uncounted = params.Get("totalItems") == "exclude"
	if req.cursor = params.Get("cursor"); req.cursor != "" {
		return req, nil
	}
	if req.offset, err = wholeParam(params, "offset", 0); err != nil {
		return req, err
	}
	if req.Filter, err = parseFilter(params["filter"]); err != nil {
		return req, err
	}
	for _, text := range params["orderField"] {
		field, direction, _ := strings.Cut(text, ",")
		if field == "" || direction != "" && direction != "asc" && direction != "desc" {
			return req, inputError("orderField: expected path,asc or path,desc, found %q", shorten(text))
		}
		req.Orders = append(req.Orders, order{field, direction == "desc"})
	}
	req.Text = params.Get("fullTextFilterTerm")
	for _, list := range params["fullTextFilterFields"] {
		req.TextFields = append(req.TextFields, splitList(list)...)
	}
	return req, nil
}

func splitList(list string) (items []string) {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

type predicateBody struct {
	Query   json.RawMessage `json:"query"`
	Fields  []string        `json:"fields"`
	Limit   *float64        `json:"limit"`
	Offset  *float64        `json:"offset"`
	OrderBy []struct {
		Field string `json:"field"`
		Order string `json:"order"`
	} `json:"orderBy"`
	FullTextFilter struct {
		Term   string   `json:"term"`
		Fields []string `json:"fields"`
	} `json:"fullTextFilter"`
	Cursor     string `json:"cursor"`
	TotalItems string `json:"totalItems"`
}

func (c *Catalog) queryByPredicate(w http.ResponseWriter, r *http.Request) error {
	var body predicateBody
	if err := readBody(w, r, maxBodyBytes, &body); err != nil {
		return err
	}
	req, err := body.request()
	if err != nil {
		return err
	}
	return c.writePage(w, r, req)
}

func (b *predicateBody) request() (req pageRequest, err error) {
	if req.limit, err = wholeNumber("limit", b.Limit, defaultLimit); err != nil {
		return req, err
	}
	if req.offset, err = wholeNumber("offset", b.Offset, 0); err != nil {
		return req, err
	}
	if req.keep, err = parseFields(b.Fields); err != nil {
		return req, err
	}
	if _, err = parsePredicate(b.Query); err != nil {
		return req, err
	}
	for _, o := range b.OrderBy {
		if o.Field == "" || o.Order != "asc" && o.Order != "desc" {
			return req, inputError(`orderBy: expected {"field": path, "order": "asc" or "desc"}`)
		}
		req.Orders = append(req.Orders, order{o.Field, o.Order == "desc"})
	}
	req.Predicate, req.cursor, req.uncounted = b.Query, b.Cursor, b.TotalItems == "exclude"
	req.Text, req.TextFields = b.FullTextFilter.Term, b.FullTextFilter.Fields
	return req, nil
}

func wholeNumber(name string, n *float64, fallback int) (int, error) {
	switch {
	case n == nil:
		return fallback, nil
	case *n < 0 || *n != math.Trunc(*n) || *n > math.MaxInt32:
		return 0, inputError("%s: expected a whole number, 0 or more", name)
	}
	return int(*n), nil
}

// page finds what the request asks for: the first page, or the one that its
// cursor points at.
func (c *Catalog) page(r *http.Request, req *pageRequest) (page, error) {
	limit := min(req.limit, maxLimit)
	if req.cursor == "" {
		return c.firstPage(r, &req.query, req.offset, limit)
	}
	at, err := parseCursor(req.cursor)
	if err != nil {
		return page{}, err
	}
	ix, err := c.index(r.Context())
	if err != nil {
		return page{}, err
	}
	return ix.turn(at, limit)
}

func (c *Catalog) writePage(w http.ResponseWriter, r *http.Request, req pageRequest) error {
	p, err := c.page(r, &req)
	if err != nil {
		return err
	}
	var info struct {
		Next string `json:"nextCursor,omitempty"`
		Prev string `json:"prevCursor,omitempty"`
	}
	if p.next != nil {
		info.Next = p.next.String()
	}
	if p.prev != nil {
		info.Prev = p.prev.String()
	}
	if req.uncounted {
		p.total = 0
	}
	rest, err := json.Marshal(map[string]any{"totalItems": p.total, "pageInfo": info})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString(`{"items":`)
	if err := writeItems(&b, p.items, req.keep); err != nil {
		return err
	}
	b.WriteByte(',')
	b.Write(rest[1:]) // without its opening brace
	return send(w, &b)
}

func writeItems(b *bytes.Buffer, items []ranked, keep fields) error {
	b.WriteByte('[')
	for i, it := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		text, err := keep.of(it.item)
		if err != nil {
			return err
		}
		b.Write(text)
	}
	b.WriteByte(']')
	return nil
}

// send answers with JSON that is finished already.
func send(w http.ResponseWriter, b *bytes.Buffer) error {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = b.WriteTo(w) // a caller who is gone needs no answer
	return nil
}
