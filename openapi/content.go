package openapi

import "go.yaml.in/yaml/v3"

// described gives an object with a "content" of which each media type stands by
// itself: $refs are followed (OpenAPI 3.2, components/mediaTypes), and an
// itemSchema becomes the schema of the list that a sequence of items is.
func (r *reader) described(n *yaml.Node) *yaml.Node {
	content := get(n, "content")
	plain := true
	for _, media := range pairs(content) {
		plain = plain && get(media, "$ref") == nil && get(media, "itemSchema") == nil
	}
	if plain {
		return n
	}
	whole := r.like(content)
	for mediaType, media := range pairs(content) {
		whole.Content = append(whole.Content, mediaType, r.mediaType(mediaType, media))
	}
	out := r.like(n)
	for k, v := range pairs(n) {
		if k.Value == "content" {
			v = whole
		}
		out.Content = append(out.Content, k, v)
	}
	return out
}

func (r *reader) mediaType(name, n *yaml.Node) *yaml.Node {
	if get(n, "$ref") != nil {
		target, ok := r.follow(n, SeverityWarning, "media type "+name.Value)
		if !ok {
			return r.made(n, yaml.MappingNode, "!!map", "")
		}
		n = target
	}
	items := get(n, "itemSchema")
	if items == nil {
		return n
	}
	out := r.like(n)
	for k, v := range pairs(n) {
		if k.Value != "itemSchema" {
			out.Content = append(out.Content, k, v)
		}
	}
	if get(n, "schema") == nil {
		list := r.made(items, yaml.MappingNode, "!!map", "")
		r.put(list, "type", r.scalar(items, "!!str", "array"))
		r.put(list, "items", items)
		r.put(out, "schema", list)
	}
	return out
}
