package store

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
)

// Alike returns the classifications of what the view shows, with how many
// instances share each: rows are counted by what was judged of them, which is
// looked at once.
func (v *View) Alike(ctx context.Context) ([]record.Alike, error) {
	count := newAlikeCount(v)
	if err := v.present(ctx, count.take); err != nil {
		return nil, fmt.Errorf("group the instances: %w", err)
	}
	return count.list()
}

// Groups is Alike and StartGroups from one walk over the rows.
func (v *View) Groups(ctx context.Context) ([]record.Alike, *record.StartGroups, error) {
	alike, start := newAlikeCount(v), newStartCount(v)
	if err := v.present(ctx, alike.take, start.take); err != nil {
		return nil, nil, fmt.Errorf("group the instances, and read what started them: %w", err)
	}
	judged, err := alike.list()
	if err != nil {
		return nil, nil, err
	}
	groups, err := start.list()
	return judged, groups, err
}

func newAlikeCount(v *View) *alikeCount {
	return &alikeCount{v: v, shared: map[*rules.Classification]int{}, waived: map[waivedKey]*record.Alike{}}
}

type alikeCount struct {
	v        *View
	profiles byNumber[int] // instances, where no waiver can play a part
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
	row, facts, err := walk.facts.instance(tx, candidateRow.row, walk.tables().dict.Words())
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
	if _, err := profiles.profile(profile); err != nil {
		return err
	}
	c.profiles.put(profile, c.profiles.at(profile)+1)
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

// pairCount is a system on a machine, and the instances that are such a pair as
// rules see it.
type pairCount struct {
	system    *rules.System
	host      *rules.Host
	instances int
}

// judge judges the profiles. Their parts are read once, and what rules cannot
// tell apart is judged once: there may be nearly as many profiles as instances.
func (c *alikeCount) judge(tx *bbolt.Tx) error {
	facts := c.v.snap.tables.profs.readers.Load().reader()
	var systems byNumber[*rules.System] // by the numbers of software
	pairs := map[uint64]*pairCount{}
	for id, instances := range c.profiles {
		if instances == 0 {
			continue
		}
		profile, err := facts.profile(uint32(id))
		if err != nil {
			return err
		}
		system := systems.at(profile.Software)
		if system == nil {
			software, err := facts.softwareOf(tx, uint32(id))
			if err != nil {
				return err
			}
			system = c.v.j.System(software)
			systems.put(profile.Software, system)
		}
		host := c.v.j.Host(facts.hardware[profile.Hardware])
		pair := c.v.j.Pair(system, host)
		count := pairs[pair]
		if count == nil {
			count = &pairCount{system: system, host: host}
			pairs[pair] = count
		}
		count.instances += instances
	}
	for _, count := range pairs {
		c.shared[c.v.j.Judge(count.system, count.host)] += count.instances
	}
	return nil
}
