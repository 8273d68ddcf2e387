package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// known is something that is known to fail, and why.
type known struct {
	suite, scenario, check string // an empty check: the whole scenario
	reason                 string
	line                   int
}

func (k known) covers(r result, c check) bool {
	return k.suite == r.suite && k.scenario == r.scenario && (k.check == "" || k.check == c.ID)
}

// readKnown reads lines of suite, scenario[:check] and reason; empty ones and
// those with # are left out. An empty path is an empty file.
func readKnown(path string) ([]known, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	line := regexp.MustCompile(`^(\S+)\s+([^\s:]+)(?::(\S+))?\s+(\S.*)$`)
	var all []known
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		m := line.FindStringSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("%s:%d: line has no suite, scenario[:check] and reason", path, n)
		}
		all = append(all, known{m[1], m[2], m[3], m[4], n})
	}
	return all, lines.Err()
}

// report has a line for each scenario. It is an error when something unknown
// fails, or something known does not.
func report(results []result, all []known) (string, error) {
	var b strings.Builder
	unknown, stale, used := 0, 0, map[int]bool{}
	for i, r := range results {
		if i == 0 || results[i-1].suite != r.suite {
			fmt.Fprintf(&b, "\n%s: %s\n", r.suite, tally(results, r.suite))
		}
		word, details := "pass", ""
		for _, c := range slices.DeleteFunc(slices.Clone(r.checks), func(c check) bool { return !c.bad() }) {
			word = "FAIL"
			at := slices.IndexFunc(all, func(k known) bool { return k.covers(r, c) })
			if at < 0 {
				unknown++
				details += fmt.Sprintf("      %s: %s: %s\n", strings.ToLower(c.Status), c.ID, c.Error)
				continue
			}
			used[all[at].line] = true
			details += fmt.Sprintf("      known: %s: %s\n", c.ID, all[at].reason)
		}
		if !r.scored {
			word += ", not scored"
		}
		fmt.Fprintf(&b, "  %-45s %s\n%s", r.scenario, word, details)
	}
	for _, k := range all {
		if !used[k.line] {
			stale++
			fmt.Fprintf(&b, "\nline %d of what is known to fail passes: %s %s %s\n", k.line, k.suite, k.scenario, k.check)
		}
	}
	if unknown+stale > 0 {
		return b.String(), fmt.Errorf("%d checks fail, and %d that are known to fail pass", unknown, stale)
	}
	return b.String(), nil
}

// tally counts the scenarios of a suite.
func tally(results []result, suite string) string {
	var passed, scored, others, othersPassed int
	for _, r := range results {
		if r.suite != suite {
			continue
		}
		good := 0
		if !slices.ContainsFunc(r.checks, check.bad) {
			good = 1
		}
		if r.scored {
			scored, passed = scored+1, passed+good
		} else {
			others, othersPassed = others+1, othersPassed+good
		}
	}
	return fmt.Sprintf("%d of %d scored scenarios pass; %d of %d others", passed, scored, othersPassed, others)
}
