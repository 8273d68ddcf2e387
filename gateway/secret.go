package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Secret is a value that must not be seen: it prints as [redacted] however it
// is printed. In YAML it is {env: NAME}, {file: PATH} or a plain string.
type Secret struct {
	value string
	env   string
	file  string
}

// SecretValue is a secret given as it is.
func SecretValue(value string) Secret { return Secret{value: value} }

// SecretEnv is the value of an environment variable, read when it is used.
func SecretEnv(name string) Secret { return Secret{env: name} }

// SecretFile is the content of a file without surrounding white space, read
// when it is used, so that a rotated secret is picked up.
func SecretFile(path string) Secret { return Secret{file: path} }

// IsSet tells whether the secret says where its value is.
func (s Secret) IsSet() bool { return s != Secret{} }

// Reveal gives the value, or an error that names its source.
func (s Secret) Reveal() (string, error) {
	switch {
	case s.env != "":
		v, ok := os.LookupEnv(s.env)
		if !ok || v == "" {
			return "", fmt.Errorf("environment variable %s is not set", s.env)
		}
		return v, nil
	case s.file != "":
		b, err := os.ReadFile(s.file)
		if err != nil {
			return "", fmt.Errorf("secret file: %w", err)
		}
		v := strings.TrimSpace(string(b))
		if v == "" {
			return "", fmt.Errorf("secret file %s is empty", s.file)
		}
		return v, nil
	case s.value == "":
		return "", errors.New("secret is not set")
	}
	return s.value, nil
}

// files is the file that the secret is in, if any.
func (s Secret) files() []string {
	if s.file == "" {
		return nil
	}
	return []string{s.file}
}

const redacted = "[redacted]"

// String implements fmt.Stringer; it and its siblings below never tell.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return redacted
}

// Format implements fmt.Formatter, so that no verb, %#v included, tells.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
