// Package store keeps what must outlive a process or be shared by replicas:
// MCP sessions with their streams, mail, tasks and signals, what plugins published
// and registered, and the built-in catalog's entities and locations, in SQLite by default and in Postgres where
// the gateway scales out. It is the only package that knows SQL.
//
// On Postgres each call has a bound of 2 seconds, and of 30 where it concerns
// many rows. The error of one that found no database is session.ErrAway.
package store
