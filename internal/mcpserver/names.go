package mcpserver

import (
	"slices"
	"strings"
)

// names refuses what two readers of a message could understand differently:
// a name that matters given twice, or in another case.
type names struct {
	known []string
	seen  uint8
}

func newNames(known ...string) names { return names{known: known} }

func (n *names) add(name string) *rpcError {
	i := slices.IndexFunc(n.known, func(known string) bool { return strings.EqualFold(known, name) })
	if i < 0 {
		return nil
	}
	if n.known[i] != name {
		return invalidRequest("unknown member " + quoteShort(name) + ", expected " + n.known[i])
	}
	if n.seen&(1<<i) != 0 {
		return invalidRequest("member " + name + " is given twice")
	}
	n.seen |= 1 << i
	return nil
}
