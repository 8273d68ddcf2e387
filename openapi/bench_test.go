package openapi

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkRead reads the real documents below STAGEDOOR_CORPUS that have half
// a megabyte or more.
func BenchmarkRead(b *testing.B) {
	dirs := os.Getenv("STAGEDOOR_CORPUS")
	if dirs == "" {
		b.Skip("STAGEDOOR_CORPUS is not set")
	}
	for _, dir := range filepath.SplitList(dirs) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if info, err := d.Info(); err != nil || info.Size() < 500_000 {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b.Run(filepath.Base(path), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					Read(Source{path, data}, Options{Mode: All})
				}
			})
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
