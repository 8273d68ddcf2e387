// Package mcpserver serves named MCP servers over HTTP, at /mcp/{server}.
//
// The transport is ours, the protocol's breadth is mcp-go's: tools/list and
// tools/call take a straight path (list.go, call.go), all else goes through
// mcp-go's HandleMessage (engine.go). A test holds the path equal to mcp-go's own.
//
// Five protocol revisions share one endpoint and each request says which era
// it belongs to. Legacy (2024-11-05 to 2025-11-25, legacy.go) has sessions,
// which live in the database and belong to one server and one principal;
// modern (2026-07-28, modern.go) has none: each request tells all.
package mcpserver
