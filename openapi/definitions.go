package openapi

import (
	"encoding/json"
	"fmt"
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
	s.reportCut()
	s.boundEvaluations(root)
	s.widen()
	s.inlineSingleUses()
	if s.defs.len() > 0 {
		root.set("$defs", s.defs)
	}
	s.checkHeaders(root)
	return rawJSON(root)
}

// reportCut tells what was left open because the schema is too large: the
// definitions, which come after what refers to them, and else the first place.
func (s *schemas) reportCut() {
	if len(s.cut) == 0 {
		return
	}
	var names []string
	for _, n := range s.cut {
		if name := s.names[n]; name != "" {
			names = append(names, name)
		}
	}
	what := "it is left open from here on"
	if more := len(names) - 5; more > 0 {
		names = append(names[:5], fmt.Sprintf("%d more", more))
	}
	if len(names) > 0 {
		what = "left open are the definitions " + strings.Join(names, ", ")
	}
	s.report(SeverityWarning, "schema-cut", s.cut[0],
		fmt.Sprintf("schema of the %s has more than %d parts; %s", s.side(), s.budget, what), "hide what a model does not need")
}

// side is what the schemas describe, for messages.
func (s *schemas) side() string {
	return [...]string{input: "arguments", output: "result"}[s.direction]
}

// file makes out a reference to the one schema of files that a tool has.
func (s *schemas) file(out *object) *object {
	if s.fileName == "" {
		s.fileName = s.freeName("file")
		s.taken[s.fileName] = 1
		s.defs.set(s.fileName, fileSchema())
	}
	s.uses[s.fileName] = append(s.uses[s.fileName], out.set("$ref", defsPrefix+s.fileName))
	return out
}

// fileSchema describes a file as an argument.
func fileSchema() *object {
	word := func() *object { return newObject().set("type", "string") }
	return newObject().set("anyOf", []any{
		word().set("description", "base64, or a data: URL"),
		newObject().set("type", "object").set("properties", newObject().
			set("data", word().set("contentEncoding", "base64")).
			set("text", word().set("description", "the content of a text file, instead of data")).
			set("filename", word()).set("mediaType", word())).
			set("additionalProperties", false),
	})
}

// maxInlined is how many definitions are put into one another: validators need
// the square of the depth.
const maxInlined = 16

// inlineSingleUses puts a definition that is used once where it is used:
// fewer tokens, and easier for models that follow no references. A recursive
// definition is used twice at least, so this ends.
func (s *schemas) inlineSingleUses() {
	inlined := map[string]bool{}
	depth := map[string]int{} // of each definition, by what uses it
	for _, def := range s.defs.members {
		if depth[def.key] < maxInlined && s.inline(def.key) {
			for _, used := range s.parts[def.key].refs {
				depth[used] = depth[def.key] + 1
			}
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
