package config

import (
	"path/filepath"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/gateway"
)

// File is a config that was read from a file.
type File struct {
	Config gateway.Config
	locate func(gateway.Faults) Issues // a closure: what it knows of secrets cannot be printed
}

// Load reads, checks and resolves the YAML file at path. environ ("NAME=value",
// as of os.Environ) gives ${NAME}, {env: NAME} and the STAGEDOOR_ overrides.
// Relative paths in the file are relative to its folder. An error is [Issues]:
// all faults, sorted by place. Beside it there may still be a File, of what is
// right in the file: not to be run, but to find what else is wrong; see
// [File.Locate].
func Load(path string, environ []string) (*File, error) {
	data, issue := read(path)
	if issue != nil {
		return nil, Issues{*issue}
	}
	root, issue := parse(path, data)
	if issue != nil {
		return nil, Issues{*issue}
	}
	file, issues := load(path, data, root, environ)
	if len(issues) > 0 {
		return file, issues
	}
	return file, nil
}

func load(path string, data []byte, root *yaml.Node, environ []string) (*File, Issues) {
	variables := map[string]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		variables[name] = value
	}
	c := &checker{places: newPlaces(path), lookup: func(name string) string { return variables[name] }, clear: map[*yaml.Node]bool{}, broken: map[string]bool{}, around: map[string]bool{}}
	c.at[""] = position{root.Line, root.Column}
	shape := table()
	tree, _ := c.section(root, shape, "")
	c.source = newSource(data, root, c.clear)
	values, _ := tree.(map[string]any)
	cfg, err := decode(values, newOverrides(c, shape, tree, variables), filepath.Dir(path))
	if err != nil {
		c.report(root, "", "please report this", "%v", c.masked(err.Error()))
		return nil, c.issues.sorted()
	}
	for _, f := range cfg.Validate() {
		if !c.follows(f) {
			c.issues = append(c.issues, c.locate(f))
		}
	}
	found := c.sourced(c.issues)
	return &File{Config: cfg, locate: func(faults gateway.Faults) Issues { return c.join(found, faults) }}, found
}

// join adds faults to the issues that are known.
func (c *checker) join(known Issues, faults gateway.Faults) Issues {
	all := slices.Clone(known)
	for _, f := range faults {
		issue := c.locate(f)
		same := func(i Issue) bool { return i.Path == issue.Path && i.Message == issue.Message }
		if !c.follows(f) && !slices.ContainsFunc(all, same) {
			all = append(all, issue)
		}
	}
	return c.sourced(all)
}

// follows tells whether a fault comes from one that is already reported: it is
// inside of what is wrong, or it misses what is wrong inside of it.
func (c *checker) follows(f gateway.Fault) bool {
	for path := f.Path; path != ""; path = parent(path) {
		if c.broken[path] {
			return true
		}
	}
	if c.around[f.Path] && !isNameFault(f) {
		return true
	}
	return c.broken["plugins"] && strings.HasSuffix(f.Path, ".plugin")
}

// isNameFault tells whether a fault is about the name of an entry, which has
// nothing to do with what is inside of it.
func isNameFault(f gateway.Fault) bool { return strings.Contains(f.Message, " does not match ^") }

// Locate gives the faults that show only when the gateway is built (an
// allowlist entry that matches no action, two tools of one name, a document
// that cannot be read) their place in the file, and gives them together with
// those that Load found. What only follows from these is left out.
func (f *File) Locate(faults gateway.Faults) Issues { return f.locate(faults) }
