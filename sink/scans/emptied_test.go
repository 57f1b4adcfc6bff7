package scans

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// That nothing is listed where many instances were is not believed at once: a scan
// whose role may see less would otherwise take a whole region for gone. Few of
// them, a listing that has one, and a second scan that finds none are believed.
func TestManyInstancesAreNotGoneAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		listed, missing int
		before          bool // the scan before found none either
		doubted         bool
	}{
		"many":              {0, 20, false, true},
		"few":               {0, 19, false, false},
		"one is listed":     {1, 20, false, false},
		"for a second time": {0, 20, true, false},
	} {
		s, p := listing(t, c.listed, c.listed)
		missing := make([]string, c.missing)
		for i := range missing {
			missing[i] = fmt.Sprint("i-", i)
		}
		_, questions := s.Settle(p, missing, c.before)
		p.Answer(&event.ScopeChecked{Question: questions[0].Question})
		if settled, _ := s.Settle(p, missing, c.before); !settled || p.Emptied != c.doubted || (len(p.Doubts) == 1) != c.doubted {
			t.Errorf("%s: settled %t, emptied %t, doubts %+v", name, settled, p.Emptied, p.Doubts)
		}
		for _, doubt := range p.Doubts {
			if !strings.Contains(doubt.Error, "all 20 instances") || !strings.Contains(doubt.Mend, "scan again") {
				t.Errorf("%s: %+v", name, doubt)
			}
		}
	}
}

// Only a scan before the one at hand speaks for it: not itself, read again, and
// none that began later.
func TestAnEmptyScopeIsHeldAgainstScansBefore(t *testing.T) {
	for _, c := range []struct {
		emptied, epoch int64
		want           bool
	}{{0, 11, false}, {10, 11, true}, {10, 10, false}, {10, 9, false}} {
		v := Standing{EmptyEpoch: c.emptied}
		if got := v.Emptied(c.epoch); got != c.want {
			t.Errorf("found empty at %d, before %d: %t", c.emptied, c.epoch, got)
		}
	}
}

// A scope that listed or stored something since, or that was read to its end, is no
// longer held to have been found empty: the next scan that finds nothing is the
// first again. One that could not be read says nothing, and neither does an older one.
func TestWhatAScopeListedEndsItsBeingEmpty(t *testing.T) {
	for name, c := range map[string]struct {
		epoch int64
		row   record.ScanScope
		want  int64
	}{
		"listed":        {20, record.ScanScope{Completeness: record.ScopePartial, Numbers: record.Numbers{Listed: 1}}, 0},
		"stored":        {20, record.ScanScope{Completeness: record.ScopePartial, Numbers: record.Numbers{Stored: 1}}, 0},
		"complete":      {20, record.ScanScope{Completeness: record.ScopeComplete}, 0},
		"nothing known": {20, record.ScanScope{Completeness: record.ScopePartial}, 10},
		"an older scan": {9, record.ScanScope{Completeness: record.ScopePartial, Numbers: record.Numbers{Listed: 1}}, 10},
	} {
		v := Standing{EmptyEpoch: 10, StatusEpoch: 10}
		if v.End("s", c.epoch, &c.row, 30); v.EmptyEpoch != c.want {
			t.Errorf("%s: found empty at %d, want %d", name, v.EmptyEpoch, c.want)
		}
	}
}
