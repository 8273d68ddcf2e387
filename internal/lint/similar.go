package lint

import (
	"hash/fnv"
	"strings"
	"unicode"

	"github.com/stagedoor/stagedoor/openapi"
)

// seen is an action that another one is like.
type seen struct{ name, operation, file string }

func seenOf(a *openapi.Action) seen { return seen{a.Name, a.Operation, a.Location.File} }

// Two descriptions are nearly the same when four in five of their runs of three
// words are. MinHash estimates that from a few numbers each, and locality-
// sensitive hashing finds whom to compare with (Leskovec, Rajaraman, Ullman:
// Mining of Massive Datasets, chapter 3), so that the time grows with the
// number of descriptions, not with its square.
const (
	bands       = 8
	rows        = 4
	similar     = 26  // of bands*rows numbers that have to be equal
	shortText   = 12  // words; a shorter text has to be equal as a whole
	comparedFor = 200 // words; what comes later is not looked at
)

// descriptions are those of all actions of a run.
type descriptions struct {
	whole   map[uint64]int        // by the hash of all words
	buckets [bands]map[uint64]int // position in known and one
	known   []described
}

type described struct {
	seen
	signature [bands * rows]uint32
}

func newDescriptions() *descriptions {
	d := &descriptions{whole: map[uint64]int{}}
	for i := range d.buckets {
		d.buckets[i] = map[uint64]int{}
	}
	return d
}

// add gives an earlier action with nearly the same description, nil when there
// is none: then this one is remembered.
func (d *descriptions) add(a *openapi.Action) *seen {
	words := strings.FieldsFunc(strings.ToLower(a.Description), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) == 0 {
		return nil
	}
	whole := hash(strings.Join(words, " "))
	if i, known := d.whole[whole]; known {
		return &d.known[i].seen
	}
	added := described{seen: seenOf(a)}
	if len(words) >= shortText {
		added.signature = signature(words[:min(len(words), comparedFor)])
		if other := d.near(&added); other != nil {
			return other
		}
		for band := range bands {
			if key := added.band(band); d.buckets[band][key] == 0 {
				d.buckets[band][key] = len(d.known) + 1
			}
		}
	}
	d.whole[whole] = len(d.known)
	d.known = append(d.known, added)
	return nil
}

// near compares with one description for each band, the first that had it.
func (d *descriptions) near(added *described) *seen {
	for band := range bands {
		i := d.buckets[band][added.band(band)]
		if i == 0 {
			continue
		}
		other, equal := &d.known[i-1], 0
		for n := range other.signature {
			if other.signature[n] == added.signature[n] {
				equal++
			}
		}
		if equal >= similar {
			return &other.seen
		}
	}
	return nil
}

func (d *described) band(band int) uint64 {
	var key uint64
	for _, n := range d.signature[band*rows : band*rows+rows] {
		key = mix(key ^ uint64(n))
	}
	return key
}

// signature is the least hash of the runs of three words, for each of several
// hash functions.
func signature(words []string) (least [bands * rows]uint32) {
	for i := range least {
		least[i] = ^uint32(0)
	}
	hashes := make([]uint64, len(words))
	for i, word := range words {
		hashes[i] = hash(word)
	}
	for i := range len(hashes) - 2 {
		run := mix(mix(mix(hashes[i])^hashes[i+1]) ^ hashes[i+2])
		for n := range least {
			least[n] = min(least[n], uint32(mix(run+uint64(n))>>32))
		}
	}
	return least
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // a hash takes all
	return h.Sum64()
}

// names are those of a document's actions. Two are alike when they differ by
// one letter, by two letters that changed places, by a plural, or by how words
// are parted. Numbers are there to tell apart.
type names struct {
	plain  map[string]int        // by the name without plurals and dashes
	nearly map[uint64][crowd]int // by the hash of the name without any one character; position in known and one
	known  []seen
}

// crowd bounds how many names of one hash are compared.
const crowd = 4

func newNames() *names {
	return &names{plain: map[string]int{}, nearly: map[uint64][crowd]int{}}
}

// add gives an earlier action with a similar name, nil when there is none.
func (n *names) add(a *openapi.Action) *seen {
	var found *seen
	own := len(n.known) + 1
	plain := withoutPlurals(a.Name)
	if i, known := n.plain[plain]; known {
		found = &n.known[i]
	} else {
		n.plain[plain] = len(n.known)
	}
	for i := range len(a.Name) + 1 { // the last one leaves nothing out
		key := hash(a.Name[:i] + a.Name[min(i+1, len(a.Name)):])
		others := n.nearly[key]
		for slot, other := range others {
			if other == 0 {
				others[slot] = own
				n.nearly[key] = others
			}
			if other == 0 || other == own { // a letter that stands twice gives the same
				break
			}
			if found == nil && differsByLetter(a.Name, n.known[other-1].name) {
				found = &n.known[other-1]
			}
		}
	}
	n.known = append(n.known, seenOf(a))
	return found
}

func withoutPlurals(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' })
	for i, word := range words {
		switch {
		case strings.HasSuffix(word, "ies") && len(word) > 4:
			words[i] = strings.TrimSuffix(word, "ies") + "y"
		case strings.HasSuffix(word, "sses"), strings.HasSuffix(word, "xes"):
			words[i] = strings.TrimSuffix(word, "es")
		case strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss"):
			words[i] = strings.TrimSuffix(word, "s")
		}
	}
	return strings.Join(words, "")
}

// differsByLetter tells whether a name becomes another by one letter less, more
// or other, or by two neighbours that change places. Of very short names most do.
func differsByLetter(a, b string) bool {
	if min(len(a), len(b)) < 4 {
		return false
	}
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if strings.ContainsAny(a+b, "0123456789") {
		return false
	}
	if len(a) == 2 && len(b) == 2 {
		return a[0] == b[1] && a[1] == b[0]
	}
	return len(a)+len(b) > 0 && len(a) < 2 && len(b) < 2
}
