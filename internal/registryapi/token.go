package registryapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// holders finds the publishers that the request comes from: those whose token
// it has, or else those that its principal is.
func (h *Handler) holders(r *http.Request) (holders []Publisher, who principal.Principal, err error) {
	all := h.publishers()
	if holders := bearer(r, all); len(holders) > 0 {
		return holders, holding(holders[0]), nil
	}
	guard := h.guard()
	if guard.Gate == principal.Open || !slices.ContainsFunc(all, func(p Publisher) bool { return p.Is != nil }) {
		return nil, who, &failure{
			status: http.StatusUnauthorized, message: "token is missing, or no publisher's",
			hint:   "send Authorization: Bearer with the token of one of the gateway's publishers",
			header: http.Header{"Www-Authenticate": {`Bearer realm="stagedoor"`}},
		}
	}
	who, err = guard.principal(r, guard.Publish)
	if err != nil {
		return nil, who, err
	}
	holders = slices.DeleteFunc(slices.Clone(all), func(publisher Publisher) bool { return publisher.Is == nil || !publisher.Is(who) })
	if len(holders) == 0 {
		return nil, who, &failure{
			status: http.StatusForbidden, message: "you are none of the gateway's publishers",
			hint: "name the principal under principals of one of the publishers in the gateway's config",
		}
	}
	return holders, who, nil
}

// bearer finds the publishers whose token the request has. It takes the same
// time whichever it is, and asks for nothing else: who has no token learns
// nothing about plugins.
func bearer(r *http.Request, all []Publisher) (holders []Publisher) {
	given := r.Header.Values("Authorization")
	scheme, token := "", ""
	if len(given) == 1 {
		scheme, token, _ = strings.Cut(given[0], " ")
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	for _, p := range all {
		its := sha256.Sum256([]byte(p.Token))
		if subtle.ConstantTimeCompare(sum[:], its[:]) == 1 && p.Token != "" && strings.EqualFold(scheme, "Bearer") {
			holders = append(holders, p)
		}
	}
	return holders
}

// Admit tells why the sender of a request is no operator; nil: it is one, or
// nobody is asked.
func (g Guard) Admit(r *http.Request) *principal.Refusal {
	_, why := g.admit(r, g.Operate)
	return why
}

func (g Guard) admit(r *http.Request, scope string) (principal.Principal, *principal.Refusal) {
	p, why := g.Gate.Authenticate(r)
	if why == nil && scope != "" && !p.IsAnonymous() && !slices.Contains(p.Scopes, scope) {
		why = g.Gate.StepUp(p, []string{scope}, []string{scope})
	}
	return p, why
}

// principal is who sends the request, with a token that has the scope.
func (g Guard) principal(r *http.Request, scope string) (principal.Principal, error) {
	p, why := g.admit(r, scope)
	if why == nil {
		return p, nil
	}
	header := http.Header{}
	why.SetHeader(header)
	return p, &failure{status: why.Status, message: why.Message, header: header}
}

// publisher is the one that the request comes from and that may register the
// plugin. c is told who that is.
func (h *Handler) publisher(r *http.Request, plugin string, c *audit.Call) (Publisher, error) {
	holders, who, err := h.holders(r)
	if !who.IsAnonymous() {
		c.Principal = &who
	}
	if err != nil {
		return Publisher{}, err
	}
	if !isName(plugin) {
		return Publisher{}, &failure{status: http.StatusBadRequest, message: "plugin name does not match [a-z0-9][a-z0-9-]*, with at most 63 characters"}
	}
	for _, p := range holders {
		if p.MayRegister(plugin) {
			if who.Key() == holding(holders[0]).Key() {
				who = holding(p) // of several with one token
			}
			return p, nil
		}
	}
	return Publisher{}, &failure{
		status: http.StatusForbidden, message: "publisher " + holders[0].Name + " may not register plugin " + plugin,
		hint: "add the name to publishers." + holders[0].Name + ".plugins in the gateway's config",
	}
}
