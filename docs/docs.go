// Package docs gives the program the words of its documents.
package docs

import _ "embed"

// Findings is docs/findings.md: every code of a finding, what it means, and
// what to do about it.
//
//go:embed findings.md
var Findings string
