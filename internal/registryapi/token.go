package registryapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// bearer finds the publishers whose token the request has. It takes the same
// time whichever it is, and asks for nothing else: who has no token learns
// nothing about plugins.
func (h *Handler) bearer(r *http.Request) ([]Publisher, error) {
	given := r.Header.Values("Authorization")
	scheme, token := "", ""
	if len(given) == 1 {
		scheme, token, _ = strings.Cut(given[0], " ")
	}
	var holders []Publisher
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	for _, p := range h.publishers() {
		its := sha256.Sum256([]byte(p.Token))
		if subtle.ConstantTimeCompare(sum[:], its[:]) == 1 && p.Token != "" && strings.EqualFold(scheme, "Bearer") {
			holders = append(holders, p)
		}
	}
	if len(holders) == 0 {
		return nil, &failure{
			status: http.StatusUnauthorized, message: "token is missing, or no publisher's",
			hint:   "send Authorization: Bearer with the token of one of the gateway's publishers",
			header: http.Header{"Www-Authenticate": {`Bearer realm="stagedoor"`}},
		}
	}
	return holders, nil
}

// publisher is the one that the request comes from and that may register the
// plugin.
func (h *Handler) publisher(r *http.Request, plugin string) (Publisher, error) {
	holders, err := h.bearer(r)
	if err != nil {
		return Publisher{}, err
	}
	if !isName(plugin) {
		return Publisher{}, &failure{status: http.StatusBadRequest, message: "plugin name does not match [a-z0-9][a-z0-9-]*, with at most 63 characters"}
	}
	for _, p := range holders {
		if p.MayRegister(plugin) {
			return p, nil
		}
	}
	return Publisher{}, &failure{
		status: http.StatusForbidden, message: "publisher " + holders[0].Name + " may not register plugin " + plugin,
		hint: "add the name to publishers." + holders[0].Name + ".plugins in the gateway's config",
	}
}
