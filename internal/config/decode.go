package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"

	"github.com/stagedoor/stagedoor/gateway"
)

// delimiter joins koanf's paths. It occurs in no name: the checker refuses
// control characters.
const delimiter = "\x1f"

// decode merges the environment over the tree and makes a config of it. The
// tree is checked, so an error means that the table and the types disagree.
func decode(tree map[string]any, o *overrides, dir string) (gateway.Config, error) {
	cfg := gateway.DefaultConfig()
	k := koanf.New(delimiter)
	if err := k.Load(confmap.Provider(tree, ""), nil); err != nil {
		return cfg, fmt.Errorf("config tree: %w", err)
	}
	environ := func() []string {
		all := make([]string, 0, len(o.environ))
		for name, value := range o.environ {
			all = append(all, name+"="+value)
		}
		return all
	}
	variables := env.Provider(delimiter, env.Opt{Prefix: envPrefix, TransformFunc: o.transform, EnvironFunc: environ})
	if err := k.Load(variables, nil); err != nil {
		return cfg, fmt.Errorf("environment: %w", err)
	}
	err := k.UnmarshalWithConf("", &cfg, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		ErrorUnused: true,
		MatchName:   func(key, field string) bool { return key == field },
		DecodeHook:  func(from, to reflect.Value) (any, error) { return hook(from, to, dir) },
	}})
	if err != nil {
		return cfg, fmt.Errorf("config: %w", err)
	}
	cfg.Database.URL = besideFile(dir, cfg.Database.URL)
	cfg.Lock = resolvePath(dir, cfg.Lock)
	for name, p := range cfg.Plugins {
		cfg.Plugins[name] = resolvePaths(dir, p)
	}
	for _, s := range cfg.Servers {
		for _, p := range s.Prompts {
			for i := range p.Messages {
				m := &p.Messages[i]
				m.Image.File, m.Audio.File = resolvePath(dir, m.Image.File), resolvePath(dir, m.Audio.File)
			}
		}
	}
	return cfg, nil
}

// hook lays defaults down before an entry is decoded, and reads what has a form
// of its own.
func hook(from, to reflect.Value, dir string) (any, error) {
	data := from.Interface()
	if !to.CanAddr() {
		return data, nil
	}
	written, isText := data.(string)
	switch out := to.Addr().Interface().(type) {
	case *gateway.Plugin:
		*out = gateway.DefaultPlugin()
	case *gateway.Publisher:
		*out = gateway.DefaultPublisher()
	case *gateway.Server:
		*out = gateway.DefaultServer()
	case *gateway.Secret:
		if source, ok := data.(map[string]any); ok {
			return gateway.SecretFile(resolvePath(dir, fmt.Sprint(source["file"]))), nil
		}
		return gateway.SecretValue(written), nil
	case *gateway.Rule:
		if isText {
			return gateway.Rule{ID: written}, nil
		}
	case *gateway.Verifier:
		if isText {
			return gateway.Verifier{Use: written}, nil
		}
	case *gateway.PluginAuth:
		if isText {
			return gateway.PluginAuth{Use: written}, nil
		}
	case *gateway.Size:
		return gateway.ParseSize(written)
	case *time.Duration:
		return time.ParseDuration(written)
	}
	return data, nil
}

// resolvePath makes a path relative to the config file's folder. What has a
// scheme is no path.
func resolvePath(dir, path string) string {
	if path == "" || filepath.IsAbs(path) || regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`).MatchString(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// resolvePaths makes the paths of a plugin relative to the config file's folder.
func resolvePaths(dir string, p gateway.Plugin) gateway.Plugin {
	p.Spec = resolvePath(dir, p.Spec)
	p.TLS.CertFile, p.TLS.KeyFile, p.TLS.CAFile = resolvePath(dir, p.TLS.CertFile), resolvePath(dir, p.TLS.KeyFile), resolvePath(dir, p.TLS.CAFile)
	for _, paths := range [][]string{p.Overlays, p.Locations} {
		for i := range paths {
			paths[i] = resolvePath(dir, paths[i])
		}
	}
	return p
}

// besideFile makes the path of an SQLite database relative to the folder.
func besideFile(dir string, url gateway.Secret) gateway.Secret {
	plain, err := url.Reveal()
	if err != nil {
		return url
	}
	path, isSQLite := strings.CutPrefix(plain, "sqlite:")
	if !isSQLite || path == "" || path == ":memory:" || filepath.IsAbs(path) {
		return url
	}
	return gateway.SecretValue("sqlite:" + filepath.Join(dir, path))
}
