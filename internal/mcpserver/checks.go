package mcpserver

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// checkContent makes sure that both sides speak JSON.
func checkContent(r *http.Request) *refusal {
	contentType, _ := one(r.Header, "Content-Type")
	if !isJSON(contentType) || r.Header.Get("Content-Encoding") != "" {
		return &refusal{status: http.StatusUnsupportedMediaType, message: "Content-Type must be application/json, not encoded"}
	}
	if values := r.Header.Values("Accept"); len(values) > 0 && !accepts(values, "application/json", "application/*", "*/*") {
		return &refusal{status: http.StatusNotAcceptable, message: "Accept must admit application/json"}
	}
	return nil
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	charset, given := params["charset"]
	return err == nil && mediaType == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// accepts reads Accept (RFC 9110, section 12.5.1) as far as one question needs
// it: whether one of the media ranges is there and not refused.
func accepts(values []string, ranges ...string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			mediaType, params, _ := strings.Cut(item, ";")
			if slices.Contains(ranges, strings.ToLower(strings.TrimSpace(mediaType))) && !refusedByQuality(params) {
				return true
			}
		}
	}
	return false
}

// refusedByQuality finds "q=0", "q=0.0" and so on.
func refusedByQuality(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") && strings.HasPrefix(value, "0") && strings.Trim(value, "0.") == "" {
			return true
		}
	}
	return false
}

// checkHost turns DNS rebinding away: behind a loopback listener only a name
// of this machine, or the public one, can be meant.
func (h *Handler) checkHost(r *http.Request) *refusal {
	if !h.options.LoopbackOnly || isLoopback(r.Host) || h.public != nil && hostOf(h.public.Scheme, r.Host) == h.publicHost {
		return nil
	}
	return &refusal{status: http.StatusForbidden, message: "Host is not a name of this machine"}
}

// Guard turns requests away from next that no page and no name of elsewhere may
// send, as the handler itself does.
func (h *Handler) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.origins.Load().check(r) != nil || h.checkHost(r) != nil {
			http.Error(w, "Origin or Host is not one of this gateway", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback tells whether "host" or "host:port" names this machine itself.
func isLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

// one gives the header's only value: two of them would let an intermediary
// read another one than the gateway does.
func one(header http.Header, name string) (value string, ok bool) {
	values := header[name]
	switch len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], true
	default:
		return "", false
	}
}

// notAllowed names the methods that there are instead.
func notAllowed(allow string) *refusal {
	return &refusal{status: http.StatusMethodNotAllowed, message: "method is not allowed", header: [2]string{"Allow", allow}}
}
