package mcpserver

import "net/http"

// isPreflight tells a browser's question from other OPTIONS requests.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// allowOrigin lets a page whose origin passed the check read the answer.
func (x *exchange) allowOrigin() {
	origin := x.r.Header.Get("Origin")
	if origin == "" {
		return
	}
	header := x.w.Header()
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", sessionHeader+", X-Request-Id, WWW-Authenticate, Retry-After")
	header.Add("Vary", "Origin")
}

// preflight tells what the page may send: any header that it asks for, for
// Mcp-Param-* cannot be listed.
func (x *exchange) preflight() {
	header := x.w.Header()
	header.Set("Access-Control-Allow-Methods", "POST, DELETE")
	if asked := x.r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		header.Set("Access-Control-Allow-Headers", asked)
	}
	header.Set("Access-Control-Max-Age", "600")
	x.w.WriteHeader(http.StatusNoContent)
}
