package telemetry

import (
	"context"
	"crypto/rand"
)

type refKey struct{}

// refAlphabet is Crockford's base32 in lower case: nothing in it is mistaken
// for something else when a person reads it out.
const refAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const refLength = 10

// WithRef gives the context a fresh reference, or the one that it already has.
func WithRef(ctx context.Context) (context.Context, string) {
	if ref := Ref(ctx); ref != "" {
		return ctx, ref
	}
	ref := newRef()
	return context.WithValue(ctx, refKey{}, ref), ref
}

// Ref gives the context's reference, empty where it has none.
func Ref(ctx context.Context) string {
	ref, _ := ctx.Value(refKey{}).(string)
	return ref
}

func newRef() string {
	var b [refLength]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	for i := range b {
		b[i] = refAlphabet[b[i]%byte(len(refAlphabet))]
	}
	return string(b[:])
}
