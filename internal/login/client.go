package login

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// callbackPath is where the browser comes back to; the port is any (RFC 8252,
// section 7.3).
const callbackPath = "/callback"

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	codeGrant   = "authorization_code"
)

// settleClient chooses the OAuth client of a login: the one that was asked for,
// the one that was used last with this issuer, or one that is registered now.
func (s *Source) settleClient(ctx context.Context, e *errand) (stored bool, err error) {
	if s.opts.ClientID != "" {
		e.client = s.opts.ClientID
		return false, nil
	}
	c, err := s.store.read()
	if err != nil {
		return false, err
	}
	if e.client = c.Clients[e.as.Issuer]; e.client != "" {
		return true, nil
	}
	if e.as.RegistrationEndpoint == "" {
		return false, fmt.Errorf("authorization server %s registers no clients by itself: register a public client there (redirect URI http://127.0.0.1%s, device grant, refresh tokens), and name it with --client-id", clean(e.as.Issuer), callbackPath)
	}
	return false, s.register(ctx, e)
}

// register makes a client at the authorization server (RFC 7591). It has no
// secret: a program on people's machines could keep none.
func (s *Source) register(ctx context.Context, e *errand) error {
	grants := []string{"refresh_token"}
	for _, g := range []struct {
		grant string
		has   bool
	}{{codeGrant, e.as.AuthorizationEndpoint != ""}, {deviceGrant, e.as.DeviceEndpoint != ""}} {
		if g.has && (len(e.as.GrantTypes) == 0 || slices.Contains(e.as.GrantTypes, g.grant)) {
			grants = append(grants, g.grant)
		}
	}
	body, err := json.Marshal(map[string]any{
		"client_name": "Stagedoor", "application_type": "native", "token_endpoint_auth_method": "none",
		"grant_types": grants, "response_types": []string{"code"}, "redirect_uris": []string{"http://127.0.0.1" + callbackPath},
	})
	if err != nil {
		return err
	}
	status, data, err := e.ask(ctx, http.MethodPost, e.as.RegistrationEndpoint, "application/json", bytes.NewReader(body))
	if err == nil {
		err = refusal(e.as.RegistrationEndpoint, status, data)
	}
	if err != nil {
		return fmt.Errorf("client could not be registered (--client-id names one that is): %w", err)
	}
	var client struct {
		ID     string `json:"client_id"`
		Method string `json:"token_endpoint_auth_method"`
	}
	switch err := json.Unmarshal(data, &client); {
	case err != nil || client.ID == "":
		return fmt.Errorf("%s: answer has no client_id", clean(e.as.RegistrationEndpoint))
	case client.Method != "" && client.Method != "none":
		return fmt.Errorf("authorization server %s registers only clients with a secret: register a public client there, and name it with --client-id", clean(e.as.Issuer))
	}
	e.client = client.ID
	return s.store.change(func(c *contents) { c.Clients[e.as.Issuer] = client.ID })
}
