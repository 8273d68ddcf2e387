package suggest

import "testing"

func TestHint(t *testing.T) {
	for _, tt := range []struct {
		name       string
		candidates []string
		want       string
	}{
		{"allwo", []string{"allow", "title"}, `did you mean "allow"?`},
		{"invoice.voild", []string{"invoice.void", "invoice.view"}, `did you mean "invoice.void"?`},
		{"zzz", []string{"title", "allow"}, "there is: allow, title"},
		{"anything", nil, ""},
		{"URL", []string{"url"}, `did you mean "url"?`},
	} {
		if got := Hint(tt.name, tt.candidates); got != tt.want {
			t.Errorf("Hint(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"allwo", "allow", 1}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
