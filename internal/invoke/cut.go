package invoke

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stagedoor/stagedoor/openapi"
)

// Cut says that a result is only the beginning of what the plugin had.
type Cut struct {
	// Note tells a model what is missing and how to ask for less.
	Note string
	// Reason is "size"; of a stream also "time" or "interrupted".
	Reason string
	// Path is where the list that was cut stands, "data.items"; empty: at the root,
	// or no list was cut.
	Path string
	// Items is how many of that list's items are there; -1 where no list was cut,
	// but text or an object.
	Items int
}

// The reasons of a [Cut].
const (
	cutSize   = "size"
	cutTime   = "time"
	cutBroken = "interrupted"
)

// frame is an open object or array of a JSON text.
type frame struct {
	object bool
	key    string // of the member that is being read
	last   int    // where the last complete child ends
	count  int    // of complete children
}

// cutJSON makes JSON of the beginning of a JSON text: it ends after the last
// whole item of the outermost list that is open and has one, or, where no list
// is, after the last whole member of the innermost object. Path leads to what
// was cut.
func cutJSON(text []byte) (out []byte, path string, last frame, ok bool) {
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
		return nil, "", frame{}, false
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
	return out, pathOf(open[:at]), open[at], json.Valid(out)
}

// maxDepth is how deep encoding/json goes.
const maxDepth = 10000

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
			if len(open) == maxDepth {
				return nil
			}
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

// maxPath bounds a path that is told.
const maxPath = 200

// pathOf words the way to what is open, "data.items"; empty where it is too
// long to be of use.
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
		if b.Len() > maxPath {
			return ""
		}
	}
	return b.String()
}

// cutText ends a text that was cut anywhere: after the last line break that
// leaves most of it, or else after the last whole character.
func cutText(text []byte) []byte {
	if line := bytes.LastIndexByte(text, '\n') + 1; line > len(text)/2 {
		return text[:line]
	}
	for i := len(text) - 1; i >= max(0, len(text)-utf8.UTFMax); i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return text[:i]
			}
			break
		}
	}
	return text
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

// cutAt says where JSON was cut.
func (c *Client) cutAt(a *openapi.Action, path string, last frame) *Cut {
	if last.object {
		return &Cut{Reason: cutSize, Items: -1, Note: c.cutNote(a, kept(path, last.count, "members"))}
	}
	return &Cut{Reason: cutSize, Path: path, Items: last.count, Note: c.cutNote(a, kept(path, last.count, "items"))}
}

// kept words what there is of a list or an object.
func kept(path string, count int, of string) string {
	if path == "" {
		return fmt.Sprintf("it has the first %d %s", count, of)
	}
	return fmt.Sprintf("%s has its first %d %s", path, count, of)
}

// askForLess names the arguments that make an answer smaller.
func askForLess(a *openapi.Action) string {
	names := lessArguments(a)
	if len(names) == 0 {
		return "Ask for less, for example with a filter, fewer fields or a smaller page, where the tool has a way to."
	}
	return "Ask for less with " + strings.Join(names, ", ") + "."
}

// maxLessArguments bounds how many arguments a note names.
const maxLessArguments = 6

// lessArguments finds arguments that page, filter or project, by the names
// that APIs have for them. They are query parameters of what only reads: in what
// writes, a limit is something else.
func lessArguments(a *openapi.Action) (names []string) {
	if !a.Attributes.ReadOnly {
		return nil
	}
	for _, p := range a.Request.Parameters {
		if p.In == openapi.InQuery && p.Value.Argument != "" && makesLess(p.Name) {
			names = append(names, p.Value.Argument)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxLessArguments)]
}

// The words of names that make less: a name has one of the first, and none that
// is in neither. "spendingLimit" limits something else.
const (
	lessWords = " page pages limit filter filters fields cursor offset max q query search top skip first last count size select since until after before start range "
	lessTails = " per number no token result results item items row rows record records next prev at index by "
)

// makesLess tells by whole words. What follows "filter" or "fields" is what they
// are about.
func makesLess(name string) bool {
	words, less := wordsOf(name), false
	for i, word := range words {
		isLess := strings.Contains(lessWords, " "+word+" ")
		if i == 0 && (word == "filter" || word == "filters" || word == "fields") {
			return true
		}
		if !isLess && !strings.Contains(lessTails, " "+word+" ") {
			return false
		}
		less = less || isLess
	}
	return less
}

// wordsOf splits a name in camel, snake or kebab case into words in lower case.
func wordsOf(name string) []string {
	var b strings.Builder
	lower := false // the character before
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			r = ' '
		}
		if unicode.IsUpper(r) && lower {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Fields(b.String())
}
