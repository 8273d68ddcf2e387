package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

// flaw is something wrong with a file or an entity of it, and what stays
// because of it from the last time that it was good.
type flaw struct {
	place  string
	line   int    // 0 where it is not known
	entity string // its ref, or its number in the file; "" for the file itself
	err    error
	stays  []claim
	// The log says what becomes of it: kept if something stays, else lost.
	kept, lost string
}

// claim picks rows of the database: those that have the ref, come from the
// file, or were reached through the place or the Location entity and are not
// any more.
type claim struct {
	by claimBy
	of string
}

type claimBy int

const (
	byRef claimBy = iota
	byFile
	byPlace
	byParent
)

// badFile is a file of which nothing can be known.
func badFile(p place, err error) *flaw {
	f := newFlaw(p, "", err)
	f.kept, f.lost = "what it last held stays", "it held nothing before that could stay"
	f.stays = []claim{{byFile, f.place}}
	return f
}

// unreached is a place that cannot be followed to files.
func unreached(p place, parent string, err error) *flaw {
	f := newFlaw(p, "", err)
	f.kept, f.lost = "what it last led to stays", "it led to nothing before that could stay"
	f.stays = []claim{{byPlace, f.place}, {byParent, parent}}
	return f
}

// badEntity is the i-th entity of a file. Where it does not say which one it
// is, it may be any that the file no longer describes: all of them stay.
func badEntity(p place, d document, i int, err error) *flaw {
	ref, sure := identify(d.value)
	name := ref
	if name == "" {
		name = fmt.Sprintf("entity %d", i+1)
	}
	f := newFlaw(p, name, err)
	f.kept, f.lost = "its last good version stays", "it is not served"
	if ref != "" {
		f.stays = append(f.stays, claim{byRef, ref})
	}
	if !sure {
		f.kept = "it may be any that its file described before, so they all stay"
		f.stays = append(f.stays, claim{byFile, f.place})
	}
	return f
}

// badTarget is a Location entity with a target that is no place.
func badTarget(p place, d document, ref Ref, field string, err error) *flaw {
	f := newFlaw(p, ref.String(), &located{d.lineOf(field), fmt.Errorf("%s: %w", field, err)})
	f.kept, f.lost = "what it last led to stays", "the target is left out"
	f.stays = []claim{{byParent, ref.String()}}
	return f
}

// twin is an entity that stands somewhere already.
func twin(p place, d document, ref Ref, first string) *flaw {
	f := newFlaw(p, ref.String(), &located{d.node.Line, fmt.Errorf("described twice, first in %s", first)})
	f.lost = "the first is served"
	return f
}

// newFlaw takes the line out of err, if that is where it stands.
func newFlaw(p place, entity string, err error) *flaw {
	f := &flaw{place: p.String(), entity: shorten(entity), err: err}
	var l *located
	if errors.As(err, &l) {
		f.line, f.err = l.line, l.err
	}
	return f
}

// identify gives the ref of an entity, which may be bad, "" if it has none;
// sure if a good entity could have it.
func identify(v any) (ref string, sure bool) {
	entity, _ := v.(map[string]any)
	metadata := object(entity, "metadata")
	kind, name := text(entity, "kind"), text(metadata, "name")
	if kind == "" || name == "" {
		return "", false
	}
	namespace, there := metadata["namespace"]
	label, _ := namespace.(string)
	known := slices.ContainsFunc(kindNames(), func(k string) bool { return strings.EqualFold(k, kind) })
	return refOf(entity).String(), known && isName(name) && (!there || isLabel(label))
}

// lineOf is the line of the field that a message begins with.
func (d document) lineOf(message string) int {
	path, _, _ := strings.Cut(message, " ")
	return lineOf(d.node, strings.TrimSuffix(path, ":"), d.node.Line)
}

const maxReasons = 10

// invalid puts what validate says into one error at the line of the first.
func (d document) invalid(faults []string) error {
	if len(faults) == 0 {
		return nil
	}
	first := d.lineOf(faults[0])
	var reasons []string
	for i, fault := range faults {
		if i == maxReasons {
			reasons = append(reasons, fmt.Sprintf("and %d more", len(faults)-i))
			break
		}
		if line := d.lineOf(fault); line != first {
			fault = fmt.Sprintf("line %d: %s", line, fault)
		}
		reasons = append(reasons, fault)
	}
	return &located{first, errors.New(strings.Join(reasons, "; "))}
}

// String is the flaw for a caller.
func (f *flaw) String() string {
	text := atLine(shorten(f.place), f.line) + ": "
	if f.entity != "" {
		text += f.entity + ": "
	}
	return text + f.err.Error()
}

func atLine(place string, line int) string {
	if line == 0 {
		return place
	}
	return fmt.Sprintf("%s:%d", place, line)
}

// log writes the flaw; held says which claims hold something.
func (f *flaw) log(ctx context.Context, log *slog.Logger, location string, held map[claim]bool) {
	outcome := f.lost
	if slices.ContainsFunc(f.stays, func(c claim) bool { return held[c] }) {
		outcome = f.kept
	}
	where := atLine(f.place, f.line)
	if f.entity == "" {
		log.WarnContext(ctx, "catalog file is bad", "location", location, "file", where, "error", f.err, "outcome", outcome)
		return
	}
	log.WarnContext(ctx, "catalog entity is bad", "location", location, "file", where, "entity", f.entity, "error", f.err, "outcome", outcome)
}

// claims are those under which a row may stay.
func (w *walk) claims(row record.Entity) []claim {
	claims := []claim{{byRef, row.Ref}, {byFile, row.Source}}
	if !w.seen[row.Source] {
		claims = append(claims, claim{byPlace, row.Source}, claim{byParent, row.Parent})
	}
	return claims
}
