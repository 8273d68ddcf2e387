package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// shape is what a field of spec has to be.
type shape int

const (
	aText    shape = iota // a non-empty string
	aRef                  // a string that is an entity reference
	aKindRef              // one that names its kind
	refs                  // a list of references
	kindRefs              // a list of references that name their kind
	aList                 // any list
	texted                // a list of non-empty strings
	aObject               // an object
)

type specField struct {
	name     string
	is       shape
	required bool
}

// item is what the items of a list have to be; false where they may be
// anything.
func (s shape) item() (shape, bool) {
	switch s {
	case refs:
		return aRef, true
	case kindRefs:
		return aKindRef, true
	case texted:
		return aText, true
	}
	return 0, false
}

const (
	required = true
	optional = false
)

// specFields are the fields of spec that the catalog knows, for each kind; false for a kind
// that it does not know. Others may stand beside them.
func specFields(kind string) ([]specField, bool) {
	owner := specField{"owner", aRef, required}
	kindOf := specField{"type", aText, required}
	lifecycle := specField{"lifecycle", aText, required}
	system := specField{"system", aRef, optional}
	dependsOn := specField{"dependsOn", kindRefs, optional}
	dependencyOf := specField{"dependencyOf", kindRefs, optional}
	profile := specField{"profile", aObject, optional}
	switch kind {
	case "Component":
		return []specField{kindOf, lifecycle, owner, system, {"subcomponentOf", aRef, optional},
			{"providesApis", refs, optional}, {"consumesApis", refs, optional}, dependsOn, dependencyOf}, true
	case "API":
		return []specField{kindOf, lifecycle, owner, {"definition", aText, required}, system}, true
	case "Resource":
		return []specField{kindOf, owner, system, dependsOn, dependencyOf}, true
	case "System":
		return []specField{owner, {"domain", aRef, optional}, {"type", aText, optional}}, true
	case "Domain":
		return []specField{owner, {"subdomainOf", aRef, optional}, {"type", aText, optional}}, true
	case "Group":
		return []specField{kindOf, {"children", refs, required}, {"parent", aRef, optional}, {"members", refs, optional}, profile}, true
	case "User":
		return []specField{{"memberOf", refs, required}, profile}, true
	case "Location":
		return []specField{{"type", aText, optional}, {"target", aText, optional}, {"targets", texted, optional}, {"presence", aText, optional}}, true
	case "Template":
		return []specField{kindOf, {"steps", aList, required}, {"owner", aRef, optional}}, true
	}
	return nil, false
}

func kindNames() []string {
	return []string{"Component", "API", "Resource", "System", "Domain", "Group", "User", "Location", "Template"}
}

func versionsOf(kind string) []string {
	if kind == "Template" {
		return []string{"scaffolder.backstage.io/v1beta3", "backstage.io/v1beta2"}
	}
	return []string{"backstage.io/v1alpha1", "backstage.io/v1beta1"}
}

// kind checks apiVersion, kind and spec together.
func (v *validator) kind(entity map[string]any) {
	kind, version := text(entity, "kind"), text(entity, "apiVersion")
	fields, known := specFields(kind)
	if !known {
		if isKind(kind) {
			v.add("kind %q is not known: expected one of %s", shorten(kind), strings.Join(kindNames(), ", "))
		}
		return
	}
	if versions := versionsOf(kind); isAPIVersion(version) && !slices.Contains(versions, version) {
		v.add("apiVersion %q is not known for kind %s: expected %s", shorten(version), kind, strings.Join(versions, " or "))
	}
	spec, ok := entity["spec"].(map[string]any)
	if !ok {
		v.add("spec must be an object")
		return
	}
	for _, f := range fields {
		v.specField(spec, f)
	}
	if p := text(spec, "presence"); kind == "Location" && p != "" && p != "required" && p != "optional" {
		v.add(`spec.presence must be "required" or "optional"`)
	}
	if profile := object(spec, "profile"); profile != nil {
		for _, key := range []string{"displayName", "email", "picture"} {
			v.optional(profile, "spec.profile.", key, isNotBlank, "text")
		}
	}
}

func (v *validator) specField(spec map[string]any, f specField) {
	value, there := spec[f.name]
	path := "spec." + f.name
	if !there || value == nil {
		if f.required {
			v.add("%s is missing", path)
		}
		return
	}
	switch f.is {
	case aText, aRef:
		v.one(path, value, f.is)
	case aObject:
		if _, ok := value.(map[string]any); !ok {
			v.add("%s must be an object, not %s", path, typeName(value))
		}
	case refs, kindRefs, aList, texted:
		for i, item := range v.list(spec, "spec.", f.name) {
			if of, ok := f.is.item(); ok {
				v.one(fmt.Sprintf("%s.%d", path, i), item, of)
			}
		}
	}
}

func (v *validator) one(path string, value any, is shape) {
	s, ok := value.(string)
	switch {
	case !ok:
		v.add("%s must be text, not %s", path, typeName(value))
	case s == "":
		v.add("%s must not be empty", path)
	case is == aRef, is == aKindRef:
		kind := "any"
		if is == aKindRef {
			kind = ""
		}
		if _, err := ParseRef(s, kind, defaultNamespace); err != nil {
			v.add("%s: %v", path, err)
		}
	}
}
