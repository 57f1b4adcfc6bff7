package bus

import (
	"maps"
	"slices"
	"sync"
)

// awaited holds the consumers and services of this process that have not begun.
type awaited struct {
	mu sync.Mutex
	of map[string]struct{}
}

func (a *awaited) add(names ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[string]struct{}{}
	}
	for _, name := range names {
		a.of[name] = struct{}{}
	}
}

func (a *awaited) begun(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, name)
}

// Await notes the consumers and services, by name, that this process is about to
// run. Until each has begun it is named by Awaited: a process that said it is
// ready before would leave the first request without an answer.
func (b *Bus) Await(names ...string) { b.awaited.add(names...) }

// Awaited are the names, sorted, of what was announced by Await and has not begun,
// and of services that have ended.
func (b *Bus) Awaited() []string {
	b.awaited.mu.Lock()
	defer b.awaited.mu.Unlock()
	return slices.Sorted(maps.Keys(b.awaited.of))
}
