package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/sink/store"
)

var asked = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)

// Evidence is kept up to each of its bounds; what is one beyond is refused and
// counted, and nothing else with it.
func TestEvidenceKeepsToItsBounds(t *testing.T) {
	const id, text = 200, 64 << 10
	long := func(n int) string { return strings.Repeat("x", n) }
	many := func(n int) []event.EvidenceItem {
		out := make([]event.EvidenceItem, n)
		for i := range out {
			out[i] = event.EvidenceItem{ID: fmt.Sprint("m-", i), Asked: asked}
		}
		return out
	}
	for name, c := range map[string]struct {
		scope   ecs.Scope
		items   []event.EvidenceItem
		kept    int
		invalid int
	}{
		"texts as long as may be": {hangzhou, []event.EvidenceItem{{ID: long(id), Types: long(text), Cause: long(text), Mend: long(text), Image: long(id)}}, 1, 0},
		"an id":                   {hangzhou, []event.EvidenceItem{{ID: long(id + 1)}, {ID: "m-1"}}, 1, 1},
		"no id":                   {hangzhou, []event.EvidenceItem{{}, {ID: "m-1"}}, 1, 1},
		"types":                   {hangzhou, []event.EvidenceItem{{ID: "m-0", Types: long(text + 1)}, {ID: "m-1"}}, 1, 1},
		"a cause":                 {hangzhou, []event.EvidenceItem{{ID: "m-0", Cause: long(text + 1)}, {ID: "m-1"}}, 1, 1},
		"what mends it":           {hangzhou, []event.EvidenceItem{{ID: "m-0", Mend: long(text + 1)}, {ID: "m-1"}}, 1, 1},
		"an image":                {hangzhou, []event.EvidenceItem{{ID: "m-0", Image: long(id + 1)}, {ID: "m-1"}}, 1, 1},
		"less than none":          {hangzhou, []event.EvidenceItem{{ID: "m-0", Unlisted: -1}, {ID: "m-1"}}, 1, 1},
		"as many as may be":       {hangzhou, many(event.MaxEvidence), event.MaxEvidence, 0},
		"one more":                {hangzhou, many(event.MaxEvidence + 1), 0, 1},
		"of no account":           {ecs.Scope{Region: "cn-hangzhou"}, many(1), 0, 1},
	} {
		db, s := fresh(t), newStream()
		got := apply(t, db, s.put(&event.EvidenceRead{Scope: c.scope, Source: event.EvidencePlatform, At: asked, Items: c.items}))
		var ids []string
		for i := range c.items {
			ids = append(ids, c.items[i].ID)
		}
		kept, err := db.Evidence(c.scope, event.EvidencePlatform, ids)
		if err != nil || len(kept) != c.kept || got.Invalid != c.invalid {
			t.Errorf("%s: %d kept and %d invalid, want %d and %d: %v", name, len(kept), got.Invalid, c.kept, c.invalid, err)
		}
	}
}

// The newest answer and the newest calls count, in whatever order messages come.
func TestTheNewestEvidenceCounts(t *testing.T) {
	older, newer := evidenceAt(asked, event.EvidenceItem{ID: "m-1", Calls: 3, Types: "old"}), evidenceAt(asked.Add(time.Hour), event.EvidenceItem{ID: "m-1", Calls: 5, Types: "new"})
	for name, order := range map[string][]event.Message{"in order": {older, newer}, "the other way round": {newer, older}} {
		db, s := fresh(t), newStream()
		apply(t, db, s.put(order...))
		kept, err := db.Evidence(hangzhou, event.EvidencePlatform, []string{"m-1"})
		if is := kept["m-1"]; err != nil || is.Types != "new" || is.Calls != 5 || !is.Tried.Equal(newer.At) || !is.Seen.Equal(newer.At) {
			t.Errorf("%s: %+v, %v", name, is, err)
		}
	}
}

// What is left out of the sums hides nothing that stands behind it, and causes that
// are mended in different ways are told apart.
func TestSumsOfEvidenceLeaveNothingOutBehindWhatTheySkip(t *testing.T) {
	db, s := fresh(t), newStream()
	apply(t, db, s.put(
		&event.EvidenceRead{Scope: ecs.Scope{Account: "prod", Region: "cn-beijing"}, Source: event.EvidencePlatform, At: asked, Items: []event.EvidenceItem{{ID: "m-1", Asked: asked}}},
		&event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceFleet, At: asked, Items: []event.EvidenceItem{{ID: "m-1", Asked: asked}}},
		evidenceAt(asked, event.EvidenceItem{ID: "m-1", Asked: asked}, event.EvidenceItem{ID: "m-2", Cause: "denied", Mend: "grant it"}, event.EvidenceItem{ID: "m-3", Cause: "denied", Mend: "ask again"}),
	))
	rows := evidenceOf(t, db, store.Filter{Region: "cn-hangzhou"}, asked)
	if len(rows) != 1 || rows[0].Source != event.EvidencePlatform || rows[0].Asked != 3 || rows[0].Answered != 1 || len(rows[0].Skipped) != 2 {
		t.Errorf("%+v", rows)
	}
}
