package catalog

import (
	"encoding/json"
	"strings"
)

const maxFields = 200

// fields are the dotted paths to keep of each entity; none means all.
type fields []string

func parseFields(params []string) (fields, error) {
	var f fields
	for _, param := range params {
		for field := range strings.SplitSeq(param, ",") {
			if field = strings.TrimSpace(field); field != "" {
				f = append(f, field)
			}
		}
	}
	if len(f) > maxFields {
		return nil, inputError("fields: at most %d", maxFields)
	}
	for _, field := range f {
		if strings.Contains(field, "[") {
			return nil, inputError("fields: %q: list positions are not supported, name the list itself", shorten(field))
		}
	}
	return f, nil
}

// of is the entity's JSON, cut down to the fields.
func (f fields) of(it *item) (json.RawMessage, error) {
	if len(f) == 0 {
		return it.json, nil
	}
	kept, ok := prune(it.entity, f)
	if !ok {
		return json.RawMessage("{}"), nil
	}
	return json.Marshal(kept)
}

// prune keeps what the paths lead to. Keys may have dots in them; paths go
// through lists to the items' own members.
func prune(v any, paths []string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, member := range v {
			var deeper []string
			for _, path := range paths {
				rest, found := strings.CutPrefix(path, key)
				switch {
				case found && rest == "":
					kept[key] = member
				case found && rest[0] == '.':
					deeper = append(deeper, rest[1:])
				}
			}
			if _, whole := kept[key]; whole || deeper == nil {
				continue
			}
			if part, ok := prune(member, deeper); ok {
				kept[key] = part
			}
		}
		return kept, len(kept) > 0
	case []any:
		kept := []any{}
		for _, item := range v {
			if part, ok := prune(item, paths); ok {
				kept = append(kept, part)
			}
		}
		return kept, len(kept) > 0
	}
	return nil, false
}
