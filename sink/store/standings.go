package store

import (
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/waves"
)

// WaveKey names a wave in one account and region.
type WaveKey struct{ Account, Region, Target, Wave string }

// WaivedKey names what a verdict was before it was waived.
type WaivedKey struct{ Target, Verdict string }

// Standings are counts of instances by what a plan makes of their verdicts. They
// are not to be changed.
type Standings struct {
	Waves  map[WaveKey]int
	Waived map[WaivedKey]int
	// Owners are those of the last point of progress; nil where none are counted.
	Owners *record.Shares
}

func (s *snapshot) stand() *Standings {
	s.standOnce.Do(func() {
		s.standings = &Standings{Waves: map[WaveKey]int{}, Waived: map[WaivedKey]int{}, Owners: s.owners}
		for _, sc := range s.scopes {
			for i := range sc.counts {
				s.standings.add(sc.key, s.targets, &sc.counts[i])
			}
		}
		// What nobody has is 0 and not absent, where the target is judged.
		for _, target := range s.targets {
			for _, level := range rules.Levels()[1:] { // what is compatible needs no waiver
				s.standings.Waived[WaivedKey{target, level.String()}] += 0
			}
		}
	})
	return s.standings
}

// add counts the instances of one class in a scope.
func (s *Standings) add(key ecs.Scope, targets []string, class *classCount) {
	for t, target := range targets {
		standing, ok := class.Standing(t)
		if !ok || standing.Wave >= len(allWaves) {
			continue
		}
		id := allWaves[standing.Wave]
		s.Waves[WaveKey{key.Account, key.Region, target, string(id)}] += class.n
		if id == waves.Waived {
			s.Waived[WaivedKey{target, standing.Was.String()}] += class.n
		}
	}
}
