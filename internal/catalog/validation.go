package catalog

import (
	"net/http"
	"strings"
)

// validateEntity says whether an entity would be taken; why not is the body of
// a 400, without the envelope of other errors.
func (c *Catalog) validateEntity(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Entity   any    `json:"entity"`
		Location string `json:"location"`
	}
	if err := readBody(w, r, maxEntityBytes, &body); err != nil {
		return err
	}
	faults := validateEnvelope(body.Entity, body.Location)
	if len(faults) == 0 {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	errors := make([]problemError, len(faults))
	for i, f := range faults {
		errors[i] = problemError{"InputError", f}
	}
	writeJSON(w, http.StatusBadRequest, map[string]any{"errors": errors})
	return nil
}

func validateEnvelope(entity any, location string) []string {
	target, ok := strings.CutPrefix(location, "url:")
	if !ok {
		return []string{`location: expected "url:" and a URL, for example url:https://git.example.com/catalog-info.yaml`}
	}
	if _, err := parseURL(target); err != nil {
		return []string{"location: " + err.Error()}
	}
	if deeper(entity, maxDepth) {
		return []string{"entity is nested deeper than 100 levels"}
	}
	return validate(withoutPlaceholders(entity))
}

func deeper(v any, than int) bool {
	if than < 0 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			if deeper(member, than-1) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if deeper(item, than-1) {
				return true
			}
		}
	}
	return false
}

// withoutPlaceholders has text in place of {$text: …} and its kin: validation
// fetches nothing.
func withoutPlaceholders(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if name, target := placeholderOf(v); name != "" {
			return target
		}
		clean := make(map[string]any, len(v))
		for key, member := range v {
			clean[key] = withoutPlaceholders(member)
		}
		return clean
	case []any:
		clean := make([]any, len(v))
		for i, item := range v {
			clean[i] = withoutPlaceholders(item)
		}
		return clean
	}
	return v
}
