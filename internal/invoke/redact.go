package invoke

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/credential"
)

const redacted = "[redacted]"

// minSecret is the shortest text that is looked for in answers: anything
// shorter stands there by chance.
const minSecret = 6

// secrets is what must not be seen of the gateway's credentials and the
// operator's secrets: a plugin that echoes its request would tell them. A nil one
// has nothing to hide.
type secrets struct {
	proof    *credential.Credentials // what it was made of,
	revealed map[string]string       // and the operator's by name
	forms    []string                // that an answer may have them in, the longest first
}

// newSecrets prepares the forms of the credentials' values and of the operator's
// secrets: as they are, in JSON, in JSON that is a string of JSON, and
// percent-encoded.
func newSecrets(proof *credential.Credentials, revealed map[string]string) *secrets {
	s := &secrets{proof: proof, revealed: maps.Clone(revealed)}
	hidden := slices.Collect(maps.Values(revealed))
	if proof != nil {
		for _, values := range proof.Header {
			for _, value := range values {
				hidden = append(hidden, secretsOf(value)...)
			}
		}
		for _, values := range proof.Query {
			hidden = append(hidden, values...)
		}
	}
	for _, secret := range hidden {
		if len(secret) >= minSecret {
			s.forms = append(s.forms, secret)
			for _, form := range jsonForms(secret) {
				s.forms = append(append(s.forms, form), jsonForms(form)...) // a text may be JSON itself
			}
			s.forms = append(s.forms, percentForms(secret)...)
		}
	}
	slices.SortFunc(s.forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	s.forms = slices.Compact(s.forms)
	return s
}

// secretsOf gives what must not be seen of a credential header's value: what
// follows the scheme, of Basic also the password, or else the whole value.
func secretsOf(value string) []string {
	scheme, token, _ := strings.Cut(value, " ")
	token = strings.TrimSpace(token)
	switch {
	case len(token) < minSecret:
	case strings.EqualFold(scheme, "bearer"):
		return []string{token}
	case strings.EqualFold(scheme, "basic"):
		pair, err := base64.StdEncoding.DecodeString(token)
		_, password, found := strings.Cut(string(pair), ":")
		if err == nil && found {
			return []string{token, password}
		}
		return []string{token}
	}
	return []string{value}
}

// jsonForms gives a text as JSON strings have it: plain, safe for HTML as Go
// writes it, and with the slashes as PHP writes them.
func jsonForms(s string) []string {
	plain, err := marshal(s)
	safe, safeErr := json.Marshal(s)
	if err != nil || safeErr != nil {
		return nil
	}
	inner := string(plain[1 : len(plain)-1])
	return []string{inner, string(safe[1 : len(safe)-1]), strings.ReplaceAll(inner, "/", `\/`)}
}

var triplet = regexp.MustCompile(`%[0-9A-F]{2}`)

// percentForms gives a text as paths and queries have it, with hexadecimal
// digits of either case.
func percentForms(s string) (forms []string) {
	for _, form := range []string{url.QueryEscape(s), url.PathEscape(s)} {
		forms = append(forms, form, triplet.ReplaceAllStringFunc(form, strings.ToLower))
	}
	return forms
}

// are tells whether these are the secrets of the credentials and the operator's.
func (s *secrets) are(proof *credential.Credentials, revealed map[string]string) bool {
	return s != nil && s.proof == proof && maps.Equal(s.revealed, revealed)
}

// longest is the length of the longest form in bytes.
func (s *secrets) longest() int {
	if s == nil || len(s.forms) == 0 {
		return 0
	}
	return len(s.forms[0])
}

func (s *secrets) standIn(text []byte) bool {
	return s != nil && slices.ContainsFunc(s.forms, func(form string) bool { return bytes.Contains(text, []byte(form)) })
}

// redactText takes the secrets out of a text.
func (s *secrets) redactText(text string) string {
	if s == nil {
		return text
	}
	for _, form := range s.forms {
		text = strings.ReplaceAll(text, form, redacted)
	}
	return text
}

func (s *secrets) redact(text []byte) []byte {
	if !s.standIn(text) {
		return text
	}
	return []byte(s.redactText(string(text)))
}

// delimiters end a number or a literal name of JSON (RFC 8259 §2).
const delimiters = " \t\r\n,:{}[]\""

// redactJSON takes the secrets out of a JSON text or the beginning of one, and
// JSON stays JSON: of a string they are taken as it reads, and a number that
// holds one becomes a string.
func (s *secrets) redactJSON(text []byte) []byte {
	if !s.standIn(text) {
		return text
	}
	out := make([]byte, 0, len(text)+len(redacted))
	for i := 0; i < len(text); {
		end := i + 1
		switch {
		case text[i] == '"':
			if end = stringEnd(text, i); end < 0 || end > len(text) {
				end = len(text)
			}
			out = append(out, s.redactString(text[i:end])...)
		case strings.IndexByte(delimiters, text[i]) >= 0:
			out = append(out, text[i])
		default:
			if n := bytes.IndexAny(text[i:], delimiters); n >= 0 {
				end = i + n
			} else {
				end = len(text)
			}
			if s.standIn(text[i:end]) {
				out = append(out, `"`+redacted+`"`...)
			} else {
				out = append(out, text[i:end]...)
			}
		}
		i = end
	}
	if !json.Valid(out) { // who knows what it is
		return s.redact(out)
	}
	return out
}

// redactString takes the secrets out of a JSON string.
func (s *secrets) redactString(token []byte) []byte {
	if !s.standIn(token) {
		return token
	}
	var text string
	if json.Unmarshal(token, &text) == nil {
		if out, err := marshal(s.redactText(text)); err == nil {
			return out
		}
	}
	return s.redact(token)
}
