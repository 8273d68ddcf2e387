package oracle_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// compare says where two requests differ; "" when they do not.
func compare(t *testing.T, c *call, theirs answer) string {
	t.Helper()
	if theirs.Error != "" {
		return "theirs: " + theirs.Error
	}
	u, err := url.Parse(strings.ReplaceAll(theirs.URL, " ", "%20"))
	if err != nil {
		return err.Error()
	}
	_, theirQuery, _ := strings.Cut(theirs.URL, "?")
	ourHeaders, theirHeaders := headers(c.ours.Header), map[string]string{}
	for name, value := range theirs.Headers {
		theirHeaders[strings.ToLower(name)] = value
	}
	delete(theirHeaders, "accept") // both may list what is declared, in any order
	ourBody := ""
	if c.ours.Body != nil {
		text, err := io.ReadAll(c.ours.Body)
		if err != nil {
			t.Fatal(err)
		}
		ourBody = string(text)
		c.ours.Body = io.NopCloser(strings.NewReader(ourBody))
	}
	for _, part := range []struct {
		what         string
		ours, theirs any
	}{
		{"method", c.ours.Method, theirs.Method},
		{"path", c.ours.URL.EscapedPath(), u.EscapedPath()},
		{"query", pairs(c.ours.URL.RawQuery), pairs(theirQuery)},
		{"cookies", cookies(ourHeaders["cookie"]), cookies(theirHeaders["cookie"])},
		{"media type", essence(ourHeaders["content-type"]), essence(theirHeaders["content-type"])},
		{"body", content(t, ourHeaders["content-type"], ourBody), content(t, theirHeaders["content-type"], string(theirs.Body))},
		{"headers", without(ourHeaders), without(theirHeaders)},
	} {
		if !reflect.DeepEqual(part.ours, part.theirs) {
			return fmt.Sprintf("%s: ours %q, theirs %q", part.what, part.ours, part.theirs)
		}
	}
	return ""
}

func headers(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		if name != "User-Agent" && name != "Accept" {
			out[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return out
}

// without leaves out the headers that are compared on their own.
func without(h map[string]string) map[string]string {
	out := maps.Clone(h)
	delete(out, "cookie")
	delete(out, "content-type")
	return out
}

// pairs are those of a query, as they are written, in alphabetical order: the
// order of parameters means nothing.
func pairs(query string) []string {
	out := strings.Split(query, "&")
	slices.SortStableFunc(out, func(a, b string) int {
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	})
	return out
}

func cookies(header string) []string {
	out := strings.Split(header, "; ")
	slices.Sort(out)
	return out
}

// content reads a body as its media type means it.
func content(t *testing.T, contentType, body string) any {
	t.Helper()
	mediaType, parameters, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil || body == "":
	case mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
		if json.Valid([]byte(body)) {
			return decoded(t, []byte(body))
		}
	case mediaType == "application/x-www-form-urlencoded":
		if form, err := url.ParseQuery(body); err == nil {
			return form
		}
	case strings.HasPrefix(mediaType, "multipart/") && parameters["boundary"] != "":
		return parts(t, multipart.NewReader(strings.NewReader(body), parameters["boundary"]))
	}
	return body
}

// parts gives name, file name, media type and content of each part.
func parts(t *testing.T, r *multipart.Reader) any {
	t.Helper()
	var out []string
	for {
		p, err := r.NextRawPart()
		if err != nil {
			slices.Sort(out)
			return out
		}
		text, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %q %q %s", p.FormName(), p.FileName(), essence(p.Header.Get("Content-Type")), text))
	}
}
