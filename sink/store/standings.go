package store

import (
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
		out := &Standings{Waves: map[WaveKey]int{}, Waived: map[WaivedKey]int{}, Owners: s.owners}
		for _, sc := range s.scopes {
			for i := range sc.counts {
				classCount := &sc.counts[i]
				for t, target := range s.targets {
					st, ok := classCount.Standing(t)
					if !ok || st.Wave >= len(allWaves) {
						continue
					}
					id := allWaves[st.Wave]
					out.Waves[WaveKey{sc.key.Account, sc.key.Region, target, string(id)}] += classCount.n
					if id == waves.Waived {
						out.Waived[WaivedKey{target, st.Was.String()}] += classCount.n
					}
				}
			}
		}
		// What nobody has is 0 and not absent, where the target is judged.
		for _, target := range s.targets {
			for _, level := range rules.Levels()[1:] { // what is compatible needs no waiver
				out.Waived[WaivedKey{target, level.String()}] += 0
			}
		}
		s.standings = out
	})
	return s.standings
}
