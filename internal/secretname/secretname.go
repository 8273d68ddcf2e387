// Package secretname tells by their names which values are not to be shown.
package secretname

import (
	"regexp"
	"strings"
)

var (
	secret = regexp.MustCompile(`pass(word|wd|phrase|code)|pwd|secret|credential|token|bearer|authorization|cookie|jwt|` +
		`(api|access|account|private|signing|encryption|master|session|ssh)key|(^|card)(pin|cvv2?|cvc2?)(code)?$|^t?otp(code)?$|securitycode$`)
	// harmless are tokens of pages and of language models.
	harmless = regexp.MustCompile(`^(next|previous|prev|start|page|paging|continuation|cursor|sync)+tokens?$|^(max|min|total|input|output|prompt|completion)+tokens$|^tokens?(count|limit)$`)
	// naming are names of what says which secret is meant.
	naming = regexp.MustCompile(`(Ids?|IDs?|Names?|[-_](id|name)s?)$`)
	joint  = regexp.MustCompile(`[-_. ]+`)
)

// Is tells whether a name is that of a secret, as passwords, keys and tokens
// are called, however its words are joined.
func Is(name string) bool {
	words := joint.ReplaceAllString(strings.ToLower(name), "")
	switch {
	case strings.HasSuffix(words, "sessionid"): // who knows it has the session
		return true
	case naming.MatchString(name), harmless.MatchString(words):
		return false
	}
	return secret.MatchString(words)
}
