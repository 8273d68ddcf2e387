package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/stagedoor/stagedoor/docs"
	"github.com/stagedoor/stagedoor/openapi"
)

// The parts of SARIF 2.1.0 that code scanning reads, each with its section in
// the specification: https://docs.oasis-open.org/sarif/sarif/v2.1.0/

type sarifLog struct { // 3.13
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct { // 3.14
	Tool       sarifTool     `json:"tool"`
	ColumnKind string        `json:"columnKind"`
	Results    []sarifResult `json:"results"`
}

type sarifTool struct { // 3.18
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct { // 3.19
	Name           string      `json:"name"`
	Version        string      `json:"version"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct { // 3.49
	ID               string       `json:"id"`
	ShortDescription sarifText    `json:"shortDescription"`
	FullDescription  sarifText    `json:"fullDescription"`
	Help             sarifText    `json:"help"`
	HelpURI          string       `json:"helpUri"`
	Default          sarifDefault `json:"defaultConfiguration"`
}

type sarifText struct { // 3.12
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifDefault struct { // 3.50
	Level string `json:"level"`
}

type sarifResult struct { // 3.27
	RuleID       string            `json:"ruleId"`
	RuleIndex    *int              `json:"ruleIndex,omitempty"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
}

type sarifLocation struct { // 3.28
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct { // 3.29
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region *sarifRegion `json:"region,omitempty"`
}

type sarifRegion struct { // 3.30
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
}

type sarifLogical struct { // 3.33
	FullyQualifiedName string `json:"fullyQualifiedName"`
}

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	homepage    = "https://github.com/stagedoor/stagedoor"
)

// WriteSARIF writes the findings of all reports as one SARIF 2.1.0 log.
// Files below dir get URIs that are relative to it, as code scanning wants them.
func WriteSARIF(w io.Writer, version, dir string, reports []Report) error {
	rules := rules()
	index := map[string]int{}
	for i, rule := range rules {
		index[rule.ID] = i
	}
	results := []sarifResult{}
	repeats := map[string]int{}
	for i := range reports {
		for _, f := range reports[i].Findings {
			result := resultOf(f, dir)
			if at, ok := index[f.Code]; ok {
				result.RuleIndex = &at
			}
			hash := fingerprint(f, result.Locations[0].Physical.Artifact.URI)
			repeats[hash]++
			result.Fingerprints = map[string]string{"primaryLocationLineHash": fmt.Sprintf("%s:%d", hash, repeats[hash])}
			results = append(results, result)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{{
		Tool:       sarifTool{sarifDriver{Name: "stagedoor", Version: version, InformationURI: homepage, Rules: rules}},
		ColumnKind: "unicodeCodePoints", Results: results,
	}}})
}

func resultOf(f openapi.Finding, dir string) sarifResult {
	message := f.Message
	if f.Operation != "" {
		message = f.Operation + ": " + message
	}
	if f.Hint != "" {
		message += " (" + f.Hint + ")"
	}
	var at sarifLocation
	at.Physical.Artifact.URI = fileURI(f.Location.File, dir)
	if f.Location.Line > 0 {
		at.Physical.Region = &sarifRegion{f.Location.Line, max(f.Location.Column, 1)}
	}
	if f.Operation != "" {
		at.Logical = []sarifLogical{{f.Operation}}
	}
	return sarifResult{RuleID: f.Code, Level: level(f.Severity), Message: sarifText{Text: message}, Locations: []sarifLocation{at}}
}

func level(s openapi.Severity) string {
	switch s {
	case openapi.SeverityError:
		return "error"
	case openapi.SeverityWarning:
		return "warning"
	}
	return "note"
}

// fileURI is a path as a URI: relative below dir, absolute elsewhere. URLs stay.
func fileURI(file, dir string) string {
	if strings.Contains(file, "://") {
		return file
	}
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	relative, err := filepath.Rel(dir, path)
	if err != nil || relative == ".." || strings.HasPrefix(relative, ".."+string(filepath.Separator)) {
		slashed := filepath.ToSlash(path)
		return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(slashed, "/")}).String()
	}
	return (&url.URL{Path: filepath.ToSlash(relative)}).String()
}

// fingerprint stays the same when lines move.
func fingerprint(f openapi.Finding, uri string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{uri, f.Code, f.Operation, f.Message}, "\x00")))
	return hex.EncodeToString(sum[:8])
}

var (
	codeRow = regexp.MustCompile("^\\| `([a-z0-9-]+)` \\| ([a-z]+)[a-z, ]* \\| (.*) \\| (.*) \\|$")
	mdLink  = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)
)

// rules are the rows of the tables in docs/findings.md, which has every code.
func rules() []sarifRule {
	rules := []sarifRule{}
	anchor := ""
	for line := range strings.SplitSeq(docs.Findings, "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			anchor = strings.ReplaceAll(strings.ToLower(title), " ", "-")
		}
		m := codeRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		meaning, cure := mdLink.ReplaceAllString(m[3], "$1"), mdLink.ReplaceAllString(m[4], "$1")
		plain := strings.NewReplacer("`", "", "**", "")
		first, _, _ := strings.Cut(meaning, ". ")
		rules = append(rules, sarifRule{
			ID: m[1], ShortDescription: sarifText{Text: plain.Replace(first)}, FullDescription: sarifText{Text: plain.Replace(meaning)},
			Help:    sarifText{Text: plain.Replace(cure), Markdown: cure},
			HelpURI: homepage + "/blob/main/docs/findings.md#" + anchor,
			Default: sarifDefault{level(openapi.Severity(m[2]))},
		})
	}
	return rules
}
