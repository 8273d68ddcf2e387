package config

import (
	"bytes"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v3"
)

// source is the text of the file as far as it may be shown: what is not known
// to be harmless, like the value of a misspelled key, could be a secret.
type source struct {
	lines  []string
	cut    map[int]int  // line → column from which it is not shown
	hidden map[int]bool // lines that continue a value that is not shown
}

func newSource(data []byte, root *yaml.Node, shown map[*yaml.Node]bool) *source {
	if otherBreaks(data) {
		return nil
	}
	s := &source{lines: strings.Split(string(data), "\n"), cut: map[int]int{}, hidden: map[int]bool{}}
	nodes := scalars(root, nil)
	for i, n := range nodes {
		if shown[n] {
			continue
		}
		if at, ok := s.cut[n.Line]; !ok || n.Column < at {
			s.cut[n.Line] = n.Column
		}
		if s.endsOnItsLine(n) {
			continue
		}
		end := len(s.lines)
		if i+1 < len(nodes) {
			end = nodes[i+1].Line
		}
		for line := n.Line + 1; line <= end; line++ {
			s.hidden[line] = true
		}
	}
	return s
}

// otherBreaks tells whether YAML counts lines that editors do not, or not all.
func otherBreaks(data []byte) bool {
	return bytes.Count(data, []byte("\r")) != bytes.Count(data, []byte("\r\n")) || bytes.ContainsAny(data, "\u0085\u2028\u2029")
}

func (s *source) endsOnItsLine(n *yaml.Node) bool {
	if n.Line > len(s.lines) || n.Column > len(s.lines[n.Line-1]) {
		return n.Value == ""
	}
	line := s.lines[n.Line-1]
	written := line[n.Column-1:]
	switch n.Style {
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		return strings.HasPrefix(written[1:], n.Value+written[:1])
	case 0:
		return strings.HasPrefix(written, n.Value)
	}
	return false
}

// scalars lists the values in the order in which they stand in the file.
func scalars(n *yaml.Node, found []*yaml.Node) []*yaml.Node {
	if n.Kind == yaml.ScalarNode {
		return append(found, n)
	}
	for _, c := range n.Content {
		found = scalars(c, found)
	}
	return found
}

func (s *source) line(number int) string {
	const limit = 200
	if s == nil || number < 1 || number > len(s.lines) || s.hidden[number] || len(s.lines[number-1]) > limit {
		return ""
	}
	text := s.lines[number-1]
	if at, ok := s.cut[number]; ok && at <= len(text) {
		text = text[:at-1] + "…"
	}
	return strings.TrimRight(text, " \r")
}

// columns turns the columns of nodes, which count characters, into bytes.
type columns struct {
	lines   [][]byte
	offsets map[int][]int // of lines that are not ASCII only: character → byte
}

func (c *columns) mend(n *yaml.Node) {
	if offsets := c.of(n.Line); n.Column >= 1 && n.Column <= len(offsets) {
		n.Column = offsets[n.Column-1] + 1
	}
	for _, child := range n.Content {
		c.mend(child)
	}
}

func (c *columns) of(line int) []int {
	if line < 1 || line > len(c.lines) {
		return nil
	}
	offsets, known := c.offsets[line]
	if known {
		return offsets
	}
	text := string(bytes.TrimPrefix(c.lines[line-1], []byte("\ufeff")))
	if strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		for at := range text {
			offsets = append(offsets, at)
		}
	}
	c.offsets[line] = offsets
	return offsets
}
