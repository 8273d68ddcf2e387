package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"
)

const maxBytes = 4 << 20

// read gives the file's bytes, of which it never holds more than the limit.
func read(path string) ([]byte, *Issue) {
	wrong := func(hint, format string, args ...any) *Issue {
		return &Issue{File: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() { // a pipe may have nobody at its end
		return nil, wrong("", "expected a file, got a pipe, socket or device")
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, wrong("config.example.yaml is one to start from", "no such file")
	}
	if err != nil {
		return nil, wrong("", "file cannot be opened: %v", cause(err))
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, wrong("name the YAML file in it", "expected a file, got a directory")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, wrong("", "file cannot be read: %v", cause(err))
	}
	if len(data) > maxBytes {
		return nil, wrong("is it the right file?", "file is larger than %d MiB", maxBytes>>20)
	}
	return data, nil
}

// cause is an error of the file system without the path, which the issue has.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// parse gives the root of the one document in the file.
func parse(file string, data []byte) (*yaml.Node, *Issue) {
	if at, message, hint := notText(data); at >= 0 {
		line, column := placeOf(data, at)
		return nil, &Issue{File: file, Line: line, Column: column, Message: message, Hint: hint}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, emptyFile(file)
	case err != nil:
		return nil, syntaxIssue(file, data, err)
	}
	switch err := decoder.Decode(&next); {
	case err == nil:
		return nil, &Issue{File: file, Line: next.Line, Column: next.Column, Message: "a second document starts here", Hint: "a config is one YAML document: remove the --- line"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxIssue(file, data, err)
	}
	mend := &columns{lines: bytes.Split(data, []byte("\n")), offsets: map[int][]int{}}
	mend.mend(&doc)
	root := target(doc.Content[0])
	if isNull(root) {
		return nil, emptyFile(file)
	}
	if root.Kind != yaml.MappingNode {
		return nil, &Issue{File: file, Line: root.Line, Column: root.Column, Message: "expected a mapping of fields, got " + describe(root), Hint: "for example listen: 127.0.0.1:8080"}
	}
	return root, withinBounds(file, root)
}

func emptyFile(file string) *Issue {
	return &Issue{File: file, Line: 1, Column: 1, Message: "file is empty", Hint: "config.example.yaml is one to start from"}
}

// notText finds the first byte that YAML cannot hold, or -1.
func notText(data []byte) (at int, message, hint string) {
	for at < len(data) {
		r, width := utf8.DecodeRune(data[at:])
		switch {
		case r == 0:
			return at, "NUL byte: this is a binary file", "is it the right file?"
		case r == utf8.RuneError && width == 1:
			return at, "file is not UTF-8", "save it as UTF-8"
		case r == 0x7f || r < ' ' && !strings.ContainsRune("\t\n\r", r) || r >= 0x80 && r < 0xa0 && r != 0x85:
			return at, fmt.Sprintf("control character %U", r), `in a quoted string it is written as an escape, like "\e"`
		}
		at += width
	}
	return -1, "", ""
}

func placeOf(data []byte, at int) (line, column int) {
	return bytes.Count(data[:at], []byte("\n")) + 1, at - bytes.LastIndexByte(data[:at], '\n')
}

// syntaxIssue places an error of the YAML parser, which tells no column, counts
// lines from 0 in some of its messages and leaves out line 0.
func syntaxIssue(file string, data []byte, err error) *Issue {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line, hint := 1, ""
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
		if strings.HasPrefix(message, "did not find expected") {
			line, hint = line+1, "in the list or mapping that starts here"
		}
	}
	lines := bytes.Split(data, []byte("\n"))
	line = min(line, len(lines))
	if tab := tabIssue(file, lines, line); tab != nil {
		return tab
	}
	column := len(lines[line-1]) - len(bytes.TrimLeftFunc(lines[line-1], unicode.IsSpace)) + 1
	if m := regexp.MustCompile(`^unknown anchor '(.*)' referenced$`).FindStringSubmatch(message); m != nil {
		message, hint = fmt.Sprintf("unknown anchor %q", m[1]), "an alias stands below its anchor; a text that starts with * needs quotes"
		if at := bytes.Index(data, []byte("*"+m[1])); at >= 0 {
			line, column = placeOf(data, at)
		}
	}
	return &Issue{File: file, Line: line, Column: column, Message: "YAML: " + message, Hint: hint}
}

// tabIssue finds a line indented with a tab near a syntax error.
func tabIssue(file string, lines [][]byte, near int) *Issue {
	for l := max(1, near-1); l <= min(near+1, len(lines)); l++ {
		indent := lines[l-1][:len(lines[l-1])-len(bytes.TrimLeft(lines[l-1], " \t"))]
		if at := bytes.IndexByte(indent, '\t'); at >= 0 {
			return &Issue{File: file, Line: l, Column: at + 1, Message: "indented with a tab", Hint: "YAML is indented with spaces"}
		}
	}
	return nil
}
