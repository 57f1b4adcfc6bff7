package store_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/store"
)

// guestsPage gives the instances of a page guests that were heard of, or what
// else change says of their facts.
func guestsPage(msgs []event.Message, change func(os string, f *rules.Facts, h *rules.Hardware)) []event.Message {
	for _, m := range msgs {
		if p, ok := m.(*event.InstancesClassified); ok {
			p.Ruleset = "of another rule set" // so that the store judges it
			for i := range p.Software {
				f := *p.Software[i]
				f.Guest.Up = rules.Yes
				change(f.OSName, &f, &p.Hardware[i])
				p.Software[i] = &f
			}
		}
	}
	return msgs
}

// What instances tell of their image is counted when a scan has listed all of a
// scope, and at no other time; what was counted before stays for scans that
// began before.
func TestInstancesTellOfTheirImageWhenAScanIsComplete(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	const old, other = "CentOS 7.4", "Ubuntu 14.04"
	told := func(os string) (newest, earlier store.StoredEvidence) {
		t.Helper()
		id := facts(os).ImageID
		had, err := db.Evidence(hangzhou, event.EvidenceFleet, []string{id, event.EarlierPrefix + id})
		if err != nil {
			t.Fatal(err)
		}
		return had[id], had[event.EarlierPrefix+id]
	}
	up := func(string, *rules.Facts, *rules.Hardware) {}
	fleet := []machine{{id: "i-1", os: old}, {id: "i-2", os: old}, {id: "i-3", os: other}}
	first := guestsPage(whole("s1", hangzhou, 10, fleet...), up)

	s.now = 11
	apply(t, db, s.put(first[:3]...))
	if got, _ := told(old); got.Scan != "" {
		t.Fatalf("counted before the scan was complete: %+v", got)
	}
	s.now = 12
	apply(t, db, s.put(first[3:]...))
	got, before := told(old)
	if !strings.HasPrefix(got.Fleet, "kvm=2/0 os=centos/7.4/ ") || got.Scan != "s1" || !got.Asked.Equal(at(12)) || before.Scan != "" {
		t.Fatalf("%+v, before that %+v", got, before)
	}

	// Another scan: one is stopped, one runs another kernel than its image's.
	s.now = 22
	apply(t, db, s.put(guestsPage(whole("s2", hangzhou, 20, fleet...), func(os string, f *rules.Facts, h *rules.Hardware) {
		if os == other {
			h.Running = rules.No
		}
	})...))
	if got, before := told(other); got.Fleet != "" || got.Scan != "s2" || !strings.HasPrefix(before.Fleet, "kvm=1/0") {
		t.Errorf("an image whose only machine was stopped: %+v, before that %+v", got, before)
	}
	s.now = 32
	apply(t, db, s.put(guestsPage(whole("s3", hangzhou, 30, fleet...), func(os string, f *rules.Facts, _ *rules.Hardware) {
		f.Guest.Up = rules.No
		if os == old {
			f.Guest.Up = rules.Yes
			f.Image.TagKernelVersion, f.Guest.Kernel = "3.10.0-693.el7", "3.10.0-1160.el7"
		}
	})...))
	if got, _ := told(old); got.Fleet != "" || got.Scan != "s3" {
		t.Errorf("an image whose machines run another kernel: %+v", got)
	}
	if got, before := told(other); got.Scan != "" || before.Scan != "" {
		t.Errorf("an image that told nothing for two scans: %+v, %+v", got, before)
	}

	// A scan that did not see everything counts nothing, and a rescan neither.
	s.now = 42
	partial := guestsPage(whole("s4", hangzhou, 40, fleet[:1]...), up)
	end := partial[3].(*event.LaneEnded)
	end.Instances, end.Listed = 9, 9
	apply(t, db, s.put(partial...))
	rescan := guestsPage([]event.Message{
		planned("r1", event.KindRescan, 41, hangzhou), scopePlanned("r1", event.KindRescan, hangzhou, "1", "1.0"),
		page("r1", event.KindRescan, hangzhou, "1.0", "1.0", 0, 42, fleet...), laneEnded("r1", event.KindRescan, hangzhou, "1.0", "1.0", 1),
	}, up)
	apply(t, db, s.put(rescan...))
	if got, _ := told(old); got.Scan != "s3" {
		t.Errorf("counted by a scan that is not complete: %+v", got)
	}
	rows := evidenceOf(t, db, store.Filter{}, at(0))
	if slices.ContainsFunc(rows, func(e record.Evidence) bool { return e.Source == event.EvidenceFleet }) {
		t.Errorf("a count of nothing is evidence: %+v", rows)
	}
}
