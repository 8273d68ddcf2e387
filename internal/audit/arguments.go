package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/stagedoor/stagedoor/internal/secretname"
)

// What is kept of arguments.
const (
	NoArguments = "none"
	Fingerprint = "fingerprint"
	Redacted    = "redacted"
)

// fingerprintBytes are enough to tell the calls of years apart.
const fingerprintBytes = 8

// fingerprinter tells the same arguments from others, and tells nobody what
// they are: without the key, even two possible values cannot be told apart.
type fingerprinter struct{ macs, buffers sync.Pool }

func newFingerprinter(key []byte) *fingerprinter {
	return &fingerprinter{
		macs:    sync.Pool{New: func() any { return hmac.New(sha256.New, key) }},
		buffers: sync.Pool{New: func() any { return new([]byte) }},
	}
}

func (f *fingerprinter) of(arguments []byte) string {
	mac, _ := f.macs.Get().(hash.Hash)
	buffer, _ := f.buffers.Get().(*[]byte)
	defer f.macs.Put(mac)
	defer f.buffers.Put(buffer)
	form, ok := canonical((*buffer)[:0], arguments)
	if cap(form) <= maxPooled {
		*buffer = form
	}
	if !ok {
		form = arguments
	}
	mac.Reset()
	_, _ = mac.Write(form) // never fails
	var sum [sha256.Size]byte
	return hex.EncodeToString(mac.Sum(sum[:0])[:fingerprintBytes])
}

// maxPooled keeps one huge call from living in the pool for ever.
const maxPooled = 64 << 10

const (
	hidden = "[redacted]"
	cut    = "[cut]"
	// maxText and maxArguments bound what is kept of a call's arguments, in bytes:
	// of one text, and of all.
	maxText      = 256
	maxArguments = 4 << 10
	// maxSchemaDepth is how many references and unions are followed at one place.
	maxSchemaDepth = 16
)

// redact gives the arguments as JSON without the values that are, by their name
// or by the schema (writeOnly, format password), secrets, and without what is
// too long. What is no JSON is nothing.
func redact(arguments, schema []byte) string {
	var value, parsed any
	d := json.NewDecoder(bytes.NewReader(arguments))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return ""
	}
	if bytes.Contains(schema, []byte("password")) || bytes.Contains(schema, []byte("writeOnly")) {
		_ = json.Unmarshal(schema, &parsed) // without one, names tell
	}
	r := redaction{left: maxArguments - 64}
	r.root, _ = parsed.(map[string]any)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(r.value(value, []any{parsed})) != nil {
		return ""
	}
	return strings.TrimSpace(out.String())
}

// redaction is one walk over arguments beside their schema.
type redaction struct {
	root map[string]any
	left int // bytes that may yet be kept
}

// value gives what is kept of a value, of which the schemas hold.
func (r *redaction) value(v any, schemas []any) any {
	schemas = r.resolve(schemas, 0)
	if slices.ContainsFunc(schemas, isSecret) {
		return r.keep(hidden)
	}
	switch v := v.(type) {
	case map[string]any:
		r.left -= len("{},")
		return r.object(v, schemas)
	case []any:
		r.left -= len("[],")
		return r.array(v, schemas)
	case string:
		if len(v) > maxText {
			v = strings.ToValidUTF8(v[:maxText], "") + "…"
		}
		return r.keep(v)
	case json.Number:
		if len(v) > maxText {
			return r.keep(cut)
		}
		r.left -= len(v) + 1
	default:
		r.left -= len("false,")
	}
	return v
}

// keep counts a text, with what JSON may make of it, or cuts it where there is
// no more room.
func (r *redaction) keep(s string) string {
	size := len(s) + len(`"",`)
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '"' || s[i] == '\\' || s[i] >= 0x80 { // \u2028 and the like are escaped
			size += 5
		}
	}
	if size > r.left {
		s, size = cut, len(cut)+3
	}
	r.left -= size
	return s
}

func (r *redaction) object(v map[string]any, schemas []any) any {
	kept := make(map[string]any, min(len(v), 64))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if r.left <= len(name)*6+len(cut)+8 || len(name) > maxText {
			kept["…"] = cut
			r.left -= len(cut) + 8
			if r.left <= len(cut)+8 {
				break
			}
			continue
		}
		r.left -= len(name)*6 + len(`"":,`)
		if secretname.Is(name) {
			kept[name] = r.keep(hidden)
			continue
		}
		kept[name] = r.value(v[name], properties(schemas, name))
	}
	return kept
}

func (r *redaction) array(v []any, schemas []any) any {
	kept := make([]any, 0, min(len(v), 64))
	for i, item := range v {
		if r.left <= len(cut)+8 {
			return append(kept, cut)
		}
		kept = append(kept, r.value(item, items(schemas, i)))
	}
	return kept
}

// resolve adds what references and unions of schemas lead to.
func (r *redaction) resolve(schemas []any, depth int) (all []any) {
	for _, s := range schemas {
		schema, ok := s.(map[string]any)
		if !ok {
			continue
		}
		all = append(all, s)
		if depth == maxSchemaDepth {
			continue
		}
		if ref, ok := schema["$ref"].(string); ok {
			all = append(all, r.resolve([]any{r.definition(ref)}, depth+1)...)
		}
		for _, key := range []string{"allOf", "anyOf", "oneOf"} {
			if union, ok := schema[key].([]any); ok {
				all = append(all, r.resolve(union, depth+1)...)
			}
		}
	}
	return all
}

// definition is what "#/$defs/name" names: the only references that input
// schemas have.
func (r *redaction) definition(ref string) any {
	name, ok := strings.CutPrefix(ref, "#/$defs/")
	if !ok {
		return nil
	}
	definitions, _ := r.root["$defs"].(map[string]any)
	return definitions[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
}

func isSecret(s any) bool {
	schema, _ := s.(map[string]any)
	return schema["writeOnly"] == true || schema["format"] == "password"
}

// properties are the schemas of a member.
func properties(schemas []any, name string) (of []any) {
	for _, s := range schemas {
		schema, _ := s.(map[string]any)
		named, _ := schema["properties"].(map[string]any)
		of = append(of, named[name], schema["additionalProperties"])
		patterns, _ := schema["patternProperties"].(map[string]any)
		for pattern, s := range patterns {
			if is, err := regexp.MatchString(pattern, name); is || err != nil {
				of = append(of, s)
			}
		}
	}
	return of
}

// items are the schemas of an item.
func items(schemas []any, i int) (of []any) {
	for _, s := range schemas {
		schema, _ := s.(map[string]any)
		if first, _ := schema["prefixItems"].([]any); i < len(first) {
			of = append(of, first[i])
		}
		of = append(of, schema["items"])
	}
	return of
}
