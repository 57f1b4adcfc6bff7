package ecsapi

import (
	"context"
	"sync"
)

// memoryShared is a Shared within one process.
type memoryShared struct {
	mu sync.Mutex
	m  map[string]memoryEntry
}

type memoryEntry struct {
	value    []byte
	revision uint64
}

func newMemoryShared() *memoryShared { return &memoryShared{m: map[string]memoryEntry{}} }

func (s *memoryShared) Load(_ context.Context, key string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.m[key]
	return append([]byte(nil), e.value...), e.revision, nil
}

func (s *memoryShared) Store(_ context.Context, key string, value []byte, expect uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[key].revision != expect {
		return ErrConflict
	}
	s.m[key] = memoryEntry{append([]byte(nil), value...), expect + 1}
	return nil
}
