package main

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// mirror repeats in headers the arguments whose schemas name one
// (2026-07-28, basic/transports/streamable-http, "Custom Headers from Tool
// Parameters").
func mirror(schema, arguments json.RawMessage, header http.Header) {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var values map[string]json.RawMessage
	if json.Unmarshal(schema, &s) != nil || json.Unmarshal(arguments, &values) != nil {
		return
	}
	for name, property := range s.Properties {
		value, given := values[name]
		if !given {
			continue
		}
		var own struct {
			Name string `json:"x-mcp-header"`
		}
		if json.Unmarshal(property, &own) == nil && own.Name != "" {
			if text, ok := headerText(value); ok {
				header.Set("Mcp-Param-"+own.Name, headerValue(text))
			}
		}
		mirror(property, value, header)
	}
}

// headerText is a string, boolean or integer as a header has it.
func headerText(value json.RawMessage) (string, bool) {
	var v any
	if json.Unmarshal(value, &v) != nil {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), v == math.Trunc(v)
	}
	return "", false
}

// headerValue wraps what a header cannot carry as it is ("Value Encoding").
func headerValue(s string) string {
	const prefix, suffix = "=?base64?", "?="
	strange := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
	if !strange && strings.Trim(s, " ") == s && (!strings.HasPrefix(s, prefix) || !strings.HasSuffix(s, suffix)) {
		return s
	}
	return prefix + base64.StdEncoding.EncodeToString([]byte(s)) + suffix
}
