package source

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestIsDocument(t *testing.T) {
	for text, want := range map[string]bool{
		`{"openapi":"3.1.0"}`: true,
		"\ufeff \n{\"info\":{\"a\":[1,\"}\"]},\"swagger\" : \"2.0\"}": true,
		`{"info":{"openapi":"3.1.0"}}`:                                false,
		`{"x":"openapi"}`:                                             false,
		`{"x":"openapi:","y":"\"","z":["openapi"]}`:                   false,
		`{"x":"\\","openapi":"3`:                                      true, // half of one: the reader says where it ends
		`{"openapi`:                                                   false,
		`["openapi"]`:                                                 false,
		"openapi: 3.1.0\n":                                            true,
		"\ufeff# comment\n%YAML 1.2\n---\r\n\r\n'swagger': '2.0'\r\n": true,
		"info:\n  title: x\n\"openapi\" : 3.0.0\n":                    true,
		"  info: {}\n  openapi: 3.0.0\n":                              true,
		"openapi:\n":                                                  true,
		"info:\n  openapi: 3.1.0\n":                                   false,
		"text: |\n  openapi: 3.1.0\n":                                 false,
		"openapi:3.1.0\n":                                             false, // no mapping in YAML
		"overlay: 1.0.0\n":                                            false,
		"- openapi: 3.1.0\n":                                          false,
		"":                                                            false,
		"# openapi: 3.1.0":                                            false,
	} {
		if got := isDocument([]byte(text)); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestIsPage(t *testing.T) {
	for _, tt := range []struct {
		text, mediaType string
		want            bool
	}{
		{"<!doctype html>", "text/html", true},
		{"\n <html>", "application/json", true},
		{"\ufeff<?xml version='1.0'?>", "", true},
		{"Please log in", "text/html", true},
		{"Please log in", "text/plain", false}, // the reader says what it is not
		{`{"openapi":"3.1.0"}`, "text/html", false},
		{`{"type":"object"}`, "text/html", false}, // a part of a document
		{"openapi: 3.1.0", "text/html", false},
		{"", "application/json", false},
	} {
		if got := isPage([]byte(tt.text), tt.mediaType); got != tt.want {
			t.Errorf("%q as %s: got %v", tt.text, tt.mediaType, got)
		}
	}
}

// What encoding/json reads as an object is judged by its members.
func FuzzIsDocument(f *testing.F) {
	for _, seed := range []string{`{"openapi":1}`, `{"a":{"openapi":1}}`, `{"a":"\"","swagger":{}}`, "openapi: 3", "<", "{\"a\":[{}]", `{"":0}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := isDocument(data)
		isPage(data, "text/html")
		var members map[string]json.RawMessage
		if bytes.ContainsRune(data, '\\') || json.Unmarshal(data, &members) != nil || members == nil {
			return
		}
		_, openapi := members["openapi"]
		_, swagger := members["swagger"]
		if got != (openapi || swagger) {
			t.Errorf("%q: got %v", data, got)
		}
	})
}
