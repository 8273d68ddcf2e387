package catalog

import (
	"bytes"
	"math"
	"net/http"
	"strings"
)

const maxRefs = 1000

func (c *Catalog) listEntities(w http.ResponseWriter, r *http.Request) error {
	params := r.URL.Query()
	if params.Get("after") != "" {
		return inputError("after is not supported: use /entities/by-query, which pages with cursors")
	}
	q := &query{Orders: []order{{Field: "kind"}, {Field: "metadata.namespace"}, {Field: "metadata.name"}}}
	if list := params["order"]; len(list) > 0 {
		q.Orders = nil
		for _, text := range list {
			direction, field, found := strings.Cut(text, ":")
			if !found || field == "" || direction != "asc" && direction != "desc" {
				return inputError("order: expected asc:path or desc:path, found %q", shorten(text))
			}
			q.Orders = append(q.Orders, order{field, direction == "desc"})
		}
	}
	var err error
	if q.Filter, err = parseFilter(params["filter"]); err != nil {
		return err
	}
	keep, err := parseFields(params["fields"])
	if err != nil {
		return err
	}
	limit, err := wholeParam(params, "limit", math.MaxInt32)
	if err != nil {
		return err
	}
	offset, err := wholeParam(params, "offset", 0)
	if err != nil {
		return err
	}
	found, err := c.firstPage(r, q, offset, limit)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := writeItems(&b, found.items, keep); err != nil {
		return err
	}
	return send(w, &b)
}

func (c *Catalog) firstPage(r *http.Request, q *query, offset, limit int) (page, error) {
	if err := q.check(); err != nil {
		return page{}, err
	}
	ix, err := c.index(r.Context())
	if err != nil {
		return page{}, err
	}
	return ix.page(q, offset, limit)
}
