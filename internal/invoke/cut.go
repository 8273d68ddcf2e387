package invoke

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stagedoor/stagedoor/openapi"
)

// Cut says that a result is only the beginning of what the plugin had.
type Cut struct {
	// Note tells a model what is missing and how to ask for less.
	Note string
	// Reason is "size" or "time".
	Reason string
	// Path is where the list that was cut stands, "data.items"; empty: at the root.
	Path string
	// Items is how many of that list's items are there; -1 for text.
	Items int
}

// frame is an open object or array of a JSON text.
type frame struct {
	object bool
	key    string // of the member that is being read
	last   int    // where the last complete child ends
	count  int    // of complete children
}

// cutJSON makes JSON of the beginning of a JSON text: it ends after the last
// whole item of the outermost list that is open and has one, or, where no list
// is, after the last whole member of the innermost object.
func cutJSON(text []byte) (out []byte, path string, items int, ok bool) {
	open := openFrames(text)
	at := slices.IndexFunc(open, func(f frame) bool { return !f.object && f.count > 0 })
	for at < 0 && len(open) > 0 {
		if open[len(open)-1].count > 0 {
			at = len(open) - 1
			break
		}
		open = open[:len(open)-1]
	}
	if at < 0 {
		return nil, "", 0, false
	}
	end := open[at].last
	out = slices.Grow(bytes.Clone(text[:end]), at+1)
	for _, f := range slices.Backward(open[:at+1]) {
		if f.object {
			out = append(out, '}')
		} else {
			out = append(out, ']')
		}
	}
	return out, pathOf(open[:at]), open[at].count, json.Valid(out)
}

// openFrames walks the text and gives what is open where it ends.
func openFrames(text []byte) (open []frame) {
	wantsKey := false
	done := func(end int) { // a value of the innermost frame is complete
		if n := len(open); n > 0 {
			open[n-1].last = end
			open[n-1].count++
		}
	}
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n', ':':
			i++
		case ',':
			wantsKey = len(open) > 0 && open[len(open)-1].object
			i++
		case '{', '[':
			open = append(open, frame{object: c == '{'})
			wantsKey = c == '{'
			i++
		case '}', ']':
			if len(open) == 0 {
				return nil
			}
			open, wantsKey = open[:len(open)-1], false
			i++
			done(i)
		case '"':
			end := stringEnd(text, i)
			if end < 0 {
				return open
			}
			if wantsKey {
				open[len(open)-1].key = string(text[i+1 : end-1])
				wantsKey = false
			} else {
				done(end)
			}
			i = end
		default:
			length := bytes.IndexAny(text[i:], " \t\r\n,:]}")
			if length <= 0 {
				return open // a number may go on
			}
			i += length
			done(i)
		}
	}
	return open
}

// stringEnd is the place after a string's closing quote, -1 without one.
func stringEnd(text []byte, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

func pathOf(open []frame) string {
	var b strings.Builder
	for _, f := range open {
		switch {
		case !f.object:
			fmt.Fprintf(&b, "[%d]", f.count)
		case b.Len() > 0:
			b.WriteString("." + f.key)
		default:
			b.WriteString(f.key)
		}
	}
	return b.String()
}

// cutText cuts at the last line break that leaves most of the text, or else
// between two characters.
func cutText(text []byte, limit int) []byte {
	if len(text) <= limit {
		return text
	}
	if line := bytes.LastIndexByte(text[:limit], '\n') + 1; line > limit/2 {
		return text[:line]
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// cutNote words the note of a result that was cut at the cap.
func (c *Client) cutNote(a *openapi.Action, kept string) string {
	return fmt.Sprintf("The plugin's answer is larger than %d bytes and was cut: %s, and what follows is missing. %s", c.maxResponse, kept, askForLess(a))
}

// tooLarge is the error of an answer over the cap that makes no sense cut.
func (c *Client) tooLarge(a *openapi.Action, status int) *Error {
	return &Error{
		Kind: TooLarge, Status: status,
		Message: fmt.Sprintf("the answer is larger than %d bytes. %s", c.maxResponse, askForLess(a)),
	}
}

func keptItems(path string, items int) string {
	if path == "" {
		return fmt.Sprintf("it has the first %d items", items)
	}
	return fmt.Sprintf("%s has its first %d items", path, items)
}

// askForLess names the arguments that make an answer smaller.
func askForLess(a *openapi.Action) string {
	names := lessArguments(a.InputSchema)
	if len(names) == 0 {
		return "Ask for less, for example with a filter, fewer fields or a smaller page, where the tool has a way to."
	}
	return "Ask for less with " + strings.Join(names, ", ") + "."
}

// maxLessArguments bounds how many arguments a note names.
const maxLessArguments = 6

// lessArguments finds arguments that page, filter or project, by the names
// that APIs have for them.
func lessArguments(inputSchema json.RawMessage) (names []string) {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(inputSchema, &schema) != nil {
		return nil
	}
	for name := range schema.Properties {
		if makesLess(strings.ToLower(strings.Trim(name, "$_"))) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), maxLessArguments)]
}

func makesLess(name string) bool {
	for _, part := range []string{"page", "limit", "filter", "field", "cursor", "offset", "maxresult", "max_result"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	switch name {
	case "q", "query", "search", "top", "skip", "first", "last", "count", "size", "max", "select", "since", "until", "after", "before", "start", "range":
		return true
	}
	return false
}
