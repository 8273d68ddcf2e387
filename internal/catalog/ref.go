package catalog

import (
	"fmt"
	"strings"
)

const defaultNamespace = "default"

// Ref names an entity. Its parts keep the case they were written in.
type Ref struct {
	Kind, Namespace, Name string
}

// ParseRef reads "[kind:][namespace/]name"; what is missing comes from the
// defaults. A reference without a kind is an error when there is no default.
func ParseRef(text, defaultKind, namespace string) (Ref, error) {
	r := Ref{Kind: defaultKind, Namespace: namespace}
	rest := text
	slash := strings.Index(text, "/")
	if colon := strings.Index(text, ":"); colon >= 0 && (slash < 0 || colon < slash) {
		r.Kind, rest = text[:colon], text[colon+1:]
		if r.Kind == "" {
			return Ref{}, badRef(text)
		}
	}
	r.Name = rest
	if before, after, found := strings.Cut(rest, "/"); found {
		r.Namespace, r.Name = before, after
	}
	switch {
	case r.Namespace == "" || r.Name == "":
		return Ref{}, badRef(text)
	case r.Kind == "":
		return Ref{}, fmt.Errorf("entity reference %q has no kind: write it as kind:namespace/name", text)
	}
	return r, nil
}

func badRef(text string) error {
	return fmt.Errorf("entity reference %q is not of the form [kind:][namespace/]name", text)
}

// String is the reference in its canonical, lower-case form.
func (r Ref) String() string {
	return strings.ToLower(r.Kind + ":" + r.Namespace + "/" + r.Name)
}
