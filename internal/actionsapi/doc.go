// Package actionsapi is the HTTP face of the actions registry, in the wire
// protocol that Backstage's plugins speak among each other: list, invoke v1 and
// v2 (backend-defaults 0.18.0, DefaultActionsRegistryService). A Backstage that
// names the gateway's plugins among its sources has their actions in its MCP
// server and in Software Templates.
package actionsapi
