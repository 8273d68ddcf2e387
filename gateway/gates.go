package gateway

import (
	"net/http"

	"github.com/stagedoor/stagedoor/internal/principal"
)

// gate is what stands at a door.
func (c Config) gate(own []Verifier) principal.Gate {
	list := own
	if len(list) == 0 {
		list = c.Auth
	}
	if len(list) == 1 && list[0].Use == "none" {
		return principal.Open
	}
	return shut{}
}

// shut is a gate that lets nobody in.
type shut struct{}

func (shut) Authenticate(*http.Request) (principal.Principal, *principal.Refusal) {
	return principal.Principal{}, &principal.Refusal{Status: http.StatusUnauthorized, Challenge: "Bearer", Message: "credentials are missing or not valid"}
}

func (shut) StepUp(principal.Principal, []string) *principal.Refusal {
	return &principal.Refusal{Status: http.StatusForbidden, Message: "the scopes for this are missing"}
}
