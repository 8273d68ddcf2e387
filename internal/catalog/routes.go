package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gorilla/mux"
)

const (
	maxBodyBytes   = 1 << 20
	maxEntityBytes = 2 * maxFileBytes // an entity as JSON inside a request
)

// routes is the whole HTTP surface.
func (c *Catalog) routes() http.Handler {
	r := mux.NewRouter().UseEncodedPath().SkipClean(true)
	handle := func(method, path string, h func(http.ResponseWriter, *http.Request) error) {
		r.Methods(method).Path(path).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				c.fail(w, r, err)
			}
		})
	}
	const byName = "/entities/by-name/{kind}/{namespace}/{name}"
	handle("GET", "/entities", c.listEntities)
	handle("GET", "/entities/by-query", c.queryEntities)
	handle("POST", "/entities/by-query", c.queryByPredicate)
	handle("POST", "/entities/by-refs", c.entitiesByRefs)
	handle("GET", "/entities/by-uid/{uid}", c.entityByUID)
	handle("DELETE", "/entities/by-uid/{uid}", c.deleteEntity)
	handle("GET", byName, c.entityByName)
	handle("GET", byName+"/ancestry", c.ancestry)
	handle("GET", "/entity-facets", c.getFacets)
	handle("POST", "/entity-facets", c.queryFacets)
	handle("GET", "/locations", c.listLocations)
	handle("POST", "/locations", c.createLocation)
	handle("GET", "/locations/{id}", c.getLocation)
	handle("DELETE", "/locations/{id}", c.deleteLocation)
	handle("GET", "/locations/by-entity/{kind}/{namespace}/{name}", c.locationByEntity)
	handle("POST", "/refresh", c.refreshEntity)
	handle("POST", "/validate-entity", c.validateEntity)
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, notFoundError("nothing is served at %s", shorten(r.URL.Path)))
	})
	r.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, &fault{http.StatusMethodNotAllowed, "NotAllowedError", "method " + r.Method + " is not served at " + shorten(r.URL.Path)})
	})
	return r
}

// pathVar is a path parameter, decoded.
func pathVar(r *http.Request, name string) string {
	encoded := mux.Vars(r)[name]
	decoded, err := url.PathUnescape(encoded)
	if err != nil {
		return encoded // the server refuses such paths before
	}
	return decoded
}

func pathRef(r *http.Request) Ref {
	return Ref{pathVar(r, "kind"), pathVar(r, "namespace"), pathVar(r, "name")}
}

// readBody decodes a JSON body of at most limit bytes into body. An empty one
// leaves body as it is.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, body any) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return inputError("request body broke off")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return &fault{http.StatusUnsupportedMediaType, "UnsupportedMediaTypeError", "request body must be application/json"}
	}
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(data, body); {
	case errors.As(err, &wrong) && wrong.Field != "":
		return inputError("request body: %s is of the wrong type (%s)", wrong.Field, wrong.Value)
	case err != nil:
		return inputError("request body is not a JSON object of the expected form")
	}
	return nil
}

// wholeParam is a query parameter that is a whole number, or fallback.
func wholeParam(params url.Values, name string, fallback int) (int, error) {
	text := params.Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, inputError("%s: expected a whole number, 0 or more, found %q", name, shorten(text))
	}
	return int(n), nil
}
