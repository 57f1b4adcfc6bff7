package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/rules/waves"
)

// A class of another program, of fewer targets or with a wave that this one does not
// know, is left out where it says nothing, and takes nothing else out of the counts.
func TestStandingsLeaveOutWhatTheyDoNotKnow(t *testing.T) {
	standing := func(wave int) byte {
		s := outcome.Standing{Wave: wave, Confidence: rules.High, Was: rules.Compatible}
		return s.Byte()
	}
	class := func(places ...int) outcome.Class {
		var c outcome.Class
		for _, wave := range places {
			c.Levels += string([]byte{byte(rules.Compatible)})
			c.Standings += string([]byte{standing(wave)})
		}
		return c
	}
	ready, last := waves.Ready.Number(), len(waves.All())-1
	s := &snapshot{targets: []string{"a", "b"}, scopes: []*scopeSnap{{
		key:    ecs.Scope{Account: "prod", Region: "cn-hangzhou"},
		counts: []classCount{{class(ready), 1}, {class(last+1, ready), 10}, {class(last, ready), 100}},
	}}}
	got := s.stand()
	in := func(target string, wave waves.ID) WaveKey {
		return WaveKey{"prod", "cn-hangzhou", target, string(wave)}
	}
	want := map[WaveKey]int{in("a", waves.Ready): 1, in("a", waves.All()[last]): 100, in("b", waves.Ready): 110}
	if diff := cmp.Diff(want, got.Waves); diff != "" {
		t.Error(diff)
	}
}
