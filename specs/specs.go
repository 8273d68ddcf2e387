// Package specs holds what ships inside the program as text: the software
// catalog's annotated OpenAPI document, overlays that annotate documents of
// others, the JSON Schema of x-action, and the catalog's example organisation.
package specs

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed catalog.yaml
var catalog []byte

//go:embed x-action.schema.json
var actionSchema []byte

//go:embed overlays/*.yaml
var overlays embed.FS

//go:embed example/*.yaml
var example embed.FS

// Catalog is the annotated OpenAPI 3.1 document of the software catalog's API.
// It fits the built-in catalog and a Backstage catalog backend.
func Catalog() []byte { return append([]byte(nil), catalog...) }

// ActionSchema is the JSON Schema (2020-12) of the x-action extension.
func ActionSchema() []byte { return append([]byte(nil), actionSchema...) }

// Overlay returns the OpenAPI Overlay document of that name ("backstage-catalog").
func Overlay(name string) ([]byte, error) {
	return overlays.ReadFile("overlays/" + name + ".yaml")
}

// Overlays lists the names that [Overlay] knows.
func Overlays() []string {
	files, _ := fs.Glob(overlays, "overlays/*.yaml") // the pattern is well-formed
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "overlays/"), ".yaml")
	}
	return files
}

// Example is the example organisation's files; catalog-info.yaml names the others.
func Example() fs.FS {
	dir, err := fs.Sub(example, "example")
	if err != nil {
		return example // cannot be: "example" is a valid path
	}
	return dir
}
