package principal

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Claim gives what claims say under a name. One with dots is a path where no
// claim has the whole of it as its name: "realm_access.roles".
func Claim(claims map[string]any, name string) (value any, ok bool) {
	if value, ok = claims[name]; ok {
		return value, true
	}
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		if inner, is := claims[name[:i]].(map[string]any); is {
			if value, ok = Claim(inner, name[i+1:]); ok {
				return value, true
			}
		}
	}
	return nil, false
}

// ClaimTexts gives the values of a claim as texts: those of a list one by one,
// numbers and booleans as JSON writes them; what is neither is left out.
func ClaimTexts(claims map[string]any, name string) []string {
	value, _ := Claim(claims, name)
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	texts := make([]string, 0, len(list))
	for _, v := range list {
		if text, ok := Scalar(v); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// Scalar is a claim's value as text, where it is no list and no object: numbers
// and booleans as JSON writes them.
func Scalar(v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// Words splits texts at white space, as scopes are written: "mcp:read mcp:write".
func Words(texts []string) []string { return strings.Fields(strings.Join(texts, " ")) }
