package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/audit"
)

// TestRecordsDoNotPlayWithTheTerminal prints what callers may have chosen, in
// all forms.
func TestRecordsDoNotPlayWithTheTerminal(t *testing.T) {
	for _, nasty := range []string{"\x1b[2J\x1b[31mred", "a\nb\r\tc", "\u009b31m", "\u202etxt.exe", "tag\U000E0041", `a"b\`, "\x7f\x00", "\xff"} {
		r := gateway.AuditRecord{
			Time: time.Unix(1, 0), Subject: nasty, Tool: nasty, Client: nasty, Rule: nasty, Arguments: nasty, Outcome: nasty, Ref: nasty, Server: nasty, Decision: audit.Denied,
		}
		for name, show := range map[string]func(*bytes.Buffer) error{
			"json":  func(b *bytes.Buffer) error { return printRecords(b, []gateway.AuditRecord{r}, true, true) },
			"table": func(b *bytes.Buffer) error { return printRecords(b, []gateway.AuditRecord{r}, false, true) },
			"row":   func(b *bytes.Buffer) error { return printRecords(b, []gateway.AuditRecord{r}, false, false) },
		} {
			var out bytes.Buffer
			if err := show(&out); err != nil {
				t.Fatal(err)
			}
			text := strings.TrimSuffix(out.String(), "\n")
			if name == "table" {
				_, text, _ = strings.Cut(text, "\n")
			}
			if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }); i >= 0 {
				t.Errorf("%s of %q has %q", name, nasty, text[i:min(len(text), i+4)])
			}
			var back gateway.AuditRecord
			if name == "json" && (json.Unmarshal(out.Bytes(), &back) != nil || back.Tool != strings.ToValidUTF8(nasty, "\uFFFD")) {
				t.Errorf("%q came back as %q", nasty, back.Tool)
			}
		}
	}
}
