package session

import "time"

// Replica is a running gateway process.
type Replica struct {
	ID         string
	Generation string // hash of the config and documents that it serves
	Started    time.Time
	Seen       time.Time
}
