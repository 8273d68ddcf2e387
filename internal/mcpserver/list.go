package mcpserver

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/registry"
)

// listing is one of the lists that a server offers, in the order of its keys.
// Its pages are ready to be sent, for callers who see all of it.
type listing struct {
	name    string // binds cursors: server and method
	member  string // of the result: "tools"
	entries []entry
	size    int // entries on a page
	pages   [eras][][]byte
	cursors *cursors
	meta    []byte // the start of a modern result
}

// entry is one entry as each era shows it.
type entry struct {
	key    string           // unique in its list
	action *registry.Action // who may not see it does not see the entry; nil: everybody does
	json   [eras][]byte
	sum    [sha256.Size]byte // of json
}

func newEntry(key string, a *registry.Action, legacy, modern []byte) entry {
	h := sha256.New()
	for _, shown := range [eras][]byte{legacy, modern} {
		h.Write(shown)
		h.Write([]byte{'\n'})
	}
	return entry{key: key, action: a, json: [eras][]byte{legacy, modern}, sum: [sha256.Size]byte(h.Sum(nil))}
}

// pageFrame is about what a page takes beside its entries: names, a cursor.
const pageFrame = 512

// newList makes the pages. Without cursors, or with a size of 0, there is one.
func newList(s *server, method mcp.MCPMethod, member string, entries []entry) *listing {
	l := &listing{
		name: s.name + " " + string(method), member: member, entries: entries, size: s.page, cursors: s.cursors, meta: s.meta,
	}
	if l.size <= 0 || l.cursors == nil {
		l.size = max(1, len(entries))
	}
	slices.SortFunc(l.entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	for e := range eras {
		l.pages[e] = append(l.pages[e], l.write(e, entries[:min(l.size, len(entries))], l.size < len(entries)))
		for start := l.size; start < len(entries); start += l.size {
			end := min(start+l.size, len(entries))
			l.pages[e] = append(l.pages[e], l.write(e, entries[start:end], end < len(entries)))
		}
	}
	return l
}

// page gives the result of asking for the list: with a cursor, what comes
// after the entry that it was made of. seen is nil for whoever sees everything.
func (l *listing) page(e era, cursor []byte, seen func(*registry.Action) bool) ([]byte, *rpcError) {
	start := 0
	if cursor != nil && string(cursor) != "null" {
		last, ok := l.last(cursor)
		if !ok {
			return nil, invalidParams("cursor is not one of this list")
		}
		after := func(entry entry, key string) int {
			if entry.key <= key {
				return -1
			}
			return 1
		}
		start, _ = slices.BinarySearchFunc(l.entries, last, after)
	}
	if seen == nil && start%l.size == 0 && start/l.size < len(l.pages[e]) {
		return l.pages[e][start/l.size], nil
	}
	var shown []entry
	more := false
	for _, entry := range l.entries[start:] {
		if seen != nil && entry.action != nil && !seen(entry.action) {
			continue
		}
		if more = len(shown) == l.size; more {
			break
		}
		shown = append(shown, entry)
	}
	return l.write(e, shown, more), nil
}

// last is the key that a cursor was made of.
func (l *listing) last(cursor []byte) (string, bool) {
	if !isString(cursor) || l.cursors == nil {
		return "", false
	}
	return l.cursors.key(l.name, unquote(cursor))
}

// write writes a page.
func (l *listing) write(e era, entries []entry, more bool) []byte {
	size := len(l.meta) + pageFrame
	for _, entry := range entries {
		size += len(entry.json[e]) + 1
	}
	dst := append(make([]byte, 0, size), '{')
	if e == modern {
		dst = append(append(dst, l.meta...), ',')
	}
	dst = append(append(append(dst, '"'), l.member...), `":[`...)
	for i, entry := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, entry.json[e]...)
	}
	dst = append(dst, ']')
	if more {
		dst = appendString(append(dst, `,"nextCursor":`...), l.cursors.next(l.name, entries[len(entries)-1].key))
	}
	if e == modern {
		dst = appendCache(dst, listTTL)
	}
	return append(dst, '}')
}

// appendCache says how long a modern client may keep a result.
func appendCache(dst []byte, ttl time.Duration) []byte {
	return fmt.Appendf(dst, `,"ttlMs":%d,"cacheScope":%q`, ttl.Milliseconds(), mcp.CacheScopePrivate)
}

// version changes whenever one of the lists does, or who sees what of them.
func version(rules []byte, lists ...*listing) string {
	h := sha256.New()
	h.Write(rules)
	for _, l := range lists {
		for _, entry := range l.entries {
			h.Write(entry.sum[:])
		}
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// appendList answers tools/list.
func (x *exchange) appendList(dst []byte, e era, m *envelope) []byte {
	page, fault := x.server.lists.tools.page(e, m.cursor, x.seen())
	return appendAnswer(dst, m.id, page, fault)
}

// sendList is appendList without copying the list.
func (x *exchange) sendList(e era, m *envelope) {
	page, fault := x.server.lists.tools.page(e, m.cursor, x.seen())
	if fault != nil {
		x.fail(m.id, fault)
		return
	}
	head := append(appendHead(make([]byte, 0, 64), m.id), `,"result":`...)
	x.send(200, head, page, []byte{'}'})
}

// seen tells which actions the caller may know of; nil: all of them.
func (x *exchange) seen() func(*registry.Action) bool { return x.server.door.Sees(x.principal) }
