package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
)

func TestInterpolate(t *testing.T) {
	variables := map[string]string{"A": "a", "EMPTY": "", "NESTED": "${A} $$"}
	lookup := func(name string) string { return variables[name] }
	for _, tt := range []struct{ in, want, problem string }{
		{"", "", ""},
		{"plain", "plain", ""},
		{"${A}", "a", ""},
		{"x${A}y${A}z", "xayaz", ""},
		{"$$", "$", ""},
		{"$${A}", "${A}", ""},
		{"$$${A}", "$a", ""},
		{"$A $ $", "$A $ $", ""},
		{"${B:-b}", "b", ""},
		{"${B:-}", "", ""},
		{"${EMPTY:-b}", "b", ""},
		{"${B:-a:-b}", "a:-b", ""},
		{"${B:-$$}", "$$", ""},
		{"${NESTED}", "${A} $$", ""},
		{"${B}", "", "environment variable B is not set"},
		{"${EMPTY}", "", "environment variable EMPTY is not set"},
		{"${A", "", "${ without }"},
		{"${}", "", "is not a reference"},
		{"${1A}", "", "is not a reference"},
		{"${A:b}", "", "is not a reference"},
		{"${A-b}", "", "is not a reference"},
	} {
		got, _, problems := interpolate(tt.in, lookup)
		if tt.problem != "" {
			if len(problems) != 1 || !strings.Contains(problems[0].message, tt.problem) {
				t.Errorf("%q: expected %q, got %v", tt.in, tt.problem, problems)
			}
			continue
		}
		if got != tt.want || problems != nil {
			t.Errorf("%q: expected %q, got %q, %v", tt.in, tt.want, got, problems)
		}
	}
}

func TestParseScalars(t *testing.T) {
	type all struct {
		Whole  int           `koanf:"whole"`
		Flag   bool          `koanf:"flag"`
		Wait   time.Duration `koanf:"wait"`
		Bytes  gateway.Size  `koanf:"bytes"`
		Choice string        `koanf:"choice" enum:"one,two"`
	}
	s := shapeOf(reflect.ValueOf(all{}))
	for _, tt := range []struct{ key, text, tag, want string }{
		{"whole", "5", "!!int", ""},
		{"whole", "5", "", ""},
		{"whole", "5", "!!str", `expected an integer, got "5"`},
		{"whole", "lots", "!!str", `expected an integer, got "lots"`},
		{"whole", "5.5", "!!float", "expected an integer, got the number 5.5"},
		{"whole", "99999999999999999999", "!!int", "expected an integer, got the number 99999999999999999999"},
		{"flag", "True", "!!bool", ""},
		{"flag", "true", "", ""},
		{"flag", "yes", "!!str", `expected true or false, got "yes"`},
		{"wait", "1h30m", "!!str", ""},
		{"wait", "0", "!!int", ""},
		{"wait", "1e9", "!!float", "expected a duration like 30s, got the number 1e9"},
		{"wait", "9999999999h", "!!str", `expected a duration like 30s, got "9999999999h"`},
		{"bytes", "9223372036854775807GiB", "!!str", `expected a size like 1MiB, got "9223372036854775807GiB"`},
		{"bytes", "1 KiB", "!!str", ""},
		{"choice", "two", "!!str", ""},
		{"choice", "twoo", "!!str", `expected one of one, two, got "twoo"`},
		{"choice", "", "!!str", "expected one of one, two"},
	} {
		f, _ := s.child(tt.key)
		_, p := f.shape.parse(scalar{text: tt.text, shown: tt.text, tag: tt.tag})
		got := ""
		if p != nil {
			got = p.message
		}
		if got != tt.want {
			t.Errorf("%s: %s: expected %q, got %q", tt.key, tt.text, tt.want, got)
		}
	}
}

func TestWrittenDefaults(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * time.Second: "30s", 24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 70 * time.Second: "1m10s", 10 * time.Second: "10s",
	} {
		if got := written(reflect.ValueOf(d)); got != want {
			t.Errorf("expected %s, got %s", want, got)
		}
	}
}

func TestMasked(t *testing.T) {
	p := newPlaces("config.yaml")
	p.hide("a", "${SHORT}")
	p.hide("secret\nline", "${LINES}")
	p.hide("secret", "${SECRET}")
	p.hide("", "${EMPTY}")
	for in, want := range map[string]string{
		`a cat has "a" hat`:      `a cat has "${SHORT}" hat`,
		"got secret":             "got ${SECRET}",
		`got "secret\nline" now`: `got "${LINES}" now`,
		"got secret\nline":       "got ${LINES}",
	} {
		if got := p.masked(in); got != want {
			t.Errorf("%s: expected %s, got %s", in, want, got)
		}
	}
}
