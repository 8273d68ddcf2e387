package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseJSON reads one JSON text into the same tree that YAML gives, because a
// YAML parser takes neither every JSON escape nor gives JSON's own messages.
func parseJSON(data []byte) (*yaml.Node, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	p := &jsonParser{dec: dec, data: data, line: 1}
	root, err := p.value(0)
	if err == nil {
		if _, trailing := dec.Token(); trailing != io.EOF {
			err = errors.New("more text after the document's end")
		}
	}
	if err != nil {
		return nil, p.syntax(err)
	}
	return root, nil
}

type jsonParser struct {
	dec       *json.Decoder
	data      []byte
	pos       int // where counting lines has got to
	line      int
	lineStart int
	continued int // bytes of the line that do not begin a character
}

// place is the line and column of the token that begins at or after offset.
func (p *jsonParser) place(offset int) (line, column int) {
	for offset < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[offset]) >= 0 {
		offset++
	}
	for ; p.pos < offset && p.pos < len(p.data); p.pos++ {
		switch b := p.data[p.pos]; {
		case b == '\n':
			p.line, p.lineStart, p.continued = p.line+1, p.pos+1, 0
		case !utf8.RuneStart(b):
			p.continued++
		}
	}
	return p.line, offset - p.lineStart - p.continued + 1
}

func (p *jsonParser) syntax(err error) error {
	var at *syntaxError
	if errors.As(err, &at) {
		return err
	}
	offset := int(p.dec.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = int(syntax.Offset) - 1
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err, offset = errors.New("text ends in the middle of the document"), len(p.data)
	}
	p.pos, p.line, p.lineStart, p.continued = 0, 1, 0, 0
	line, column := p.place(max(offset, 0))
	return &syntaxError{line, column, "JSON: " + err.Error()}
}

func (p *jsonParser) value(depth int) (*yaml.Node, error) {
	start := int(p.dec.InputOffset())
	token, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	line, column := p.place(start)
	if depth > maxDepth {
		return nil, &syntaxError{line, column, tooDeep}
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: line, Column: column}
	switch v := token.(type) {
	case json.Delim:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if v == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		return n, p.content(n, depth)
	case string:
		n.Tag, n.Value = "!!str", v
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(v)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

// content reads keys and values, or items, up to the closing delimiter.
func (p *jsonParser) content(n *yaml.Node, depth int) error {
	for p.dec.More() {
		child, err := p.value(depth + 1) // the decoder itself refuses a key that is no string
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, err := p.dec.Token()
	return err
}
