// Package openapi turns an OpenAPI document into actions: [Read] takes the
// bytes and gives, for each operation that becomes one, an [Action] with its
// input and output as JSON Schema 2020-12 and a precomputed plan of the HTTP
// request, and for everything else a [Finding] with its place.
//
// Whole documents are never refused for the sake of one operation. The package
// opens no file and no socket: what it may read is given to it.
package openapi
