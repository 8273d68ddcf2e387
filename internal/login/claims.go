package login

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// Identity is who a token says it is for. Nothing of it is verified: that is
// the server's work.
type Identity struct {
	Login
	// Opaque: the token says nothing that could be read here.
	Opaque  bool   `json:"opaque,omitempty"`
	Subject string `json:"subject,omitempty"`
	Name    string `json:"name,omitempty"`
	// Audience is whom the token is for.
	Audience []string `json:"audience,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	// Renewable: there is a refresh token.
	Renewable bool `json:"renewable"`
}

// Identity tells what is known of the stored login. Nothing is sent.
func (s *Source) Identity() (Identity, error) {
	r, err := s.record()
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Login: r.Login, Renewable: r.Secrets.Refresh != ""}
	var claims struct {
		Subject  string     `json:"sub"`
		Name     string     `json:"name"`
		Username string     `json:"preferred_username"`
		Audience listOrText `json:"aud"`
		Groups   listOrText `json:"groups"`
	}
	if id.Opaque = !readClaims(r.Secrets.Access, &claims); id.Opaque {
		return id, nil
	}
	id.Subject, id.Name, id.Audience, id.Groups = claims.Subject, claims.Name, claims.Audience, claims.Groups
	if id.Name == "" {
		id.Name = claims.Username
	}
	return id, nil
}

// readClaims reads what a JWT says, and does not verify it.
func readClaims(token string, into any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && json.Unmarshal(payload, into) == nil
}

// listOrText is a claim that is one text or several; of another type it is
// empty.
type listOrText []string

// UnmarshalJSON implements [json.Unmarshaler].
func (l *listOrText) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = listOrText{one}
		return nil
	}
	var several []string
	if json.Unmarshal(data, &several) == nil {
		*l = several
	}
	return nil
}
