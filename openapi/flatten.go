package openapi

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// flattener gathers the members of an object schema whose meaning is just that
// of its members taken one by one.
type flattener struct {
	*reader
	members  []member
	position map[string]int // of each of them, by name
	required map[string]bool
	names    []string // those in required, in order
	parts    int
	listing  int // parts that list members
	closed   bool
}

type member struct {
	name    string
	schemas []*yaml.Node
}

// flat gathers a schema's members; false when they are not all of its meaning.
func (f *flattener) flat(n *yaml.Node) bool {
	f.required, f.position = map[string]bool{}, map[string]int{}
	if !f.plain(n, 0) || f.closed && f.listing > 1 { // a closed part refuses the members of the others
		return false
	}
	hidden := f.schemas(input).otherWay(n)
	for _, name := range f.names {
		if _, described := f.position[name]; !described {
			f.members = append(f.members, member{name: name}) // required, but described nowhere
		}
	}
	f.members = slices.DeleteFunc(f.members, func(m member) bool { return hidden[m.name] })
	return len(f.members) > 0
}

// plain tells whether a schema says nothing but which members there are. allOf
// of plain schemas is plain; choices, maps and discriminators are not.
func (f *flattener) plain(n *yaml.Node, depth int) bool {
	if f.parts++; f.parts > 200 || depth > 16 || !isMapping(n) {
		return false
	}
	if ref := get(n, "$ref"); ref != nil {
		target, _, _ := f.target(ref)
		if target == nil || !f.plain(target, depth+1) {
			return false
		}
		if f.dialect == dialect30 {
			return true
		}
	}
	if get(n, "properties") != nil || get(n, "additionalProperties") != nil {
		f.listing++
	}
	for k, v := range pairs(n) {
		if !f.keyword(k.Value, v, depth) {
			return false
		}
	}
	return !f.nullable(n)
}

// keyword takes in one keyword; false when it says more than members.
func (f *flattener) keyword(name string, v *yaml.Node, depth int) bool {
	switch name {
	case "$ref":
	case "allOf":
		for _, part := range items(v) {
			if !f.plain(part, depth+1) {
				return false
			}
		}
	case "type":
		return v.Value == "object"
	case "additionalProperties":
		f.closed = true
		return isBool(v) && !isTrue(v)
	case "properties":
		f.properties(v)
	case "required":
		for _, c := range items(v) {
			if !f.required[c.Value] {
				f.required[c.Value], f.names = true, append(f.names, c.Value)
			}
		}
	case "nullable": // plain looks at it
	case "readOnly", "writeOnly":
		return !isTrue(v)
	case "title", "description", "example", "examples", "default", "deprecated", "externalDocs", "xml", "format", "$schema", "$comment", "$id", "$anchor":
	default:
		return strings.HasPrefix(name, "x-")
	}
	return true
}

func (f *flattener) properties(n *yaml.Node) {
	for k, v := range pairs(n) {
		i, known := f.position[k.Value]
		if !known {
			f.position[k.Value] = len(f.members)
			f.members = append(f.members, member{k.Value, []*yaml.Node{v}})
		} else if !slices.Contains(f.members[i].schemas, v) {
			f.members[i].schemas = append(f.members[i].schemas, v)
		}
	}
}
