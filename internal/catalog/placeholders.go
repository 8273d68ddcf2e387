package catalog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// substitute replaces {$text: target} and its kin in an entity by what the
// target holds, as Backstage's placeholders do. The error begins with the path
// of the field.
func (w *walk) substitute(ctx context.Context, p place, v any) error {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			replaced, err := w.placeholder(ctx, p, member)
			if err != nil {
				return under(key, err)
			}
			if replaced != nil {
				v[key] = replaced
			} else if err := w.substitute(ctx, p, member); err != nil {
				return under(key, err)
			}
		}
	case []any:
		for i, item := range v {
			if err := w.substitute(ctx, p, item); err != nil {
				return under(strconv.Itoa(i), err)
			}
		}
	}
	return nil
}

// fieldError is an error of the field at a path.
type fieldError struct {
	path string
	err  error
}

func (f *fieldError) Error() string { return f.path + ": " + f.err.Error() }
func (f *fieldError) Unwrap() error { return f.err }

// under puts a key before the path of err.
func under(key string, err error) error {
	key = shorten(key)
	var f *fieldError
	if errors.As(err, &f) {
		return &fieldError{key + "." + f.path, f.err}
	}
	return &fieldError{key, err}
}

func (w *walk) placeholder(ctx context.Context, p place, v any) (any, error) {
	name, target := placeholderOf(v)
	if name == "" {
		return nil, nil
	}
	from, err := w.sources.relative(p, "", target)
	if err != nil {
		return nil, err
	}
	w.seen["$"+from.String()] = true // counted, but it may be named again
	if len(w.seen) > maxPlaces {
		return nil, fmt.Errorf("more than %d files", maxPlaces)
	}
	data, err := w.sources.read(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, shorten(target), err)
	}
	if name != "$json" && name != "$yaml" {
		if !utf8.Valid(data) {
			return nil, fmt.Errorf("%s %s: file is not UTF-8 text", name, shorten(target))
		}
		return string(data), nil
	}
	documents, err := decode(data)
	if err == nil && len(documents) == 1 {
		err = documents[0].err
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", name, shorten(target), err)
	case len(documents) != 1:
		return nil, fmt.Errorf("%s %s: expected one document, found %d", name, shorten(target), len(documents))
	}
	return documents[0].value, nil
}

// placeholderOf gives the name and target of a placeholder, "" if v is none.
func placeholderOf(v any) (name, target string) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return "", ""
	}
	for _, name := range []string{"$text", "$json", "$yaml", "$openapi", "$asyncapi"} {
		if target, ok := m[name].(string); ok {
			return name, target
		}
	}
	return "", ""
}
