package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds how deep claims are nested.
const maxDepth = 32

// parseObject reads a JSON object with numbers as json.Number. A member that
// stands twice is an error: two readers might disagree about which one counts.
func parseObject(b []byte) (map[string]any, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := parseValue(d, maxDepth)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("is no JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has something after its JSON object")
	}
	return object, nil
}

// parseValue reads the next value of a decoder.
func parseValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, errors.New("is no JSON")
	}
	open, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth == 0 {
		return nil, fmt.Errorf("is nested more than %d deep", maxDepth)
	}
	object, list := map[string]any{}, []any{}
	for d.More() {
		var name string
		if open == '{' {
			if name, err = memberName(d, object); err != nil {
				return nil, err
			}
		}
		v, err := parseValue(d, depth-1)
		if err != nil {
			return nil, err
		}
		if open == '{' {
			object[name] = v
		} else {
			list = append(list, v)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("is no JSON")
	}
	if open == '{' {
		return object, nil
	}
	return list, nil
}

// memberName reads the name of a member that the object does not have yet.
func memberName(d *json.Decoder, object map[string]any) (string, error) {
	t, err := d.Token()
	name, ok := t.(string)
	if err != nil || !ok {
		return "", errors.New("is no JSON")
	}
	if _, twice := object[name]; twice {
		return "", errors.New("has a member twice")
	}
	return name, nil
}
