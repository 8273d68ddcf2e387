package registryapi

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MaxDocument is the largest document that can be registered, decoded.
	MaxDocument = 32 << 20

	shortestLease = 10 * time.Second
	longestLease  = time.Hour
	defaultLease  = time.Minute

	longestURL = 2000

	readTimeout = 30 * time.Second // of a body
)

// terms are what a PUT asks for, beside the document.
type terms struct {
	baseURL string
	lease   time.Duration
	tag     string // hash that the publisher believes to be registered
}

// termsOf reads query and conditions. Nothing unknown passes: who writes
// "baseurl" wants to be told.
func termsOf(r *http.Request, p Publisher) (terms, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return terms{}, badRequest("query cannot be read", "percent-encode the base URL")
	}
	for name, values := range query {
		if name != "baseURL" && name != "lease" || len(values) > 1 {
			return terms{}, badRequest(fmt.Sprintf("query parameter %.40q is unknown, or there twice", name), "there are baseURL and lease")
		}
	}
	t := terms{baseURL: query.Get("baseURL")}
	if t.lease, err = leaseOf(query.Get("lease")); err != nil {
		return terms{}, err
	}
	if err := checkBaseURL(t.baseURL, p); err != nil {
		return terms{}, err
	}
	if r.Header.Get("If-Match") != "" {
		return terms{}, badRequest("If-Match is not for registering", "renew with If-None-Match and no body; replace a document with a PUT without conditions")
	}
	t.tag, err = tagOf(r, "If-None-Match")
	return t, err
}

func leaseOf(text string) (time.Duration, error) {
	if text == "" {
		return defaultLease, nil
	}
	lease, err := time.ParseDuration(text)
	if seconds, notSeconds := strconv.Atoi(text); notSeconds == nil && seconds <= int(longestLease.Seconds()) {
		lease, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || lease < shortestLease || lease > longestLease {
		return 0, badRequest("lease is not between 10s and 1h", "for example lease=60s")
	}
	return lease, nil
}

func checkBaseURL(baseURL string, p Publisher) error {
	u, err := url.Parse(baseURL)
	if err != nil || len(baseURL) > longestURL || !utf8.ValidString(baseURL) || u.Scheme != "http" && u.Scheme != "https" ||
		u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return badRequest("baseURL is not an absolute http or https URL without credentials and query", "for example baseURL=https://api.example.com/v1, percent-encoded")
	}
	if !p.Admits(baseURL) {
		return &failure{
			status: http.StatusForbidden, message: "base URL is not one that publisher " + p.Name + " may register",
			hint: "add it, or one that it is below, to publishers." + p.Name + ".baseURLs in the gateway's config",
		}
	}
	return nil
}

// tagOf is the entity tag of a condition (RFC 9110, section 8.8.3) without
// quotes, empty where there is none. A proxy that compresses may have made it weak.
func tagOf(r *http.Request, header string) (string, error) {
	text := strings.TrimPrefix(strings.TrimSpace(strings.Join(r.Header.Values(header), ", ")), "W/")
	if text == "" {
		return "", nil
	}
	hash := strings.Trim(text, `"`)
	if text != `"`+hash+`"` || hash == "" || strings.Trim(hash, "0123456789abcdef") != "" {
		return "", badRequest(header+" is not an entity tag of this registry", "send the ETag of the last answer, with its quotes")
	}
	return hash, nil
}

// read gives the decoded body, empty where there is none, within the bounds of
// size and time.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if err := checkType(r); err != nil {
		return nil, err
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readTimeout)) // where it cannot be set, the server's own holds
	body := io.Reader(http.MaxBytesReader(w, r.Body, MaxDocument))
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(body)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, unread(err)
		}
		body = unzipped
	default:
		return nil, &failure{
			status: http.StatusUnsupportedMediaType, message: "Content-Encoding is not gzip", header: http.Header{"Accept-Encoding": {"gzip, identity"}},
		}
	}
	document, err := io.ReadAll(io.LimitReader(body, MaxDocument+1))
	if err == nil && len(document) > MaxDocument {
		err = &http.MaxBytesError{Limit: MaxDocument}
	}
	if err != nil {
		return nil, unread(err)
	}
	_ = control.SetReadDeadline(time.Time{})
	return document, nil
}

// unread says why a body could not be read.
func unread(err error) error {
	large := new(http.MaxBytesError)
	switch {
	case errors.As(err, &large):
		return &failure{status: http.StatusRequestEntityTooLarge, message: "document has more than 32 MiB, decoded"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &failure{status: http.StatusRequestTimeout, message: "document did not arrive within 30 s", header: http.Header{"Connection": {"close"}}}
	}
	return badRequest("body cannot be read", "where Content-Encoding is gzip, the body has to be")
}

// checkType lets JSON and YAML pass by whichever of their names, and what says
// nothing: the document tells by itself which one it is.
func checkType(r *http.Request) error {
	text := r.Header.Get("Content-Type")
	if text == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(text)
	known := []string{"json", "yaml", "x-yaml", "vnd.oai.openapi"}
	_, subtype, _ := strings.Cut(media, "/")
	_, suffix, _ := strings.Cut(subtype, "+")
	if err == nil && (slices.Contains(known, subtype) || slices.Contains(known, suffix)) {
		return nil
	}
	return &failure{
		status: http.StatusUnsupportedMediaType, message: "Content-Type is neither JSON nor YAML",
		hint: "send the OpenAPI document itself, with Content-Type: application/json or application/yaml",
	}
}
