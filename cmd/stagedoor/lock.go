package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stagedoor/stagedoor/gateway"
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
not written, unless --accept takes them: of all plugins, or of those that are named.
The gateway keeps a generation in quarantine that breaks the lock. docs/diff.md
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
	away    []string // plugins whose tools stay locked as they are
	tools   int
}

func (p *program) runLock(ctx context.Context, f *lockFlags, accepted []string) error {
	state, err := p.readLock(ctx, *f.config, accepted)
	if err != nil {
		return err
	}
	for _, plugin := range state.away {
		fmt.Fprintf(p.stderr, "plugin %s is not registered: its tools stay locked as they are\n", plugin)
	}
	for _, name := range accepted {
		if !slices.Contains(state.plugins, name) {
			return errors.New(strings.TrimSpace(fmt.Sprintf("no tool of a plugin %q is locked or to be locked (%s)", name, suggest.Hint(name, state.plugins))))
		}
	}
	if f.check {
		return p.checkLock(state, *f.json)
	}
	takes := func(c contract.Change) bool {
		return !c.Breaking || f.accept && (len(accepted) == 0 || slices.Contains(accepted, contract.PluginOf(c.Action)))
	}
	refused := slices.DeleteFunc(slices.Clone(state.changes), takes)
	if len(refused) > 0 {
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
	fmt.Fprintf(p.stderr, "%s is written; locked tools: %d\n", state.path, state.tools)
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

// readLock compares the lock of a config with its documents. The lock itself
// holds nothing back here.
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
	g, err := gateway.New(ctx, cfg, gateway.Offline(), gateway.WithRegistered(), gateway.WithProgress(p.progress()))
	if err != nil {
		return nil, located(file, err)
	}
	defer g.Close()
	away := awayFrom(g, cfg)
	state.compare(serverTools(g), func(plugin string) bool { return away(plugin) && !slices.Contains(accepted, plugin) })
	return state, nil
}

// compare works out what would be written. The tools of plugins that are away
// stay locked as they are.
func (s *lockState) compare(servers []contract.ServerTools, away func(plugin string) bool) {
	s.next = contract.NewLock(servers)
	s.plugins = s.next.Plugins()
	if s.old != nil {
		s.changes = slices.DeleteFunc(s.old.Check(servers), func(c contract.Change) bool { return away(contract.PluginOf(c.Action)) })
		for _, plugin := range s.old.Plugins() {
			if away(plugin) {
				s.next.Keep(s.old, plugin)
				s.away = append(s.away, plugin)
			} else if !slices.Contains(s.plugins, plugin) {
				s.plugins = append(s.plugins, plugin)
			}
		}
	}
	for _, tools := range s.next.Servers {
		s.tools += len(tools)
	}
}

// awayFrom tells of plugins that can register themselves with a running gateway:
// what they offer is not known here.
func awayFrom(g *gateway.Gateway, cfg gateway.Config) func(plugin string) bool {
	here := map[string]bool{}
	for _, a := range g.Actions() {
		here[a.Plugin] = true
	}
	return func(plugin string) bool { return len(cfg.Publishers) > 0 && !here[plugin] }
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
