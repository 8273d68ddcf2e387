package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
)

// kind is what a value may be in YAML.
type kind int

const (
	text kind = iota
	boolean
	integer
	size
	duration
	secret
	anyScalar // a string, number or boolean
	list
	named   // a mapping of names that the operator chooses
	section // a mapping with known keys
)

// shape is one type of the table that checks, decodes and documents the file.
type shape struct {
	kind   kind
	goType string   // of a section: its name in the JSON Schema
	fields []field  // of a section
	plain  string   // of a section: the key that a plain string stands for
	one    bool     // of a list: its only item may stand in its place, if it is a plain string
	elem   *shape   // of a list or named
	names  string   // of named: the pattern of the names
	enum   []string // of text
	more   string   // of a number, size or duration that cannot be 0: its default
}

// field is one key of a section.
type field struct {
	key   string
	doc   string
	def   string // the default as it would be written, "" when there is none
	shape *shape
}

// table derives the shapes from the tags and the defaults of gateway.Config.
func table() *shape { return shapeOf(reflect.ValueOf(gateway.DefaultConfig())) }

func shapeOf(v reflect.Value) *shape {
	switch v.Interface().(type) {
	case gateway.Secret:
		return &shape{kind: secret}
	case gateway.Size:
		return &shape{kind: size}
	case time.Duration:
		return &shape{kind: duration}
	case gateway.Scalar:
		return &shape{kind: anyScalar}
	}
	switch t := v.Type(); t.Kind() {
	case reflect.Pointer:
		return shapeOf(reflect.Zero(t.Elem()))
	case reflect.Bool:
		return &shape{kind: boolean}
	case reflect.Int, reflect.Int64:
		return &shape{kind: integer}
	case reflect.Slice:
		return &shape{kind: list, elem: shapeOf(defaultOf(t.Elem())), one: t.Elem() == reflect.TypeFor[gateway.Verifier]()}
	case reflect.Map:
		return &shape{kind: named, elem: shapeOf(defaultOf(t.Elem()))}
	case reflect.Struct:
		return sectionOf(v)
	default:
		return &shape{kind: text}
	}
}

func sectionOf(v reflect.Value) *shape {
	t := v.Type()
	s := &shape{kind: section, goType: t.Name()}
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		key := tag.Get("koanf")
		if key == "" || key == "-" {
			continue
		}
		f := field{key: key, doc: tag.Get("doc"), def: written(v.Field(i)), shape: shapeOf(v.Field(i))}
		f.shape.names = tag.Get("names")
		if f.def != "" && slices.Contains([]kind{integer, size, duration}, f.shape.kind) {
			f.shape.more = f.def // 0 is what a Go program leaves unset, so it cannot mean anything here
		}
		if enum := tag.Get("enum"); enum != "" {
			of := f.shape
			if of.kind == list {
				of = of.elem
			}
			of.enum = strings.Split(enum, ",")
		}
		if tag.Get("plain") == "true" {
			s.plain = key
		}
		s.fields = append(s.fields, f)
	}
	return s
}

// defaultOf is what holds where an entry of a map or a list says nothing.
func defaultOf(t reflect.Type) reflect.Value {
	switch reflect.Zero(t).Interface().(type) {
	case gateway.Plugin:
		return reflect.ValueOf(gateway.DefaultPlugin())
	case gateway.Publisher:
		return reflect.ValueOf(gateway.DefaultPublisher())
	case gateway.Server:
		return reflect.ValueOf(gateway.DefaultServer())
	}
	return reflect.Zero(t)
}

// written is a default as it would stand in YAML.
func written(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	switch d := v.Interface().(type) {
	case gateway.Secret:
		plain, _ := d.Reveal() // a default that is in the source is no secret
		return plain
	case time.Duration:
		return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String())
	case fmt.Stringer:
		return d.String()
	case bool:
		return strconv.FormatBool(d)
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	}
	return ""
}

// child is the field of a section with this key.
func (s *shape) child(key string) (field, bool) {
	for _, f := range s.fields {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

func (s *shape) keys() []string {
	keys := make([]string, 0, len(s.fields))
	for _, f := range s.fields {
		keys = append(keys, f.key)
	}
	return keys
}
