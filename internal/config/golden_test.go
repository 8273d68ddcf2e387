package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stagedoor/stagedoor/gateway"
)

func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files and docs/config.md")
	flag.Parse()
	os.Exit(m.Run())
}

// TestGolden loads config.yaml of each archive, with the variables of env and
// beside the other files, and compares the issues or else what differs from the
// defaults. A new fault is a new archive.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) < 40 {
		t.Fatalf("expected at least 40 archives, got %d (%v)", len(archives), err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			section, got := runArchive(t, archive)
			if updating() {
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "issues" || f.Name == "want" })
				archive.Files = append(archive.Files, txtar.File{Name: section, Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(fileOf(archive, section), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", section, diff)
			}
		})
	}
}

func runArchive(t *testing.T, archive *txtar.Archive) (section, got string) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range archive.Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	environ := strings.Split(fileOf(archive, "env"), "\n")
	file, err := Load(filepath.Join(dir, "config.yaml"), environ)
	trim := func(s string) string { return strings.ReplaceAll(s, dir+string(filepath.Separator), "") }
	if err == nil {
		return "want", trim(dump(file.Config))
	}
	var issues Issues
	if !errors.As(err, &issues) {
		t.Fatalf("expected Issues, got %T", err)
	}
	return "issues", trim(issues.Error()) + "\n"
}

func fileOf(archive *txtar.Archive, name string) string {
	for _, f := range archive.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

// dump lists what a config says beyond its defaults, a line a value.
func dump(cfg gateway.Config) string {
	var b bytes.Buffer
	dumpValue(&b, reflect.ValueOf(cfg), reflect.ValueOf(gateway.DefaultConfig()), "")
	return b.String()
}

func dumpValue(b *bytes.Buffer, v, def reflect.Value, path string) {
	if reflect.DeepEqual(v.Interface(), def.Interface()) {
		return
	}
	_, leaf := v.Interface().(fmt.Stringer)
	switch t := v.Type(); {
	case leaf:
		fmt.Fprintf(b, "%s = %v\n", path, v)
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		fmt.Fprintf(b, "%s\n", path)
		dumpValue(b, v.Elem(), reflect.Zero(t.Elem()), path)
	case t.Kind() == reflect.Pointer:
		fmt.Fprintf(b, "%s = %v\n", path, v.Elem())
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			dumpValue(b, v.Field(i), def.Field(i), join(path, t.Field(i).Tag.Get("koanf")))
		}
	case t.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			fmt.Fprintf(b, "%s\n", join(path, k.String()))
			dumpValue(b, v.MapIndex(k), defaultOf(t.Elem()), join(path, k.String()))
		}
	case t.Kind() == reflect.Slice:
		for i := range v.Len() {
			dumpValue(b, v.Index(i), reflect.Zero(t.Elem()), fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		fmt.Fprintf(b, "%s = %v\n", path, v)
	}
}
