package store

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Alike returns the classifications of what the view shows, with how many
// instances share each: rows are counted by what was judged of them, which is
// looked at once.
func (v *View) Alike(ctx context.Context) ([]record.Alike, error) {
	f := v.f
	f.Gone = false
	matcher := v.matcher(&f)
	count := &alikeCount{v: v, profiles: map[uint32]int{}, shared: map[*rules.Classification]int{}, waived: map[waivedKey]*record.Alike{}}
	for _, sc := range v.snap.scopes {
		if !matcher.within(sc) {
			continue
		}
		walk := &walker{reading: v.reading(), m: matcher, sc: sc}
		walk.take = func(tx *bbolt.Tx, row *candidateRow) error { return count.take(tx, walk, row) }
		for !walk.done {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := v.view(walk.chunk); err != nil {
				return nil, fmt.Errorf("%s: %w", sc.key, err)
			}
		}
	}
	return count.list()
}

type alikeCount struct {
	v        *View
	profiles map[uint32]int // where no waiver can play a part
	shared   map[*rules.Classification]int
	waived   map[waivedKey]*record.Alike
}

// waivedKey is a classification and what waivers made of its verdicts.
type waivedKey struct {
	of     *rules.Classification
	levels string
}

func (c *alikeCount) take(tx *bbolt.Tx, walk *walker, candidateRow *candidateRow) error {
	if !c.v.j.waivers {
		c.profiles[candidateRow.profile]++
		return nil
	}
	row, profile, err := format.ReadRow(candidateRow.row, walk.tables().dict.Words())
	if err != nil {
		return fmt.Errorf("%w: row: %w", ErrCorrupt, err)
	}
	facts, err := walk.facts.facts(tx, profile)
	if err != nil {
		return err
	}
	own := c.v.j.Classify(&facts)
	cl := c.v.j.judgeRow(&walk.value, &row, &facts)
	if cl == own {
		c.shared[cl]++
		return nil
	}
	key := waivedKey{own, outcome.LevelsOnly(cl).Levels}
	if c.waived[key] == nil {
		c.waived[key] = &record.Alike{Classification: cl}
	}
	c.waived[key].Instances++
	return nil
}

func (c *alikeCount) list() ([]record.Alike, error) {
	err := c.v.view(func(tx *bbolt.Tx) error {
		facts := c.v.snap.tables.profs.readers.Load().reader()
		for profile, n := range c.profiles {
			f, err := facts.facts(tx, profile)
			if err != nil {
				return err
			}
			c.shared[c.v.j.Classify(&f)] += n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]record.Alike, 0, len(c.shared)+len(c.waived))
	for cl, n := range c.shared {
		out = append(out, record.Alike{Classification: cl, Instances: n})
	}
	for _, a := range c.waived {
		out = append(out, *a)
	}
	return out, nil
}
