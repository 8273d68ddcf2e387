package catalog

import (
	"net/url"
	"strings"
)

func isAny(string) bool        { return true }
func isFilled(s string) bool   { return s != "" }
func isNotBlank(s string) bool { return strings.TrimSpace(s) != "" }

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != ""
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// isName: letters and digits, separated by any of -_. inside.
func isName(s string) bool {
	if len(s) == 0 || len(s) > 63 || !isAlnum(s[0]) || !isAlnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && !strings.ContainsRune("-_.", rune(s[i])) {
			return false
		}
	}
	return true
}

// isLabel: a DNS label, as namespaces are.
func isLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if s[i] != '-' && !isLowerAlnum(s[i]) {
			return false
		}
	}
	return true
}

// isTag: what Backstage takes for one, so that c++, c# and a:b can be tags.
func isTag(s string) bool {
	if len(s) == 0 || len(s) > 63 {
		return false
	}
	for part := range strings.SplitSeq(s, "-") {
		if part == "" {
			return false
		}
		for i := range len(part) {
			if !isLowerAlnum(part[i]) && !strings.ContainsRune(":+#", rune(part[i])) {
				return false
			}
		}
	}
	return true
}

func isLowerAlnum(c byte) bool { return isAlnum(c) && (c < 'A' || c > 'Z') }

func isDomain(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabelValue(s string) bool { return s == "" || isName(s) }

func isQualified(s string) bool {
	prefix, name, found := strings.Cut(s, "/")
	if !found {
		return isName(s)
	}
	return isDomain(prefix) && isName(name)
}

func isAPIVersion(s string) bool {
	prefix, version, found := strings.Cut(s, "/")
	if !found {
		return len(s) <= 63 && isAlnums(s)
	}
	return isDomain(prefix) && len(version) <= 63 && isAlnums(version)
}

func isKind(s string) bool {
	return len(s) <= 63 && isAlnums(s) && (s[0] < '0' || s[0] > '9')
}

func isAlnums(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) {
			return false
		}
	}
	return s != ""
}
