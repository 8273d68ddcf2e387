package contract

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// WriteText writes changes for people, by action: those that break have a "!".
func WriteText(w io.Writer, changes []Change) error {
	var b strings.Builder
	breaking, last := 0, ""
	for _, c := range changes {
		head := c.Action
		if c.Tool != "" {
			head = fmt.Sprintf("%s on %s (%s)", c.Tool, c.Server, c.Action)
		}
		if head != last {
			fmt.Fprintln(&b, head)
			last = head
		}
		mark := " "
		if c.Breaking {
			mark = "!"
			breaking++
		}
		fmt.Fprintf(&b, "  %s %s [%s]\n", mark, printable(c.Message), c.Code)
		if c.Hint != "" {
			fmt.Fprintf(&b, "    %s\n", printable(c.Hint))
		}
	}
	switch {
	case len(changes) == 0:
		fmt.Fprintln(&b, "nothing changed")
	case breaking == 0:
		fmt.Fprintf(&b, "%s, none breaking\n", count(len(changes), "change"))
	default:
		fmt.Fprintf(&b, "%s, %d breaking (!)\n", count(len(changes), "change"), breaking)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// printable keeps what a document says from the terminal's own language.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
