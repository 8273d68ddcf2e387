package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// The patterns of sizes and durations are the JSON Schema's, too.
const (
	sizePattern     = `^[0-9]+ ?(B|KiB|MiB|GiB)?$`
	durationPattern = `^(0|-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`
)

// scalar is one value as it was written.
type scalar struct {
	text  string
	shown string // how messages show it, "" when they must not
	tag   string // its YAML type; "" when it comes from the environment and may be any
}

// got ends a message that says what was expected.
func (v scalar) got() string {
	switch {
	case v.shown == "":
		return ""
	case v.tag == "!!int" || v.tag == "!!float":
		return ", got the number " + short(v.shown)
	case v.tag == "!!bool":
		return ", got " + short(v.shown)
	}
	return ", got " + strconv.Quote(short(v.shown))
}

func short(s string) string { return clip(s, 60) }

func clip(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

func (v scalar) is(tag string) bool { return v.tag == tag || v.tag == "" }

// parse reads a value that has no parts. What it gives is plain: the decoder's
// hooks make durations and sizes of it.
func (s *shape) parse(v scalar) (any, *problem) {
	parsed, p := s.read(v)
	if p == nil && s.more != "" && !strings.ContainsAny(v.text, "123456789") {
		return nil, &problem{"has to be more than 0", "leave it out for the default, " + s.more}
	}
	return parsed, p
}

func (s *shape) read(v scalar) (any, *problem) {
	switch s.kind {
	case boolean:
		if v.is("!!bool") && (strings.EqualFold(v.text, "true") || strings.EqualFold(v.text, "false")) {
			return strings.EqualFold(v.text, "true"), nil
		}
		return nil, &problem{"expected true or false" + v.got(), ""}
	case integer:
		if n, err := strconv.ParseInt(v.text, 10, 64); err == nil && v.is("!!int") {
			return n, nil
		}
		return nil, &problem{"expected an integer" + v.got(), ""}
	case size:
		if _, err := gateway.ParseSize(v.text); err == nil && regexp.MustCompile(sizePattern).MatchString(v.text) {
			return v.text, nil
		}
		return nil, &problem{"expected a size like 1MiB" + v.got(), "a number of bytes, or one with B, KiB, MiB or GiB"}
	case duration:
		return v.duration()
	case anyScalar:
		return v.text, nil
	}
	return s.string(v)
}

func (v scalar) duration() (any, *problem) {
	if _, err := time.ParseDuration(v.text); err == nil && regexp.MustCompile(durationPattern).MatchString(v.text) {
		return v.text, nil
	}
	p := &problem{"expected a duration like 30s" + v.got(), ""}
	if _, err := strconv.ParseFloat(v.text, 64); err == nil && v.shown != "" {
		p.hint = "with a unit: " + short(v.shown) + "s, " + short(v.shown) + "m or " + short(v.shown) + "h"
	}
	return nil, p
}

// longestWord is the longest text that is said back where one of a few words is
// expected, as at auth: longer ones are tokens that belong somewhere else.
const longestWord = 15

func (s *shape) string(v scalar) (any, *problem) {
	if !v.is("!!str") && s.enum == nil {
		return nil, &problem{"expected a string" + v.got(), "in quotes: " + strconv.Quote(short(v.shown))}
	}
	if s.enum != nil && !slices.Contains(s.enum, v.text) {
		expected := "expected one of "
		if len(s.enum) == 1 {
			expected = "expected "
		}
		got := v.got()
		if len(v.text) > longestWord {
			got = fmt.Sprintf(", got %d characters", len(v.text))
		}
		return nil, &problem{expected + strings.Join(s.enum, ", ") + got, s.meant(v)}
	}
	return v.text, nil
}

// meant is a hint at the value of the enum that was meant. What one file calls
// on is true or yes in another.
func (s *shape) meant(v scalar) string {
	switches := map[string]string{"true": "on", "yes": "on", "false": "off", "no": "off"}
	if word := switches[strings.ToLower(v.shown)]; slices.Contains(s.enum, word) {
		return didYouMean(word, s.enum)
	}
	return didYouMean(v.shown, s.enum)
}

func didYouMean(name string, candidates []string) string {
	if c := suggest.Closest(name, candidates); c != "" && name != "" {
		return fmt.Sprintf("did you mean %q?", c)
	}
	return ""
}

// noun is what a message expects.
func (s *shape) noun() string {
	switch s.kind {
	case boolean:
		return "true or false"
	case integer:
		return "an integer"
	case size:
		return "a size"
	case duration:
		return "a duration"
	case secret:
		return "a secret"
	case anyScalar:
		return "a string, number or boolean"
	case list:
		return "a list"
	case named, section:
		if s.plain != "" {
			return "a mapping or a string"
		}
		return "a mapping"
	}
	return "a string"
}
