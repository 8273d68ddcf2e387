package excerpt

import (
	"bytes"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	for name, tt := range map[string]struct{ before, after, want string }{
		"plain":     {"a: ", "b", "  7 | a: b\n    |    ^\n"},
		"first":     {"", "b", "  7 | b\n    | ^\n"},
		"end":       {"ab", "", "  7 | ab\n    |   ^\n"},
		"tab":       {"\ta\t", "b", "  7 | \ta\tb\n    | \t \t^\n"},
		"wide":      {"世界🎉 ", "b", "  7 | 世界🎉 b\n    |        ^\n"},
		"combining": {"e\u0301 ", "b", "  7 | e\u0301 b\n    |   ^\n"},
		"escapes":   {"\x1b[31m\u202e", "b\r", "  7 | \\x1b[31m\\u202eb\n    |               ^\n"},
		"not utf-8": {"\xff", "b", "  7 | �b\n    |  ^\n"},
		"long": {strings.Repeat("x", 1_000_000), strings.Repeat("y", 1_000_000), "  7 | …" + strings.Repeat("x", 40) + strings.Repeat("y", 60) + "…\n" +
			"    | " + strings.Repeat(" ", 41) + "^\n"},
		"long and wide": {strings.Repeat("世", 100), strings.Repeat("界", 100), "  7 | …" + strings.Repeat("世", 20) + strings.Repeat("界", 30) + "…\n" +
			"    | " + strings.Repeat(" ", 41) + "^\n"},
	} {
		var b bytes.Buffer
		if err := Write(&b, 7, []byte(tt.before), []byte(tt.after), "^"); err != nil {
			t.Fatal(err)
		}
		if b.String() != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, b.String(), tt.want)
		}
	}
}
