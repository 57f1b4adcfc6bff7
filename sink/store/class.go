package store

import (
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// classOf reduces a classification.
func classOf(cl *rules.Classification) format.Class {
	levels := make([]byte, len(cl.Verdicts))
	for i := range cl.Verdicts {
		levels[i] = byte(cl.Verdicts[i].Level)
	}
	return format.Class{Levels: string(levels), Family: cl.OS.Family, Version: cl.OS.Version, Legacy: cl.Legacy}
}

// classes numbers classes.
type classes struct {
	by    map[format.Class]uint32
	list  atomic.Pointer[[]format.Class]
	fresh int // at the end of list, not stored yet
}

func newClasses() *classes {
	c := &classes{by: map[format.Class]uint32{}}
	c.list.Store(&[]format.Class{})
	return c
}

func (c *classes) number(k format.Class) uint32 {
	if n, ok := c.by[k]; ok {
		return n
	}
	list := append(*c.list.Load(), k)
	c.list.Store(&list)
	n := uint32(len(list) - 1)
	c.by[k] = n
	c.fresh++
	return n
}

func (c *classes) at(n uint32) *format.Class { return &(*c.list.Load())[n] }

// store writes the classes that the file does not have yet.
func (c *classes) store(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketClasses)
	for list := *c.list.Load(); c.fresh > 0; c.fresh-- {
		n := len(list) - c.fresh
		if err := b.Put(format.Key32(uint32(n)), format.ClassValue(&list[n])); err != nil {
			return err
		}
	}
	return nil
}
