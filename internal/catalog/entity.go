package catalog

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

// Annotations that say where an entity came from.
const (
	annotationLocation = "backstage.io/managed-by-location"
	annotationOrigin   = "backstage.io/managed-by-origin-location"
)

// found is a valid entity on its way into the database.
type found struct {
	ref    Ref
	value  map[string]any
	source string // "type:target"
	parent string // ref
}

// newFound takes a valid entity from source, read because of the location
// origin, and sets what the catalog adds to each.
func newFound(entity map[string]any, source, origin, parent string) found {
	entity = maps.Clone(entity)
	delete(entity, "relations") // the catalog works these out
	delete(entity, "status")
	metadata := maps.Clone(object(entity, "metadata"))
	for _, ours := range []string{"uid", "etag", "generation"} {
		delete(metadata, ours)
	}
	if text(metadata, "namespace") == "" {
		metadata["namespace"] = defaultNamespace
	}
	annotations := maps.Clone(object(metadata, "annotations"))
	if annotations == nil {
		annotations = map[string]any{}
	}
	annotations[annotationLocation], annotations[annotationOrigin] = source, origin
	metadata["annotations"] = annotations
	entity["metadata"] = metadata
	return found{refOf(entity), entity, source, parent}
}

// generatedLocation is the Location entity that stands for a location itself.
func generatedLocation(typ, target string) found {
	source := typ + ":" + target
	return newFound(map[string]any{
		"apiVersion": "backstage.io/v1alpha1",
		"kind":       "Location",
		"metadata":   map[string]any{"name": generatedName(typ, target)},
		"spec":       map[string]any{"type": typ, "target": target},
	}, source, source, "")
}

// generatedName is the name of the Location entity for a location, as
// Backstage makes it.
func generatedName(typ, target string) string {
	sum := sha1.Sum([]byte(typ + ":" + target))
	return "generated-" + hex.EncodeToString(sum[:])
}

func generatedRef(typ, target string) string {
	return Ref{"location", defaultNamespace, generatedName(typ, target)}.String()
}

// record is the row that keeps the entity.
func (f found) record() (record.Entity, error) {
	document, err := json.Marshal(f.value)
	if err != nil {
		return record.Entity{}, fmt.Errorf("entity %s: %w", f.ref, err)
	}
	sum := sha256.Sum256(document)
	return record.Entity{
		Ref: f.ref.String(), Kind: f.ref.Kind, Namespace: f.ref.Namespace, Name: f.ref.Name,
		UID: newUID(), Etag: hex.EncodeToString(sum[:20]),
		Source: f.source, Parent: f.parent, Document: string(document),
	}, nil
}

// newUID is a random UUID (version 4).
func newUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// refOf names an entity that has kind and name.
func refOf(entity map[string]any) Ref {
	metadata := object(entity, "metadata")
	r := Ref{text(entity, "kind"), text(metadata, "namespace"), text(metadata, "name")}
	if r.Namespace == "" {
		r.Namespace = defaultNamespace
	}
	return r
}

// object, text and texts read a member of a JSON object as that type; what is
// of another type is as good as missing.
func object(m map[string]any, key string) map[string]any {
	v, _ := m[key].(map[string]any)
	return v
}

func text(m map[string]any, key string) string {
	v, _ := m[key].(string)
	return v
}

func texts(m map[string]any, key string) []string {
	switch v := m[key].(type) {
	case string:
		return []string{v}
	case []any:
		list := make([]string, 0, len(v))
		for _, item := range v {
			if s, ok := item.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}
