package invoke

import (
	"encoding/json"
	"strings"
	"testing"
)

func decode(t testing.TB, s string) any {
	t.Helper()
	v, err := unmarshal([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

// The table of OpenAPI 3.1.1 §4.8.12.6, and the edges that it leaves out.
const (
	colors    = `["blue","black","brown"]`
	colorsRGB = `{"R":100,"G":200,"B":150}`
)

func TestPathValue(t *testing.T) {
	for _, tt := range []struct {
		style   string
		explode bool
		value   string
		want    string
	}{
		{"simple", false, `"blue"`, "blue"},
		{"simple", false, colors, "blue,black,brown"},
		{"simple", true, colors, "blue,black,brown"},
		{"simple", false, colorsRGB, "B,150,G,200,R,100"},
		{"simple", true, colorsRGB, "B=150,G=200,R=100"},
		{"label", false, `"blue"`, ".blue"},
		{"label", false, colors, ".blue,black,brown"},
		{"label", true, colors, ".blue.black.brown"},
		{"label", false, colorsRGB, ".B,150,G,200,R,100"},
		{"label", true, colorsRGB, ".B=150.G=200.R=100"},
		{"matrix", false, `"blue"`, ";color=blue"},
		{"matrix", false, `""`, ";color"},
		{"matrix", true, `["","a"]`, ";color;color=a"},
		{"matrix", true, `{"R":"","G":"="}`, ";G=%3D;R"},
		{"matrix", false, colors, ";color=blue,black,brown"},
		{"matrix", true, colors, ";color=blue;color=black;color=brown"},
		{"matrix", false, colorsRGB, ";color=B,150,G,200,R,100"},
		{"matrix", true, colorsRGB, ";B=150;G=200;R=100"},
		{"spaceDelimited", false, colors, "blue%20black%20brown"},
		{"tabDelimited", false, colors, "blue%09black%09brown"},
		{"simple", false, `9007199254740993`, "9007199254740993"},
		{"simple", false, `true`, "true"},
		{"simple", false, `"a/b\\c?d#e%2e"`, "a%2Fb%5Cc%3Fd%23e%252e"},
		{"simple", false, `"ü \u0000"`, "%C3%BC%20%00"},
	} {
		if got := pathValue("color", tt.style, tt.explode, decode(t, tt.value), escape); got != tt.want {
			t.Errorf("%s explode=%v %s: got %s, want %s", tt.style, tt.explode, tt.value, got, tt.want)
		}
	}
}

func TestQueryPairs(t *testing.T) {
	for _, tt := range []struct {
		style   string
		explode bool
		value   string
		want    string
	}{
		{"form", true, `"blue"`, "color=blue"},
		{"form", true, `""`, "color="},
		{"form", true, `false`, "color=false"},
		{"form", true, `null`, ""},
		{"form", true, colors, "color=blue&color=black&color=brown"},
		{"form", false, colors, "color=blue,black,brown"},
		{"form", true, colorsRGB, "B=150&G=200&R=100"},
		{"form", false, colorsRGB, "color=B,150,G,200,R,100"},
		{"form", true, `[]`, ""},
		{"form", false, `[null]`, ""},
		{"form", true, `{"a":null}`, ""},
		{"form", true, `["a",null,"b"]`, "color=a&color=b"},
		{"form", false, `{}`, ""},
		{"spaceDelimited", false, colors, "color=blue%20black%20brown"},
		{"spaceDelimited", false, colorsRGB, "color=B%20150%20G%20200%20R%20100"},
		{"spaceDelimited", true, colors, "color=blue&color=black&color=brown"},
		{"pipeDelimited", false, colors, "color=blue%7Cblack%7Cbrown"},
		{"tabDelimited", false, colors, "color=blue%09black%09brown"},
		{"deepObject", true, colorsRGB, "color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100"},
		{"deepObject", true, `{"a":{"b":[1,2]},"c":null}`, "color%5Ba%5D%5Bb%5D%5B0%5D=1&color%5Ba%5D%5Bb%5D%5B1%5D=2"},
		{"deepObject", true, `[{"a":1},null,{"b":[]},{"a":2,"b":[]}]`, "color%5B0%5D%5Ba%5D=1&color%5B1%5D%5Ba%5D=2"},
		{"form", true, `"a&b=c d+e,f"`, "color=a%26b%3Dc%20d%2Be%2Cf"},
		{"form", false, `["a,b","c"]`, "color=a%2Cb,c"},
		{"form", true, `[{"a":1}]`, "color=%7B%22a%22%3A1%7D"},
		{"form", true, `1.50`, "color=1.50"},
	} {
		if got := strings.Join(queryPairs("color", tt.style, tt.explode, decode(t, tt.value), escape), "&"); got != tt.want {
			t.Errorf("%s explode=%v %s: got %s, want %s", tt.style, tt.explode, tt.value, got, tt.want)
		}
	}
	named := strings.Join(queryPairs("a=b", "form", true, decode(t, `{"c=d%20":"e=f"}`), escapeReserved), "&")
	if want := "c%3Dd%20=e=f"; named != want {
		t.Errorf("allowReserved, names: got %s, want %s", named, want)
	}
	reserved := strings.Join(queryPairs("filter", "form", true, "kind=a,b:c/d?e&f#g+h%[i]%2Fj%2", escapeReserved), "&")
	if want := "filter=kind=a,b:c/d?e%26f%23g%2Bh%25%5Bi%5D%2Fj%252"; reserved != want {
		t.Errorf("allowReserved: got %s, want %s", reserved, want)
	}
}

func TestHeaderValue(t *testing.T) {
	for _, tt := range []struct {
		style   string
		explode bool
		value   string
		want    string
	}{
		{"simple", false, `"blue"`, "blue"},
		{"simple", false, colors, "blue,black,brown"},
		{"simple", false, colorsRGB, "B,150,G,200,R,100"},
		{"simple", true, colorsRGB, "B=150,G=200,R=100"},
		{"simple", false, `12345678901234567890`, "12345678901234567890"},
		{"pipeDelimited", false, colors, "blue|black|brown"},
		{"tabDelimited", false, colors, "blue\tblack\tbrown"},
	} {
		if got := headerValue(tt.style, tt.explode, decode(t, tt.value)); got != tt.want {
			t.Errorf("explode=%v %s: got %s, want %s", tt.explode, tt.value, got, tt.want)
		}
	}
}

func TestScalarKeepsNumbers(t *testing.T) {
	for _, n := range []string{"0", "-0", "1e400", "9007199254740993", "0.1", "1.0"} {
		if got := scalar(json.Number(n)); got != n {
			t.Errorf("%s became %s", n, got)
		}
	}
}

func TestIntegers(t *testing.T) {
	got := integers(decode(t, `[1, 1.0, 1e2, -2.50e1, 1.5, 9007199254740993.0, 1e999999999, "1.0", null]`))
	want := `[1,1,100,-25,1.5,9007199254740993,1e999999999,"1.0",null]`
	if text, err := marshal(got); err != nil || string(text) != want {
		t.Errorf("got %s %v, want %s", text, err, want)
	}
}
