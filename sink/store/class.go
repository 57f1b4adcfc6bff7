package store

import (
	"fmt"
	"strings"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/rules"
)

// class is what counts and changes look at: instances of one class count
// alike.
type class struct {
	levels  string // one byte for each target, in the classifier's order
	family  string
	version string
	legacy  bool
}

func (c *class) level(target int) rules.Level {
	if target >= len(c.levels) {
		return rules.Unknown
	}
	return rules.Level(c.levels[target])
}

// os names the operating system for the history.
func (c *class) os() string { return strings.TrimSpace(c.family + " " + c.version) }

// classOf reduces a classification.
func classOf(cl *rules.Classification) class {
	levels := make([]byte, len(cl.Verdicts))
	for i := range cl.Verdicts {
		levels[i] = byte(cl.Verdicts[i].Level)
	}
	return class{string(levels), cl.OS.Family, cl.OS.Version, cl.Legacy}
}

// classes numbers classes.
type classes struct {
	by    map[class]uint32
	list  atomic.Pointer[[]class]
	fresh int // at the end of list, not stored yet
}

func newClasses() *classes {
	c := &classes{by: map[class]uint32{}}
	c.list.Store(&[]class{})
	return c
}

func (c *classes) number(k class) uint32 {
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

func (c *classes) at(n uint32) *class { return &(*c.list.Load())[n] }

// store writes the classes that the file does not have yet.
func (c *classes) store(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketClasses)
	for list := *c.list.Load(); c.fresh > 0; c.fresh-- {
		n := len(list) - c.fresh
		if err := b.Put(key32(uint32(n)), classValue(&list[n])); err != nil {
			return err
		}
	}
	return nil
}

func classValue(c *class) []byte {
	b := startValue(nil)
	b = appendStr(b, c.levels)
	b = appendStr(b, c.family)
	b = appendStr(b, c.version)
	legacy := byte(0)
	if c.legacy {
		legacy = 1
	}
	return seal(append(b, legacy))
}

// readClass reads a class; rest is what follows it.
func readClass(v []byte) (c class, rest []byte, err error) {
	body, err := unseal("class", v)
	if err != nil {
		return class{}, nil, err
	}
	d := dec{b: body}
	c = class{levels: d.str(), family: d.str(), version: d.str(), legacy: d.byte() == 1}
	if d.bad || len(c.levels) > maxTargets {
		return class{}, nil, fmt.Errorf("%w: class has another shape", ErrCorrupt)
	}
	return c, d.b[d.off:], nil
}
