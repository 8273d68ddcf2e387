// Package store keeps what must outlive a process or be shared by replicas:
// MCP sessions and the built-in catalog's entities and locations, in SQLite by
// default and in Postgres where the gateway scales out. It is the only package
// that knows SQL.
package store
