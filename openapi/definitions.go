package openapi

import (
	"encoding/json"
	"slices"
	"strings"
)

// defsPrefix is where the definitions of a tool's schema are.
const defsPrefix = "#/$defs/"

// finish adds the definitions that root needs and gives it as JSON.
func (s *schemas) finish(root *object) json.RawMessage {
	for len(s.queue) > 0 {
		n := s.queue[0]
		s.queue = s.queue[1:]
		before := s.mark()
		s.defs.set(s.names[n], s.translate(n))
		s.parts[s.names[n]] = s.since(before)
	}
	s.widen()
	s.inlineSingleUses()
	if s.defs.len() > 0 {
		root.set("$defs", s.defs)
	}
	return rawJSON(root)
}

// inlineSingleUses puts a definition that is used once where it is used:
// fewer tokens, and easier for models that follow no references. A recursive
// definition is used twice at least, so this ends.
func (s *schemas) inlineSingleUses() {
	inlined := map[string]bool{}
	for _, def := range s.defs.members {
		if s.inline(def.key) {
			inlined[def.key] = true
		}
	}
	s.defs.deleteFunc(func(name string) bool { return inlined[name] })
}

func (s *schemas) inline(name string) bool {
	def, isObject := s.defs.get(name).(*object)
	uses := s.uses[name]
	if !isObject || len(uses) != 1 {
		return false
	}
	use := uses[0]
	if slices.ContainsFunc(use.members, func(m entry) bool { return m.key != "$ref" && !isAnnotation(m.key) }) {
		return false
	}
	own := use.members
	*use = *def.clone()
	for _, m := range own {
		if m.key != "$ref" {
			use.set(m.key, m.value)
		}
	}
	// References inside moved along with the members. Only def itself may be one.
	if target, ok := def.get("$ref").(string); ok {
		uses := s.uses[strings.TrimPrefix(target, defsPrefix)]
		if i := slices.Index(uses, def); i >= 0 {
			uses[i] = use
		}
	}
	return true
}

// forget takes back the uses of definitions in a part that is left out.
func (s *schemas) forget(v any) {
	switch v := v.(type) {
	case []any:
		for _, c := range v {
			s.forget(c)
		}
	case *object:
		if ref, ok := v.get("$ref").(string); ok {
			name := strings.TrimPrefix(ref, defsPrefix)
			s.uses[name] = slices.DeleteFunc(s.uses[name], func(u *object) bool { return u == v })
		}
		for _, m := range v.members {
			s.forget(m.value)
		}
	}
}

// dropUnused takes out the definitions that nothing uses any more.
func (s *schemas) dropUnused() {
	for again := true; again; {
		again = false
		for _, def := range slices.Clone(s.defs.members) {
			if len(s.uses[def.key]) == 0 {
				s.forget(def.value)
				s.defs.delete(def.key)
				again = true
			}
		}
	}
}
