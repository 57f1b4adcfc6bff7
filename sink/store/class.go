package store

import (
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store/format"
)

// classOf reduces the classification of an instance on a machine.
func (j *judge) classOf(classification *rules.Classification, h rules.Hardware) outcome.Class {
	return outcome.Of(classification, j.there(h))
}

// there has a bit for each target whose hardware it is.
func (j *judge) there(h rules.Hardware) uint32 { return rules.There(j.list, h, j.Machine(h)) }

// classes numbers classes.
type classes struct {
	by    map[outcome.Class]uint32
	list  atomic.Pointer[[]outcome.Class]
	fresh int // at the end of list, not stored yet
}

func newClasses() *classes {
	c := &classes{by: map[outcome.Class]uint32{}}
	c.list.Store(&[]outcome.Class{})
	return c
}

func (c *classes) number(class outcome.Class) uint32 {
	if n, ok := c.by[class]; ok {
		return n
	}
	class = class.Clone()
	list := append(*c.list.Load(), class)
	c.list.Store(&list)
	n := uint32(len(list) - 1)
	c.by[class] = n
	c.fresh++
	return n
}

func (c *classes) at(n uint32) *outcome.Class { return &(*c.list.Load())[n] }

// store writes the classes that the file does not have yet.
func (c *classes) store(tx *bbolt.Tx) error {
	bucket := tx.Bucket(bucketClasses)
	for list := *c.list.Load(); c.fresh > 0; c.fresh-- {
		n := len(list) - c.fresh
		if err := bucket.Put(format.Key32(uint32(n)), format.ClassValue(&list[n])); err != nil {
			return err
		}
	}
	return nil
}
