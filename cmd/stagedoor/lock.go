package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
	"github.com/stagedoor/stagedoor/internal/contract"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// lockFlags are those of lock.
type lockFlags struct {
	config *string
	check  bool
	accept bool
	json   *bool
}

func (p *program) lock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lock [PLUGIN...]",
		Short: "Write the contract lock: what all tools promise, as it was accepted",
		Long: `Reads all documents of the config and writes what their tools promise to the
file that the config names under lock. Changes that break callers are printed and
not written, unless --accept takes them: of all plugins, or of those that are named;
then the tools of others that break callers stay locked as they are. So do those of
plugins that cannot be read, with a warning. The gateway keeps a generation in quarantine that breaks the lock. docs/diff.md
explains each code.`,
		Example: "  stagedoor lock --config config.yaml\n  stagedoor lock --check\n  stagedoor lock --accept billing",
	}
	f := lockFlags{config: configFlag(cmd), json: jsonFlag(cmd)}
	cmd.Flags().BoolVar(&f.check, "check", false, "write nothing; exit with 1 when the file is not up to date")
	cmd.Flags().BoolVar(&f.accept, "accept", false, "take changes that break callers, of all plugins or of those that are named")
	cmd.MarkFlagsMutuallyExclusive("check", "accept")
	cmd.PreRunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 && !f.accept {
			return errors.New("names of plugins go with --accept")
		}
		return nil
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error { return p.runLock(cmd.Context(), &f, args) })
	return cmd
}

// lockState is what a lock file has, and would have.
type lockState struct {
	path    string
	written []byte         // nil: there is no file
	old     *contract.Lock // likewise
	next    *contract.Lock
	changes []contract.Change
	plugins []string // with tools that are locked, or are to be
}

func (p *program) runLock(ctx context.Context, f *lockFlags, accepted []string) error {
	state, err := p.readLock(ctx, *f.config, accepted)
	if err != nil {
		return err
	}
	for _, name := range accepted {
		if !slices.Contains(state.plugins, name) {
			return errors.New(strings.TrimSpace(fmt.Sprintf("no tool of a plugin %q is locked or to be locked (%s)", name, suggest.Hint(name, state.plugins))))
		}
	}
	if f.check {
		return p.checkLock(state, *f.json)
	}
	if len(accepted) > 0 {
		for _, plugin := range state.hold(accepted) {
			fmt.Fprintf(p.stderr, "plugin %s breaks callers, and is not accepted: its tools stay locked as they are\n", plugin)
		}
	}
	refused := slices.DeleteFunc(slices.Clone(state.changes), func(c contract.Change) bool { return !c.Breaking })
	if len(refused) > 0 && !f.accept {
		err := p.printChanges(refused, *f.json, "none")
		fmt.Fprintf(p.stderr, "%s is left as it was: stagedoor lock --accept takes what breaks callers\n", state.path)
		return errors.Join(err, errSilent)
	}
	if err := state.next.Write(state.path); err != nil {
		return err
	}
	if *f.json || state.old != nil {
		if err := p.printChanges(state.changes, *f.json, "none"); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.stderr, "%s is written; locked tools: %d\n", state.path, state.next.Size())
	return nil
}

// checkLock fails where the file is not what lock would write.
func (p *program) checkLock(state *lockState, asJSON bool) error {
	if state.old == nil {
		return fmt.Errorf("%s: there is no such file: stagedoor lock writes it", state.path)
	}
	next, err := state.next.Bytes()
	if err != nil {
		return err
	}
	if err := p.printChanges(state.changes, asJSON, "any"); err != nil {
		return err
	}
	if !bytes.Equal(next, state.written) {
		return fmt.Errorf("%s: is not up to date: stagedoor lock writes it", state.path)
	}
	return nil
}

// readLock compares the lock of a config with its documents, and tells of the
// plugins that are away. The lock itself holds nothing back here.
func (p *program) readLock(ctx context.Context, path string, accepted []string) (*lockState, error) {
	file, err := p.load(ctx, path)
	if err != nil {
		return nil, err
	}
	cfg := file.Config
	state := &lockState{path: cfg.Lock}
	if cfg.Lock == "" {
		return nil, fmt.Errorf("%s: there is no lock: add for example lock: actions.lock", path)
	}
	if state.written, err = os.ReadFile(cfg.Lock); err == nil {
		state.old, err = contract.ReadLock(cfg.Lock)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	cfg.Lock = ""
	g, down, err := p.readable(ctx, file, cfg, accepted)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	here := map[string]bool{}
	for _, a := range g.Actions() {
		here[a.Plugin] = true
	}
	state.compare(serverTools(g))
	for _, plugin := range down {
		fmt.Fprintf(p.stderr, "plugin %s cannot be read: %s\n", plugin, state.leave(plugin))
	}
	for _, plugin := range state.plugins {
		// What may register itself, and has not, is not known here.
		if len(cfg.Publishers) > 0 && !here[plugin] && !slices.Contains(down, plugin) && !slices.Contains(accepted, plugin) {
			fmt.Fprintf(p.stderr, "plugin %s is not registered: %s\n", plugin, state.leave(plugin))
		}
	}
	return state, nil
}

// readable makes a gateway of the plugins that can be read, and names the
// others. One of which changes are to be accepted has to be there.
func (p *program) readable(ctx context.Context, file *config.File, cfg gateway.Config, accepted []string) (g *gateway.Gateway, down []string, err error) {
	options := []gateway.Option{gateway.Offline(), gateway.WithProgress(p.progress())}
	if len(cfg.Publishers) > 0 {
		options = append(options, gateway.WithRegistered())
	}
	cfg.Plugins = maps.Clone(cfg.Plugins)
	for {
		if g, err = gateway.New(ctx, cfg, options...); err == nil {
			return g, down, nil
		}
		silent, faults := unread(err, cfg)
		if len(silent) == 0 || slices.ContainsFunc(silent, func(name string) bool { return slices.Contains(accepted, name) || slices.Contains(down, name) }) {
			return nil, nil, located(file, err)
		}
		p.complain(located(file, faults))
		down = append(down, silent...)
		cfg = withdraw(cfg, silent)
	}
}

// unread names the plugins of which an error says that they cannot be read,
// and what it says of them.
func unread(err error, cfg gateway.Config) (names []string, about gateway.Faults) {
	var faults gateway.Faults
	errors.As(err, &faults)
	for _, f := range faults {
		name, key, _ := strings.Cut(strings.TrimPrefix(f.Path, "plugins."), ".")
		if _, listed := cfg.Plugins[name]; !listed || !strings.HasPrefix(f.Path, "plugins.") || key != "" && key != "spec" && key != "backstage" {
			continue
		}
		about = append(about, f)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, about
}

// withdraw has plugins count as such that may register themselves, and have
// not: rules about them are no faults, and nobody is asked for them.
func withdraw(cfg gateway.Config, names []string) gateway.Config {
	publishers := map[string]gateway.Publisher{}
	maps.Copy(publishers, cfg.Publishers)
	absent := gateway.DefaultPublisher()
	absent.Token, absent.BaseURLs = gateway.SecretValue("nobody has this token"), []string{"http://absent.invalid"}
	for _, name := range names {
		delete(cfg.Plugins, name)
		absent.Plugins = []string{name}
		publishers["absent-"+name] = absent
	}
	cfg.Publishers = publishers
	return cfg
}

// compare works out what would be written.
func (s *lockState) compare(servers []contract.ServerTools) {
	s.next = contract.NewLock(servers)
	s.plugins = s.next.Plugins()
	if s.old != nil {
		s.changes = s.old.Check(servers)
		s.plugins = append(s.plugins, s.old.Plugins()...)
		slices.Sort(s.plugins)
		s.plugins = slices.Compact(s.plugins)
	}
}

// leave has a plugin's tools stay locked as they are, and says so.
func (s *lockState) leave(plugin string) string {
	if s.old == nil || !slices.Contains(s.old.Plugins(), plugin) {
		return "none of its tools is locked"
	}
	s.next.Keep(s.old, plugin)
	s.changes = slices.DeleteFunc(s.changes, func(c contract.Change) bool { return contract.PluginOf(c.Action) == plugin })
	return "its tools stay locked as they are"
}

// hold leaves the plugins as they are that break callers and were not accepted,
// and names them.
func (s *lockState) hold(accepted []string) (held []string) {
	for _, c := range s.changes {
		plugin := contract.PluginOf(c.Action)
		if c.Breaking && !slices.Contains(accepted, plugin) && !slices.Contains(held, plugin) {
			held = append(held, plugin)
		}
	}
	for _, plugin := range held {
		s.leave(plugin)
	}
	return held
}

// serverTools gives the tools of all servers with their contracts.
func serverTools(g *gateway.Gateway) []contract.ServerTools {
	contracts := map[string]contract.Contract{}
	for _, a := range g.Actions() {
		contracts[a.ID] = contract.Of(a.ID, a.Action)
	}
	var servers []contract.ServerTools
	for _, s := range g.Servers() {
		tools := contract.ServerTools{Server: s.Name}
		for _, t := range s.Tools {
			tools.Tools = append(tools.Tools, contract.Tool{Name: t.Name, Contract: contracts[t.Action]})
		}
		servers = append(servers, tools)
	}
	return servers
}
