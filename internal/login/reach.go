package login

import (
	"net"
	"net/netip"
	"strings"
)

// reach is where an address is: a server may lead no nearer than where it is
// itself, lest a server of the internet has us ask our own network or machine.
type reach string

const (
	reachPublic   reach = "public"
	reachPrivate  reach = "private"
	reachLoopback reach = "loopback"
	reachNowhere  reach = "" // of addresses that no server may lead to
)

// covers tells whether a server at r may lead to an address at other.
func (r reach) covers(other reach) bool {
	switch other {
	case reachPublic:
		return true
	case reachPrivate:
		return r == reachPrivate || r == reachLoopback
	case reachLoopback:
		return r == reachLoopback
	}
	return false
}

// prefixes are what netip's own words leave out, the narrower ones first.
func prefixes() []struct {
	prefix string
	reach  reach
} {
	return []struct {
		prefix string
		reach  reach
	}{
		{"100.100.100.200/32", reachNowhere}, // metadata of a cloud
		{"fd00:ec2::254/128", reachNowhere},  // metadata of another
		{"0.0.0.0/8", reachNowhere},
		{"240.0.0.0/4", reachNowhere}, // broadcast included
		{"100.64.0.0/10", reachPrivate},
		{"192.0.0.0/24", reachPrivate},
		{"192.0.2.0/24", reachPrivate},
		{"198.18.0.0/15", reachPrivate},
		{"198.51.100.0/24", reachPrivate},
		{"203.0.113.0/24", reachPrivate},
		{"64:ff9b:1::/48", reachPrivate},
		{"2001:db8::/32", reachPrivate},
		{"fec0::/10", reachPrivate},
		{"2001::/32", reachNowhere}, // Teredo
		{"::/96", reachNowhere},     // IPv4-compatible
	}
}

// reachOf classifies an address. One that embeds an IPv4 address is where that is.
func reachOf(ip netip.Addr) reach {
	ip = ip.Unmap().WithZone("")
	switch {
	case ip.IsLoopback():
		return reachLoopback
	case !ip.IsValid(), ip.IsUnspecified(), ip.IsMulticast(), ip.IsLinkLocalUnicast():
		return reachNowhere
	}
	if ip.Is6() {
		b := ip.As16()
		switch {
		case netip.MustParsePrefix("64:ff9b::/96").Contains(ip): // NAT64
			return reachOf(netip.AddrFrom4([4]byte(b[12:16])))
		case netip.MustParsePrefix("2002::/16").Contains(ip): // 6to4
			return reachOf(netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	for _, p := range prefixes() {
		if netip.MustParsePrefix(p.prefix).Contains(ip) {
			return p.reach
		}
	}
	if ip.IsPrivate() {
		return reachPrivate
	}
	return reachPublic
}

// isLoopbackHost tells whether a URL's host is this machine by its name.
func isLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && reachOf(ip) == reachLoopback
}

// remoteReach is where the other end of a connection is.
func remoteReach(c net.Conn) reach {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return reachNowhere
	}
	return reachOf(at.Addr())
}
