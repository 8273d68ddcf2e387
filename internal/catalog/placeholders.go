package catalog

import (
	"context"
	"fmt"
	"unicode/utf8"
)

// substitute replaces {$text: target} and its kin in an entity by what the
// target holds, as Backstage's placeholders do.
func (w *walk) substitute(ctx context.Context, p place, v any) error {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			replaced, err := w.placeholder(ctx, p, member)
			if err != nil {
				return fmt.Errorf("%s: %w", shorten(key), err)
			}
			if replaced != nil {
				v[key] = replaced
			} else if err := w.substitute(ctx, p, member); err != nil {
				return err
			}
		}
	case []any:
		for _, item := range v {
			if err := w.substitute(ctx, p, item); err != nil {
				return err
			}
		}
	}
	return nil
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
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, shorten(target), err)
	}
	if len(documents) != 1 {
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
