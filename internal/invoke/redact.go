package invoke

import (
	"bytes"
	"encoding/base64"
	"strings"
)

const redacted = "[redacted]"

// minSecret is the shortest text that is looked for in answers: anything
// shorter stands there by chance.
const minSecret = 6

// secretsOf gives what must not be seen of a credential header's value: the
// value, its part after the scheme, and the password of Basic.
func secretsOf(value string) []string {
	secrets := []string{value}
	scheme, token, found := strings.Cut(value, " ")
	if !found {
		return secrets
	}
	switch strings.ToLower(scheme) {
	case "bearer":
		secrets = append(secrets, token)
	case "basic":
		secrets = append(secrets, token)
		if pair, err := base64.StdEncoding.DecodeString(token); err == nil {
			_, password, _ := strings.Cut(string(pair), ":")
			secrets = append(secrets, password)
		}
	}
	return secrets
}

// redact takes secrets out of an answer, before anybody sees it or logs it: a
// plugin that echoes its request would tell them.
func redact(body []byte, secrets []string) []byte {
	for _, s := range secrets {
		escaped, err := marshal(s)
		if err != nil || len(s) < minSecret {
			continue
		}
		for _, form := range [][]byte{[]byte(s), bytes.Trim(escaped, `"`)} {
			if bytes.Contains(body, form) {
				body = bytes.ReplaceAll(body, form, []byte(redacted))
			}
		}
	}
	return body
}
