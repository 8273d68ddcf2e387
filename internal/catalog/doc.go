// Package catalog is the built-in software catalog: an http.Handler with the
// parts of Backstage's catalog API that agents need, described by
// specs/catalog.yaml.
//
// Entities come from catalog-info.yaml files: the locations that the config
// names, and those that are registered over the API. [Catalog.Refresh] reads
// them (walk.go, source.go), checks them (decode.go, validate.go) and saves
// each location in one transaction. Requests are answered from an immutable
// index in memory (index.go) that is built anew when the database's version
// has moved, by this replica or another.
//
// No entity is lost to a mistake. Each stands alone: a bad one is a line in the
// log (flaw.go) and holds up no other of its file. One that was good before
// stays as it was (lastgood.go), and so does all that a file held which cannot
// be read at all. Only what a readable file no longer describes goes. A
// location that a caller registers has to be good as a whole.
package catalog
