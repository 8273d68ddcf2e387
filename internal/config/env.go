package config

import (
	"slices"
	"strings"
)

const envPrefix = "STAGEDOOR_"

// override is what a variable may set.
type override struct {
	path  []string
	shape *shape
}

// overrides checks the variables that override the file.
type overrides struct {
	*checker
	environ map[string]string
	targets map[string][]override
	skipped []string // prefixes of names below sections that are wrong themselves
}

// newOverrides lists the names of all variables that this file allows: the path
// in upper case, joined by _, with _ for every other character of a name.
func newOverrides(c *checker, s *shape, tree any, environ map[string]string) *overrides {
	o := &overrides{checker: c, environ: environ, targets: map[string][]override{}}
	o.list(s, tree, nil)
	return o
}

func (o *overrides) list(s *shape, tree any, path []string) {
	values, _ := tree.(map[string]any)
	switch {
	case s.kind == section && s.plain == "":
		for _, f := range s.fields {
			o.list(f.shape, values[f.key], append(slices.Clip(path), f.key))
		}
	case s.kind == named:
		if o.broken[strings.Join(path, ".")] {
			o.skipped = append(o.skipped, variable(path)+"_")
		}
		for name := range values {
			o.list(s.elem, values[name], append(slices.Clip(path), name))
		}
	default:
		o.targets[variable(path)] = append(o.targets[variable(path)], override{path, s})
	}
}

func variable(path []string) string {
	upper := strings.ToUpper(strings.Join(path, "_"))
	return envPrefix + strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, upper)
}

// transform is koanf's question what a variable sets: a path and a value, or
// nothing.
func (o *overrides) transform(name, value string) (string, any) {
	targets := o.targets[name]
	switch {
	case len(targets) == 0:
		o.unknown(name)
		return "", nil
	case len(targets) > 1:
		paths := make([]string, 0, len(targets))
		for _, t := range targets {
			paths = append(paths, strings.Join(t.path, "."))
		}
		slices.Sort(paths)
		o.wrong(name, "set it in the file", "may mean "+strings.Join(paths, " or "))
		return "", nil
	}
	path := strings.Join(targets[0].path, ".")
	parsed, p := o.parse(targets[0].shape, value)
	if p != nil {
		o.wrong(name, p.hint, p.message)
		o.breaks(path)
		return "", nil
	}
	o.note(name, path, value, targets[0].shape)
	return strings.Join(targets[0].path, delimiter), parsed
}

func (o *overrides) parse(s *shape, value string) (any, *problem) {
	switch {
	case s.kind == secret && value == "":
		return nil, &problem{"secret is empty", ""}
	case s.kind == list && s.elem.kind == text:
		items := []any{}
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items, nil
	case s.kind == list:
		return nil, &problem{"a list of sections is set in the file only", ""}
	}
	return s.parse(scalar{text: value})
}

// note remembers where a path's value now comes from.
func (o *overrides) note(name, path, value string, s *shape) {
	shown := "${" + name + "}"
	if s.kind == secret {
		shown = "[redacted]"
	}
	o.hide(value, shown)
	if s.kind == list {
		for item := range strings.SplitSeq(value, ",") {
			o.hide(strings.TrimSpace(item), shown)
		}
	}
	o.places.overrides[path] = name
}

func (o *overrides) unknown(name string) {
	for _, prefix := range o.skipped {
		if strings.HasPrefix(name, prefix) {
			return
		}
	}
	if o.fromKubernetes(name) {
		return
	}
	candidates := make([]string, 0, len(o.targets))
	for target := range o.targets {
		candidates = append(candidates, strings.TrimPrefix(target, envPrefix))
	}
	slices.Sort(candidates)
	hint := didYouMean(strings.TrimPrefix(name, envPrefix), candidates)
	if hint != "" {
		hint = strings.Replace(hint, `"`, `"`+envPrefix, 1)
	} else if strings.HasPrefix(name, envPrefix+"PLUGINS_") || strings.HasPrefix(name, envPrefix+"SERVERS_") {
		hint = "a variable changes plugins and servers that the file names; it adds none"
	}
	o.wrong(name, hint, "names no key")
}

// fromKubernetes tells whether Kubernetes set the variable because a Service
// stagedoor or stagedoor-… is in the namespace.
func (o *overrides) fromKubernetes(name string) bool {
	for _, mark := range []string{"_SERVICE_HOST", "_SERVICE_PORT", "_PORT"} {
		service, _, found := strings.Cut(name, mark)
		if found && o.environ[service+"_SERVICE_HOST"] != "" && o.environ[service+"_SERVICE_PORT"] != "" {
			return true
		}
	}
	return false
}

func (o *overrides) wrong(name, hint, message string) {
	o.issues = append(o.issues, Issue{File: environment, Path: name, Message: message, Hint: hint})
}
