// Package backstage makes an OpenAPI document of the actions that a plugin of a
// Backstage backend lists, so that they become tools as all others do. The list
// is what GET /.backstage/actions/v1/actions answers with (backend-defaults
// 0.18.0, DefaultActionsRegistryService).
package backstage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/stagedoor/stagedoor/openapi"
)

// Options of [Document].
type Options struct {
	// Plugin is the id of the plugin that was asked.
	Plugin string
	// Source is where the list came from, for findings: without credentials.
	Source string
	// Secrets are the names of those that the config has for the plugin.
	Secrets []string
}

// Bounds of a list, so that the document stays within those of package openapi.
const (
	maxActions = 5000
	maxAction  = 256 << 10 // bytes of one
	maxList    = 6 << 20   // bytes of all
	maxName    = 128       // bytes of an action's name

	maxFindings = 20 // of one kind: a list that is wrong is wrong 5,000 times
)

// Document gives the OpenAPI 3.1 document of a list of actions. What cannot be
// an action is left out, and a finding names it; the error tells that the text is
// no list. Its paths are below the plugin's base URL, in the order of the ids.
func Document(list []byte, o Options) ([]byte, []openapi.Finding, error) {
	var answer struct{ Actions *[]json.RawMessage }
	if err := json.Unmarshal(list, &answer); err != nil || answer.Actions == nil {
		return nil, nil, errors.New(`is no list of actions: expected {"actions": […]} in JSON`)
	}
	r := &reader{Options: o, seen: map[string]bool{}, told: map[kind]int{}}
	r.read(*answer.Actions)
	slices.SortFunc(r.actions, func(a, b action) int { return cmp.Compare(a.id, b.id) })
	var text bytes.Buffer
	err := encode(&text, r.document())
	return text.Bytes(), r.summed(), err
}

// reader judges the entries of a list.
type reader struct {
	Options
	actions  []action
	seen     map[string]bool // ids
	findings []openapi.Finding
	told     map[kind]int // how many there are, those after the first few included
}

// kind is what findings have in common.
type kind struct {
	severity openapi.Severity
	code     string
}

// action is an entry that can become one of ours.
type action struct {
	id, name    string
	entry       *object
	input       *object
	output      *object // nil: it says none
	secret      bool
	secretNames []string // of those that go with a call
	whole       bool     // its input is one argument
}

func (r *reader) report(severity openapi.Severity, code, message, hint string) {
	this := kind{severity, code}
	if r.told[this]++; r.told[this] > maxFindings {
		return
	}
	r.findings = append(r.findings, openapi.Finding{
		Severity: severity, Code: code, Location: openapi.Location{File: r.Source}, Message: message, Hint: hint,
	})
}

// summed are the findings, with how many are not among them.
func (r *reader) summed() []openapi.Finding {
	kinds := slices.SortedFunc(maps.Keys(r.told), func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.severity, b.severity))
	})
	for _, this := range kinds {
		if n := r.told[this]; n > maxFindings {
			r.findings = append(r.findings, openapi.Finding{
				Severity: this.severity, Code: this.code, Location: openapi.Location{File: r.Source}, Message: fmt.Sprintf("and %d more like the first %d", n-maxFindings, maxFindings),
			})
		}
	}
	return r.findings
}

func (r *reader) read(entries []json.RawMessage) {
	if len(entries) == 0 {
		r.report(openapi.SeverityError, "backstage-empty", "plugin "+r.Plugin+" lists no action",
			"look at backend.actions.pluginSources and filter in the backend's config, and at what the token is restricted to")
	}
	if len(entries) > maxActions {
		r.report(openapi.SeverityError, "backstage-action", fmt.Sprintf("list has %d actions; those after the first %d are left out", len(entries), maxActions), "")
		entries = entries[:maxActions]
	}
	total := 0
	for i, raw := range entries {
		what := fmt.Sprintf("entry %d", i+1)
		if total += len(raw); len(raw) > maxAction || total > maxList {
			total -= len(raw)
			r.report(openapi.SeverityError, "backstage-action", fmt.Sprintf("%s is left out: an action may have %d bytes, and all of them %d", what, maxAction, maxList), "")
			continue
		}
		v, err := decode(raw)
		entry, isObject := v.(*object)
		switch {
		case err != nil:
			r.report(openapi.SeverityError, "backstage-action", fmt.Sprintf("%s is left out: %v", what, err), "")
		case !isObject:
			r.report(openapi.SeverityError, "backstage-action", what+" is left out: it is no object", "")
		default:
			if id := entry.text("id"); id != "" {
				what = fmt.Sprintf("action %q", id[:min(len(id), 2*maxName)])
			}
			if a, ok := r.judge(entry, what); ok {
				r.actions = append(r.actions, a)
			}
		}
	}
}

// judge makes an action of an entry; ok is false where a finding says why not.
func (r *reader) judge(entry *object, what string) (a action, ok bool) {
	refuse := func(message, hint string) (action, bool) {
		r.report(openapi.SeverityError, "backstage-action", what+" is left out: "+message, hint)
		return a, false
	}
	id := entry.text("id")
	name, own := strings.CutPrefix(id, r.Plugin+":")
	listed, named := entry.get("pluginId").(string)
	schema, _ := entry.get("schema").(*object)
	input, isObject := schema.get("input").(*object)
	switch {
	case !own || named && listed != r.Plugin:
		return refuse(fmt.Sprintf("it is not one of the plugin %q, whose list it stands in", r.Plugin), "ids are plugin:name")
	case name == "" || len(name) > maxName || strings.ContainsFunc(name, notInName):
		return refuse(fmt.Sprintf("its name is empty, longer than %d bytes, or has characters that no path segment has", maxName), "for example "+r.Plugin+":do-something")
	case r.seen[id]:
		return refuse("another one has that id", "")
	case !isObject || input.get("type") != nil && !isType(input.get("type"), "object"):
		return refuse("its schema.input is not that of an object", "")
	}
	a = action{id: id, name: name, entry: entry, input: input}
	a.output, _ = schema.get("output").(*object)
	if !r.secrets(&a, schema.get("secrets"), what) {
		return a, false
	}
	r.seen[id] = true
	return a, true
}

// notInName are the characters that would make a name more than a segment of a
// path, or that nobody sees.
func notInName(c rune) bool {
	return strings.ContainsRune(`/\?#%{}`, c) || c == unicode.ReplacementChar || unicode.IsSpace(c) || !unicode.IsGraphic(c)
}

// secrets finds those that an action declares among the config's.
func (r *reader) secrets(a *action, declared any, what string) bool {
	schema, ok := declared.(*object)
	if declared == nil || !ok {
		return true
	}
	a.secret = true
	listed, _ := schema.get("properties").(*object)
	if listed != nil {
		for _, p := range listed.members {
			described, _ := p.value.(*object)
			kind := described.get("type")
			if slices.Contains(r.Secrets, p.name) && plainName.MatchString(p.name) && (kind == nil || isType(kind, "string")) {
				a.secretNames = append(a.secretNames, p.name)
			}
		}
	}
	const hint = "add them under backstage.secrets in the plugin's config"
	var missing []string
	required, _ := schema.get("required").([]any)
	for _, name := range required {
		if text, _ := name.(string); !slices.Contains(a.secretNames, text) {
			missing = append(missing, text)
		}
	}
	switch {
	case len(missing) > 0:
		r.report(openapi.SeverityError, "backstage-secrets", fmt.Sprintf("%s is left out: it needs secrets (text) that the config does not have: %s", what, strings.Join(missing, ", ")), hint)
	case listed != nil && len(a.secretNames) < len(listed.members):
		r.report(openapi.SeverityInfo, "backstage-secrets", what+" can take more secrets than the config has", hint)
	}
	return len(missing) == 0
}
