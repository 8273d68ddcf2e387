package contract

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schema is a JSON Schema 2020-12, or a part of one, with its subschemas apart
// from its other keywords.
type schema struct {
	id    int // unique in a comparison
	doc   *document
	at    string // JSON Pointer in the document; parts that were made up have none
	never bool   // the schema false
	words map[string]any
	one   map[string]*schema            // "items", "not", ...
	list  map[string][]*schema          // "anyOf", ...
	named map[string]map[string]*schema // "properties", ...

	summed  bool
	sum     [sha256.Size]byte // of what it asserts; see document.sum
	closing *schema           // see comparison.closing
	closed  bool              // closing is known
}

// document is a whole schema: what its $refs point into.
type document struct {
	root   *schema
	byRef  map[string]*schema // by reference, for those that lead somewhere
	refs   map[string]bool    // that it has
	equal  map[string]bool    // references that mean the same in the other document
	exotic string             // a keyword that changes what references mean, "" where there is none
	raw    any
	name   string
	values *jsonschema.Compiler
}

// maxDepth is how deep a schema may be nested; openapi's are not as deep.
const maxDepth = 200

var errDeep = errors.New("schema is nested too deeply")

// asserting are the keywords without subschemas that bear on values.
const asserting = " type enum const format pattern contentEncoding contentMediaType minimum maximum exclusiveMinimum exclusiveMaximum multipleOf " +
	"minLength maxLength minItems maxItems uniqueItems minContains maxContains minProperties maxProperties required dependentRequired $ref "

// The keywords whose values are one schema, a list and a map of schemas.
const (
	ones  = " items additionalProperties unevaluatedProperties unevaluatedItems propertyNames contains not if then else "
	lists = " prefixItems allOf anyOf oneOf "
	maps2 = " properties patternProperties dependentSchemas $defs definitions "
)

// exotics change what references mean, or are none that can be followed here.
const exotics = " $id $anchor $dynamicAnchor $dynamicRef $recursiveRef $recursiveAnchor $vocabulary "

func among(words, name string) bool { return strings.Contains(words, " "+name+" ") }

// parse reads a schema. Nothing but its JSON and its depth can be wrong: what
// is no schema admits anything.
func (c *comparison) parse(name string, text json.RawMessage) (*document, error) {
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("schema is no JSON: %w", err)
	}
	d := &document{name: name, raw: raw, byRef: map[string]*schema{}, refs: map[string]bool{}}
	d.root, err = c.node(d, raw, "", 0)
	return d, err
}

func (c *comparison) node(d *document, v any, at string, depth int) (*schema, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	c.ids++
	s := &schema{id: c.ids, doc: d, at: at, words: map[string]any{}}
	d.byRef["#"+at] = s
	if admits, isBool := v.(bool); isBool {
		s.never = !admits
	}
	members, _ := v.(map[string]any)
	for _, word := range slices.Sorted(maps.Keys(members)) {
		if err := c.keyword(s, word, members[word], depth); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (c *comparison) keyword(s *schema, word string, v any, depth int) (err error) {
	at := s.at + "/" + word
	switch {
	case among(ones, word):
		if s.one == nil {
			s.one = map[string]*schema{}
		}
		s.one[word], err = c.node(s.doc, v, at, depth+1)
	case among(lists, word):
		if s.list == nil {
			s.list = map[string][]*schema{}
		}
		parts, _ := v.([]any)
		for i, part := range parts {
			inner, err := c.node(s.doc, part, fmt.Sprintf("%s/%d", at, i), depth+1)
			if err != nil {
				return err
			}
			s.list[word] = append(s.list[word], inner)
		}
	case among(maps2, word):
		if s.named == nil {
			s.named = map[string]map[string]*schema{}
		}
		parts, _ := v.(map[string]any)
		s.named[word] = map[string]*schema{}
		for _, name := range slices.Sorted(maps.Keys(parts)) {
			inner, err := c.node(s.doc, parts[name], at+"/"+escaped(name), depth+1)
			if err != nil {
				return err
			}
			s.named[word][name] = inner
		}
	case among(exotics, word), word == "$schema" && v != "https://json-schema.org/draft/2020-12/schema":
		s.doc.exotic = word
	default:
		s.words[word] = v
		if ref, ok := v.(string); ok && word == "$ref" {
			s.doc.refs[ref] = true
		}
	}
	return err
}

// escaped is a name as a JSON Pointer has it (RFC 6901 §3).
func escaped(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// target is what a $ref leads to; nil: nothing that is known here.
func (d *document) target(ref string) *schema {
	if s := d.byRef[ref]; s != nil {
		return s
	}
	plain, err := url.PathUnescape(ref)
	if err != nil {
		return nil
	}
	return d.byRef[plain]
}

// plain follows references that stand alone.
func (s *schema) plain() *schema {
	for range maxDepth {
		ref, ok := s.words["$ref"].(string)
		if !ok || len(s.one)+len(s.list) > 0 || s.asserts() > 1 || len(s.named["properties"])+len(s.named["patternProperties"])+len(s.named["dependentSchemas"]) > 0 {
			return s
		}
		target := s.doc.target(ref)
		if target == nil {
			return s
		}
		s = target
	}
	return s
}

// asserts counts the keywords without subschemas that bear on values.
func (s *schema) asserts() (n int) {
	for word := range s.words {
		if among(asserting, word) {
			n++
		}
	}
	return n
}

// match finds the references that mean the same in both documents: the largest
// set of them whose targets are the same but for what they refer to.
func match(a, b *document) {
	equal := map[string]bool{}
	users := map[string][]string{} // by what they refer to
	var lost []string
	for ref := range a.refs {
		x, y, within := a.target(ref), b.target(ref), map[string]bool{}
		if x == nil || y == nil || x.text(within) != y.text(within) {
			lost = append(lost, ref)
			continue
		}
		equal[ref] = true
		for used := range within {
			users[used] = append(users[used], ref)
		}
	}
	for len(lost) > 0 {
		ref := lost[0]
		lost = lost[1:]
		for _, user := range users[ref] {
			if equal[user] {
				lost = append(lost, user)
			}
		}
		delete(equal, ref)
	}
	a.equal, b.equal = equal, equal
}

// text is the sum of what a schema asserts, its references by their words,
// which are gathered in refs.
func (s *schema) text(refs map[string]bool) [sha256.Size]byte {
	return s.hash(func(ref string) string {
		refs[ref] = true
		return ref
	}, false)
}

// trivial tells whether a schema admits every value.
func (s *schema) trivial() bool {
	return !s.never && s.asserts() == 0 && len(s.one)+len(s.list) == 0 && len(s.named["properties"])+len(s.named["patternProperties"])+len(s.named["dependentSchemas"]) == 0
}

// same tells whether two schemas assert the same in the same words.
func same(a, b *schema) bool { return a == b || a.summary() == b.summary() }

func (s *schema) summary() [sha256.Size]byte {
	if !s.summed {
		s.sum = s.hash(func(ref string) string {
			if s.doc.equal[ref] {
				return ref
			}
			return ref + " of " + s.doc.name
		}, true)
		s.summed = true
	}
	return s.sum
}

// hash sums up what a schema asserts. keep lets the sums of its parts be used.
func (s *schema) hash(refer func(string) string, keep bool) [sha256.Size]byte {
	var b bytes.Buffer
	inner := func(s *schema) {
		sum := [sha256.Size]byte{}
		if keep {
			sum = s.summary()
		} else {
			sum = s.hash(refer, false)
		}
		b.Write(sum[:])
	}
	fmt.Fprintf(&b, "%t", s.never)
	for _, word := range slices.Sorted(maps.Keys(s.words)) {
		v := s.words[word]
		if ref, ok := v.(string); ok && word == "$ref" {
			v = refer(ref)
		}
		if among(asserting, word) {
			fmt.Fprintf(&b, " %q %s", word, shown(v))
		}
	}
	for _, word := range slices.Sorted(maps.Keys(s.one)) {
		fmt.Fprintf(&b, " %q ", word)
		inner(s.one[word])
	}
	for _, word := range slices.Sorted(maps.Keys(s.list)) {
		fmt.Fprintf(&b, " %q %d ", word, len(s.list[word]))
		for _, part := range s.list[word] {
			inner(part)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(s.named)) {
		if word == "$defs" || word == "definitions" {
			continue
		}
		fmt.Fprintf(&b, " %q %d ", word, len(s.named[word]))
		for _, name := range slices.Sorted(maps.Keys(s.named[word])) {
			fmt.Fprintf(&b, "%q ", name)
			inner(s.named[word][name])
		}
	}
	return sha256.Sum256(b.Bytes())
}

// shown is a value as JSON.
func shown(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}
