package store

import "github.com/shenscan/shenscan/internal/ecs"

// scope is what is kept in memory of one account and region. Only the writer
// touches it.
type scope struct {
	no  uint32
	key ecs.Scope
	scopeValue

	ix      *index         // nil while nobody writes
	counts  map[uint32]int // present instances by class
	present int
	gone    int
	snap    *scopeSnap // as published; nil once it changed
}
