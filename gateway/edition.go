package gateway

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// edition is what one publication of a plugin came to. It is immutable.
type edition struct {
	part       *registry.Part
	actions    []openapi.Action // before the operator's word on attributes
	findings   []openapi.Finding
	client     *invoke.Client
	generation publication.Generation // its content goes when the database has it, or is about to
	contents   [sha256.Size]byte      // of content and overlays, without the names of their places
	accepted   time.Time
	files      []publication.Document // that $refs led to: their names alone
	stored     publication.Verdict    // with which it is in the database; empty: it may not be there
}

// judge reads a publication as the plugin's next edition. The faults say why it
// cannot be one. last gives the edition before; nil: there is none.
func (l *line) judge(c cores, pub *source.Publication, last func() *edition) (*edition, Faults) {
	path := "plugins." + l.name
	e := &edition{findings: slices.Clone(pub.Findings), accepted: time.Now()}
	c.work(func() { e.read(c, l, pub) })
	if len(e.actions) == 0 {
		return e, unusable(path, e.findings)
	}
	if !pub.Complete() || slices.ContainsFunc(e.findings, isError) {
		before := last()
		if lost := e.lost(before); len(lost) > 0 {
			return e, lost.below(path)
		}
		if err := pub.Lost(before.opened()); err != nil {
			return e, Faults{{Path: path, Message: err.Error(), Hint: "put it back, or take out the $ref that leads to it"}}
		}
	}
	var err error
	if e.client, err = l.reach(pub.BaseURL); err != nil {
		return e, Faults{{Path: path + ".baseURL", Message: err.Error()}}
	}
	content := pub.Content()
	for _, f := range content.Files {
		e.files = append(e.files, publication.Document{Name: f.Name})
	}
	e.contents = contents(content, l.overlays)
	e.generation = publication.Generation{
		Plugin: l.name, Hash: content.Hash(), Content: content, Source: l.String(), Actions: e.names(), Time: e.accepted,
	}
	e.generation.Findings = e.findingsJSON()
	var faults []registry.Fault
	c.work(func() { faults = e.compile(l.plugin) })
	return e, fromRegistry(faults)
}

// read reads the documents of a publication.
func (e *edition) read(c cores, l *line, pub *source.Publication) {
	defined := map[string]bool{}
	for i, document := range pub.Documents {
		o := openapi.Options{
			Mode: openapi.Mode(l.plugin.Actions), Overlays: l.overlays, MaxBytes: source.MaxDocument,
			TrustAttributes: l.origin == fromBinary || l.origin == fromBackstage,
			Secrets:         slices.Collect(maps.Keys(l.plugin.Backstage.Secrets)), BaseURL: cmp.Or(pub.BaseURL, l.plugin.BaseURL),
			Reserved: l.reserved(),
		}
		if opener := pub.Opener(i); opener != nil {
			o.Opener = idling{opener, c}
		}
		read := openapi.Read(document, o)
		e.findings = append(append(e.findings, read.Findings...), l.security(read)...)
		for _, s := range read.SecuritySchemes {
			defined[s.Name] = true
		}
		e.actions = append(e.actions, read.Actions...)
	}
	if len(pub.Documents) > 0 {
		e.findings = append(e.findings, l.unknownSchemes(defined, openapi.Location{File: pub.Documents[0].Name})...)
	}
}

// compile makes the plugin's part of snapshots, with the operator's word on its
// actions.
func (e *edition) compile(p Plugin) (faults []registry.Fault) {
	name := e.generation.Plugin
	e.part, faults = registry.Compile(registry.Plugin{
		Name: name, Actions: e.actions, Client: e.client, StrictOutput: p.strictOutput(),
		Attributes: attributeRules("plugins."+name, p.Attributes), Icons: icons(p.Icons), Previous: e.part,
	})
	return faults
}

// dressed is the edition with the operator's word on the plugin's actions as it
// is now.
func (e *edition) dressed(p Plugin) *edition {
	if e == nil {
		return nil
	}
	next := *e
	if faults := next.compile(p); len(faults) > 0 || next.part == e.part { // what compiled once does again
		return e
	}
	return &next
}

// opened is what the documents referred to, by name; nil has nothing.
func (e *edition) opened() (c publication.Content) {
	if e != nil {
		c.Files = e.files
	}
	return c
}

// hash is the edition's, nil has none.
func (e *edition) hash() string {
	if e == nil {
		return ""
	}
	return e.generation.Hash
}

// lost are the errors that cost the last edition an action: its operation is
// still there, but can no longer be one. An action that was taken out is not
// lost.
func (e *edition) lost(last *edition) (lost losses) {
	if last == nil {
		return nil
	}
	have := map[string]bool{}
	for _, a := range e.actions {
		have[a.Operation] = true
	}
	for _, a := range last.actions {
		if have[a.Operation] {
			continue
		}
		for _, finding := range e.findings {
			if isError(finding) && (finding.Operation == a.Operation || finding.Operation == "") {
				lost = append(lost, finding)
			}
		}
	}
	return lost
}

type losses []openapi.Finding

func (l losses) below(path string) (faults Faults) {
	for _, f := range l {
		faults = append(faults, Fault{Path: path, Message: f.Location.String() + ": " + f.Operation + " was an action: " + f.Message, Hint: f.Hint})
	}
	return faults
}

// findingsJSON is an array of the findings.
func (e *edition) findingsJSON() json.RawMessage {
	b, err := json.Marshal(slices.Concat([]openapi.Finding{}, e.findings))
	if err != nil { // of strings and numbers
		return json.RawMessage("[]")
	}
	return b
}

func isError(f openapi.Finding) bool { return f.Severity == openapi.SeverityError }

func (e *edition) names() []string {
	names := make([]string, 0, len(e.actions))
	for _, a := range e.actions {
		names = append(names, a.Name)
	}
	return names
}

// unusable says why a plugin has no action at all. One with some good
// operations serves those.
func unusable(path string, findings []openapi.Finding) (faults Faults) {
	for _, f := range findings {
		if f.Severity == openapi.SeverityError {
			faults = append(faults, Fault{Path: path, Message: f.Location.String() + ": " + f.Message, Hint: f.Hint})
		}
	}
	if len(faults) == 0 {
		faults.add(path, "add x-action: true to an operation, or set actions: all", "plugin has no action")
	}
	return faults
}

// contents is a hash of all bytes that an edition was made of.
func contents(c publication.Content, overlays []openapi.Source) [sha256.Size]byte {
	h := sha256.New()
	for _, list := range [][]publication.Document{c.Documents, c.Files} {
		for _, d := range list {
			h.Write(fmt.Appendf(nil, "%d ", len(d.Data)))
			h.Write(d.Data)
		}
		h.Write([]byte{0})
	}
	overlay := digest(overlays)
	h.Write(overlay[:])
	return [sha256.Size]byte(h.Sum(nil))
}

// digest is a hash of documents in their order, without their names.
func digest(documents []openapi.Source) [sha256.Size]byte {
	h := sha256.New()
	for _, d := range documents {
		h.Write(fmt.Appendf(nil, "%d ", len(d.Data)))
		h.Write(d.Data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// strictOutput: what ships in the binary keeps to its document.
func (p Plugin) strictOutput() bool { return p.Embedded != "" || p.OutputSchemas == "strict" }

func attributeRules(path string, rules map[string]AttributeRule) []registry.AttributeRule {
	var out []registry.AttributeRule
	byLength := func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }
	for _, actions := range slices.SortedFunc(maps.Keys(rules), byLength) { // "*" first, the most particular last
		out = append(out, registry.AttributeRule{
			Path: path + ".attributes." + actions, Actions: actions, Attributes: registry.AttributeSet(rules[actions]),
		})
	}
	return out
}
