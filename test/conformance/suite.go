package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// suite is one way to run one release of the conformance suite.
type suite struct {
	name         string
	module       string // below node_modules
	arguments    []string
	requirements string // the file that says what is scored; none: everything is
}

// result is what came of one scenario.
type result struct {
	suite, scenario string
	scored          bool
	checks          []check
}

// check is an entry of a scenario's checks.json.
type check struct {
	ID     string `json:"id"`
	Status string `json:"status"` // SUCCESS, FAILURE, WARNING, SKIPPED or INFO
	Error  string `json:"errorMessage"`
}

func (c check) bad() bool { return c.Status == "FAILURE" || c.Status == "WARNING" }

// allSuites: both revisions that the newest release has requirements for, and
// the newest stable release.
func allSuites() []suite {
	const newest = "@modelcontextprotocol/conformance"
	return []suite{
		{"2025-11-25", newest, []string{"--requirements", "2025-11-25"}, "requirements/2025-11-25.yaml"},
		{"2026-07-28", newest, []string{"--requirements", "2026-07-28"}, "requirements/2026-07-28.yaml"},
		{"stable", "conformance-stable", []string{"--suite", "active"}, ""},
	}
}

// run runs the suite against the MCP endpoint at url. Its own exit code says
// less than the checks that it writes into output.
func (s suite) run(ctx context.Context, dir, url, output string) ([]result, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	module := filepath.Join(dir, "node_modules", filepath.FromSlash(s.module))
	node := filepath.Join(dir, "node_modules", "node", "bin", "node")
	args := append([]string{filepath.Join(module, "dist", "index.js"), "server", "--url", url, "--output-dir", output}, s.arguments...)
	said, err := exec.CommandContext(ctx, node, args...).CombinedOutput() //nolint:gosec // what npm installed
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w\n%.4000s", s.name, errors.Join(err, ctx.Err()), said)
	}
	results, err := s.read(output)
	if err == nil && len(results) == 0 {
		err = fmt.Errorf("%s: no scenario ran\n%.4000s", s.name, said)
	}
	if err != nil || s.requirements == "" {
		return results, err
	}
	return results, score(results, filepath.Join(module, filepath.FromSlash(s.requirements)))
}

// read reads what the suite wrote: a folder for each scenario, with the time in
// its name.
func (s suite) read(output string) ([]result, error) {
	files, err := filepath.Glob(filepath.Join(output, "*", "checks.json"))
	if err != nil {
		return nil, err
	}
	timestamp := regexp.MustCompile(`-\d{4}-\d\d-\d\dT[\d-]+Z$`)
	var results []result
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		scenario := timestamp.ReplaceAllString(filepath.Base(filepath.Dir(file)), "")
		r := result{suite: s.name, scenario: strings.TrimPrefix(scenario, "server-"), scored: s.requirements == ""}
		if err := json.Unmarshal(data, &r.checks); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		results = append(results, r)
	}
	slices.SortFunc(results, func(a, b result) int { return cmp.Compare(a.scenario, b.scenario) })
	return results, nil
}

// score marks the results that a revision's requirements count. One that they
// count and that did not run is an error.
func score(results []result, requirements string) error {
	data, err := os.ReadFile(requirements)
	if err != nil {
		return err
	}
	var required struct{ Server []string }
	if err := yaml.Unmarshal(data, &required); err != nil {
		return fmt.Errorf("%s: %w", requirements, err)
	}
	for _, scenario := range required.Server {
		i := slices.IndexFunc(results, func(r result) bool { return r.scenario == scenario })
		if i < 0 {
			return fmt.Errorf("%s asks for %s, which did not run", filepath.Base(requirements), scenario)
		}
		results[i].scored = true
	}
	return nil
}
