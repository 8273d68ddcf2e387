// Package telemetry says what the gateway is doing: the log, the metrics, and
// the short reference that ties a caller's answer to the log line about it.
// It is a leaf: every package may import it, and it imports none of ours.
package telemetry
