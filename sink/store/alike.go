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
	count := &alikeCount{v: v, shared: map[*rules.Classification]int{}, waived: map[waivedKey]*record.Alike{}}
	if err := v.present(ctx, count.take); err != nil {
		return nil, fmt.Errorf("group the instances: %w", err)
	}
	return count.list()
}

type alikeCount struct {
	v        *View
	profiles []int // instances by profile, where no waiver can play a part
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
		return c.count(walk.facts.profileTable, candidateRow.profile)
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

// count counts an instance with its profile.
func (c *alikeCount) count(profiles *profileTable, profile uint32) error {
	if _, ok := profiles.classOf(profile); !ok {
		return fmt.Errorf("%w: profile %d is missing", ErrCorrupt, profile)
	}
	if missing := len(profiles.list) - len(c.profiles); missing > 0 {
		c.profiles = append(c.profiles, make([]int, missing)...)
	}
	c.profiles[profile]++
	return nil
}

func (c *alikeCount) list() ([]record.Alike, error) {
	if err := c.v.view(c.judge); err != nil {
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

// judge judges the profiles. Their parts are read once; there are many times as
// many profiles as there are different systems and machines.
func (c *alikeCount) judge(tx *bbolt.Tx) error {
	parts := c.v.snap.tables.profs.readers.Load().parts(c.v.j)
	for profile, n := range c.profiles {
		if n == 0 {
			continue
		}
		system, host, err := parts.of(tx, uint32(profile))
		if err != nil {
			return err
		}
		c.shared[c.v.j.Judge(system, host)] += n
	}
	return nil
}
