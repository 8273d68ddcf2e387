package gateway

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stagedoor/stagedoor/internal/registry"
)

// serverSpecs says the servers in the registry's words. What is known to be
// wrong is left out.
func (c Config) serverSpecs(at gates, known Faults) (out []registry.ServerSpec, faults Faults) {
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		s := c.Servers[name]
		spec := registry.ServerSpec{
			Name: name, Title: s.Title, Version: s.Version, Description: s.Description, WebsiteURL: s.WebsiteURL, Icons: icons(s.Icons),
			Instructions: s.Instructions, ListPage: s.ListPage, ToolNames: s.ToolNames,
			NoLegacySSE: s.LegacySSE == "off", ConfirmDestructive: s.Confirm == "destructive",
			Include: rules("servers."+name+".actions.include", s.Actions.Include),
			Exclude: rules("servers."+name+".actions.exclude", s.Actions.Exclude),
			Scopes:  s.Scopes.scopes("mcp"), Gate: at.servers[name], Limits: s.Limits.limits(),
		}
		spec.Rules, spec.Ruled = c.accessRules(name, "servers."+name+".rules", s.Rules)
		spec.Arguments = argumentRules("servers."+name+".arguments", s.Arguments, known)
		if s.Tasks.Support == "on" {
			spec.TaskAfter = s.Tasks.After
		}
		if spec.Title == "" {
			spec.Title = name
		}
		if spec.Version == "" {
			spec.Version = Version
		}
		if known.about("servers." + name + ".toolNames") {
			spec.ToolNames = registry.DefaultToolNames
		}
		spec.Prompts = s.prompts(&faults, "servers."+name+".prompts", known)
		spec.Resources = s.resources("servers."+name+".resources", known)
		out = append(out, spec)
	}
	return out, faults
}

func rules(path string, in []Rule) []registry.Rule {
	out := make([]registry.Rule, 0, len(in))
	for i, r := range in {
		out = append(out, registry.Rule{
			Path: fmt.Sprintf("%s[%d]", path, i), ID: r.ID, Plugin: r.Plugin, Tags: r.Tags, Attributes: registry.AttributeSet(r.Attributes),
		})
	}
	return out
}
