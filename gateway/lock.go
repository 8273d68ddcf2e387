package gateway

import (
	"slices"

	"github.com/stagedoor/stagedoor/internal/contract"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// readLock reads the contract lock that the config names.
func (n *generation) readLock() (faults Faults) {
	if n.config.Lock == "" {
		return nil
	}
	var err error
	if n.lock, err = contract.ReadLock(n.config.Lock); err != nil {
		faults.add("lock", "stagedoor lock writes it", "%v", err)
	}
	return faults
}

// broken is what a plugin's actions, as the snapshot has them, break of the
// contract lock.
func (n *generation) broken(s *registry.Snapshot, plugin string) []contract.Change {
	if n.lock == nil {
		return nil
	}
	tools := map[string][]contract.Tool{}
	for _, server := range s.Servers() {
		for _, t := range server.Tools {
			if t.Action.Plugin != plugin {
				continue
			}
			if a, err := s.Action(t.Action.ID); err == nil { // as the plugin has it, whatever the server binds of it
				tools[server.Name] = append(tools[server.Name], contract.Tool{Name: t.Name, Contract: contract.Of(a.ID, a.Action)})
			}
		}
	}
	return n.lock.Broken(plugin, tools)
}

// beyond are the changes that are not among those that there are anyway.
func beyond(changes, anyway []contract.Change) []contract.Change {
	return slices.DeleteFunc(changes, func(c contract.Change) bool { return slices.Contains(anyway, c) })
}

// remaining leaves out what the operator's allowlists took away: the action is
// there, and no tool of that server any more.
func remaining(changes []contract.Change, s *registry.Snapshot) []contract.Change {
	return slices.DeleteFunc(changes, func(c contract.Change) bool {
		_, err := s.Action(c.Action)
		return c.Code == contract.ToolRemoved && err == nil
	})
}
