package source

import "bytes"

const byteOrderMark = "\ufeff"

// isDocument tells whether a text says at its top level which version of
// OpenAPI or Swagger it is in. It looks for that key alone: whether the text
// can be read is for the reader to say, with line and column.
func isDocument(data []byte) bool {
	if object := start(data); bytes.HasPrefix(object, []byte("{")) {
		return hasMember(object)
	}
	indent := -1 // of the first line that counts
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte(byteOrderMark))) {
		text := bytes.TrimLeft(line, " ")
		if body := bytes.TrimRight(text, "\r\n\t "); len(body) == 0 || body[0] == '#' || body[0] == '%' || bytes.HasPrefix(body, []byte("---")) {
			continue
		}
		if indent < 0 {
			indent = len(line) - len(text)
		}
		key, value, isMember := bytes.Cut(text, []byte(":"))
		if isMember && len(line)-len(text) == indent && len(bytes.TrimLeft(value, " \t\r\n")) < len(value) && isVersionKey(bytes.Trim(bytes.TrimRight(key, " "), `"'`)) {
			return true
		}
	}
	return false
}

// isPage tells whether what was fetched is for people. A document stays one
// whatever media type its server gives it.
func isPage(data []byte, mediaType string) bool {
	switch data = start(data); {
	case bytes.HasPrefix(data, []byte("<")):
		return true
	case mediaType == "text/html", mediaType == "application/xhtml+xml":
		return !bytes.HasPrefix(data, []byte("{")) && !isDocument(data)
	}
	return false
}

// start is data without what may stand before its first character.
func start(data []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(data, []byte(byteOrderMark)), " \t\r\n")
}

func isVersionKey(key []byte) bool { return string(key) == "openapi" || string(key) == "swagger" }

// hasMember looks through a JSON object without decoding it.
func hasMember(data []byte) bool {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := i + 1
			for end < len(data) && data[end] != '"' {
				if data[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(data) {
				return false
			}
			if depth == 1 && isVersionKey(data[i+1:end]) && bytes.HasPrefix(bytes.TrimLeft(data[end+1:], " \t\r\n"), []byte(":")) {
				return true
			}
			i = end
		}
	}
	return false
}
