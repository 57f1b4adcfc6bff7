package store

import (
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/waves"
	"github.com/shenscan/shenscan/sink/store/format"
)

// classOf reduces the classification of an instance on a machine.
func (j *judge) classOf(cl *rules.Classification, h rules.Hardware) format.Class {
	return j.class(cl, j.there(h))
}

// class is classOf on a machine that is there, on the targets of these bits.
func (j *judge) class(cl *rules.Classification, there uint32) format.Class {
	c := levelsOnly(cl)
	standings := make([]byte, len(cl.Verdicts))
	for i := range cl.Verdicts {
		v := &cl.Verdicts[i]
		was := v.Level
		if v.Waiver != nil {
			was = v.Waiver.Was
		}
		standings[i] = format.Standing{Wave: waves.Of(v, there>>i&1 == 1, false).Number(), Confidence: v.Confidence, Was: was}.Byte()
	}
	c.Standings = string(standings)
	return c
}

// levelsOnly is a class that says nothing of a plan.
func levelsOnly(cl *rules.Classification) format.Class {
	levels := make([]byte, len(cl.Verdicts))
	for i := range cl.Verdicts {
		levels[i] = byte(cl.Verdicts[i].Level)
	}
	return format.Class{Levels: string(levels), Family: cl.OS.Family, Version: cl.OS.Version, Legacy: cl.Legacy}
}

// there has a bit for each target whose hardware it is.
func (j *judge) there(h rules.Hardware) uint32 {
	m := j.Machine(h)
	if h.InstanceFamily != "" {
		m.Family = h.InstanceFamily
	}
	bits := uint32(0)
	for i := range j.list {
		if waves.There(&j.list[i], h.InstanceType, &m) {
			bits |= 1 << i
		}
	}
	return bits
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
