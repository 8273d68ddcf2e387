package signing

import (
	"context"
	"slices"
	"sync"
)

// memory keeps keys as long as the process lives.
type memory struct {
	sync.Mutex
	keys []Key
}

func (m *memory) SigningKeys(context.Context) ([]Key, error) {
	m.Lock()
	defer m.Unlock()
	return slices.Clone(m.keys), nil
}

func (m *memory) AddSigningKey(_ context.Context, k Key) error {
	m.Lock()
	defer m.Unlock()
	if !slices.ContainsFunc(m.keys, func(o Key) bool { return o.Sequence == k.Sequence }) {
		m.keys = append(m.keys, k)
	}
	return nil
}

func (m *memory) RemoveSigningKey(_ context.Context, id string) error {
	m.Lock()
	defer m.Unlock()
	m.keys = slices.DeleteFunc(m.keys, func(k Key) bool { return k.ID == id })
	return nil
}
