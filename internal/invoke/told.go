package invoke

import "log/slog"

// Told is what a caller reads of the error: the message, with the reference
// where the log knows more than the caller.
func (e *Error) Told(ref string) string {
	switch e.Kind {
	case Timeout, Unavailable:
		return e.Message + " (reference " + ref + ")"
	case Internal:
		return ToldInternal(ref)
	}
	return e.Message
}

// ToldInternal is all that a caller reads of a fault of the gateway.
func ToldInternal(ref string) string { return "internal error (reference " + ref + ")" }

// Level is how severe an outcome of a call, a [Kind] or some other word, is in
// the log.
func Level(outcome string) slog.Level {
	switch Kind(outcome) {
	case Internal:
		return slog.LevelError
	case Unavailable, Timeout, TooLarge:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
