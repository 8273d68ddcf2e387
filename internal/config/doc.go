// Package config reads the gateway's YAML file.
//
// [Load] goes a straight line: bytes within bounds → a tree of YAML nodes that
// know their place → the tree checked against the table of fields, which is
// derived from the tags of [gateway.Config] → koanf merges the environment over
// it and decodes it strictly → [gateway.Config.Validate]. Whatever is wrong
// becomes an [Issue] with file:line:column, all of them together, and no secret
// or value of an environment variable is ever part of one.
//
// The same table gives [JSONSchema] and [Reference].
package config
