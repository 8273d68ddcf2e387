// Package canary puts a secret that is like no other in every place where a
// config, a caller or a plugin can have one, uses all of them, and looks for
// them wherever they must not be.
package canary

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// special are characters that have to be escaped in JSON, URLs or headers.
const special = `-p"s/w+o&r=d%`

// cage has the canaries by their names, and says where in a config they are.
type cage struct {
	dir   string
	birds map[string]string // the core of each: letters and digits, in no need of escapes
	env   []string
	next  int
}

func newCage(dir string) *cage { return &cage{dir: dir, birds: map[string]string{}} }

// hatch makes the canary of a name, or gives the one that there is.
func (c *cage) hatch(name string) string {
	if c.birds[name] == "" {
		c.birds[name] = strings.ToLower("cnry" + rand.Text())
	}
	return c.birds[name]
}

// value is the secret of a name: a canary, with special characters where the
// name asks for them with a "!", twice and in base64 with a "~".
func (c *cage) value(name string) string {
	switch bird := c.hatch(name); {
	case strings.HasSuffix(name, "!"):
		return bird + special
	case strings.HasSuffix(name, "~"):
		return base64.StdEncoding.EncodeToString([]byte(bird + bird))
	case strings.HasSuffix(name, "@"): // a database's URL
		return "postgres://gateway:" + bird + "@127.0.0.1:1/gateway"
	default:
		return bird
	}
}

var placeholder = regexp.MustCompile(`\$\{[^}]+\}`)

// fill puts canaries in the places ${name} of a config: as environment
// variables, files and plain strings in turn.
func (c *cage) fill(t *testing.T, config string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(config, func(place string) string {
		name := place[2 : len(place)-1]
		value := c.value(name)
		c.next++
		switch c.next % 3 {
		case 0:
			variable := fmt.Sprintf("CANARY_%d", c.next)
			c.env = append(c.env, variable+"="+value)
			return "{env: " + variable + "}"
		case 1:
			file := fmt.Sprintf("secret-%d", c.next)
			if err := os.WriteFile(filepath.Join(c.dir, file), []byte(value+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return "{file: " + file + "}"
		}
		return "'" + value + "'" // YAML's plainest quotes
	})
}

// forms are how a canary may show: as it is, in hexadecimal, and in base64 at
// any offset. Percent-encoding and JSON leave its letters and digits alone.
func forms(bird string) (all []string) {
	all = []string{bird, hex.EncodeToString([]byte(bird)), strings.ToUpper(hex.EncodeToString([]byte(bird)))}
	for offset := range 3 {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, offset), bird...))
		from, to := (offset*8+5)/6, (offset+len(bird))*8/6
		all = append(all, text[from:to])
	}
	return all
}

// look tells which canaries are in a text, and around what.
func (c *cage) look(text string) (found []string) {
	lower := strings.ToLower(text)
	for name, bird := range c.birds {
		for i, form := range forms(bird) {
			at := strings.Index(text, form)
			if i == 0 {
				at = strings.Index(lower, form)
			}
			if at >= 0 {
				found = append(found, fmt.Sprintf("%s in %.400q", name, text[max(0, at-200):min(len(text), at+200)]))
				break
			}
		}
	}
	slices.Sort(found)
	return found
}

var secretType = reflect.TypeFor[gateway.Secret]()

// places are all paths of a config's type at which there is a secret; [] and *
// stand for items and names.
func places(t reflect.Type, path string) (all []string) {
	switch {
	case t == secretType:
		return []string{path}
	case t.Kind() == reflect.Pointer:
		return places(t.Elem(), path)
	case t.Kind() == reflect.Slice:
		return places(t.Elem(), path+"[]")
	case t.Kind() == reflect.Map:
		return places(t.Elem(), path+".*")
	case t.Kind() == reflect.Struct:
		for field := range t.Fields() {
			if key := field.Tag.Get("koanf"); key != "" && key != "-" {
				all = append(all, places(field.Type, strings.TrimPrefix(path+"."+key, "."))...)
			}
		}
	}
	return all
}

// taken notes the paths at which a config has a canary.
func (c *cage) taken(v reflect.Value, path string, in map[string]bool) {
	if secret, ok := v.Interface().(gateway.Secret); ok {
		value, err := secret.Reveal()
		if decoded, notBase64 := base64.StdEncoding.DecodeString(value); notBase64 == nil {
			value += string(decoded)
		}
		if err == nil && len(c.look(value)) > 0 {
			in[path] = true
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.taken(v.Elem(), path, in)
		}
	case reflect.Slice:
		for i := range v.Len() {
			c.taken(v.Index(i), path+"[]", in)
		}
	case reflect.Map:
		for _, element := range v.Seq2() {
			c.taken(element, path+".*", in)
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			if key := field.Tag.Get("koanf"); key != "" && key != "-" {
				c.taken(value, strings.TrimPrefix(path+"."+key, "."), in)
			}
		}
	}
}

// TestForms holds the search itself to what it has to find.
func TestForms(t *testing.T) {
	c := newCage(t.TempDir())
	bird := c.hatch("x")
	for name, text := range map[string]string{
		"plain": "a" + bird + "b", "hex": fmt.Sprintf("%x", "a"+bird), "HEX": fmt.Sprintf("%X", bird+"b"),
		"base64 0": base64.StdEncoding.EncodeToString([]byte(bird)), "base64 1": base64.StdEncoding.EncodeToString([]byte("u" + bird + "..")),
		"base64 2": base64.RawURLEncoding.EncodeToString([]byte("us" + bird + ".")), "basic": base64.StdEncoding.EncodeToString([]byte("user:" + bird)),
		"upper": strings.ToUpper(bird),
	} {
		if len(c.look(text)) != 1 {
			t.Errorf("%s: not found in %s", name, text)
		}
	}
	if found := c.look(bird[:len(bird)-1] + " " + bird[1:]); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}
