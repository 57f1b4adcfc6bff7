package scans

import (
	"fmt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// maxPages bounds the pages that one walk may announce, since memory is kept
// for each.
const maxPages = 1 << 20

// Walk is one attempt to list one lane: a part of a scope, cut by creation
// time, or the whole of it. A lane whose walk was interrupted is walked again
// under another name.
type Walk struct {
	Lane      string          `json:"lane"`
	Name      string          `json:"walk"`
	Got       Set             `json:"got,omitempty"`       // numbers of the committed pages
	Lost      Set             `json:"lost,omitempty"`      // numbers of the dead-lettered pages
	Ended     bool            `json:"ended,omitempty"`     // its LaneEnded has come
	Announced int             `json:"announced,omitempty"` // pages, by its LaneEnded
	Failure   *record.Failure `json:"failure,omitempty"`   // why it ended early
	Losses    *record.Failure `json:"losses,omitempty"`    // why a page was dead-lettered
	Asked     *Asked          `json:"asked,omitempty"`     // of a rescan

	// What the lane's end announced: instances that the API counted, that were
	// listed, of which so many were created since the scan was asked for, and that
	// were published, with the sum of event.IDSum over them.
	Counted   *int   `json:"counted,omitempty"`
	Listed    int    `json:"listed,omitempty"`
	Created   int    `json:"created,omitempty"`
	Published int    `json:"published,omitempty"`
	IDs       uint64 `json:"ids,omitempty"`
	Differs   bool   `json:"differs,omitempty"` // its end was announced again, with other numbers
	// What came of it: rows of its committed pages, and those of them that were
	// stored, with the sum of event.IDSum over them.
	Classified int    `json:"classified,omitempty"`
	Stored     int    `json:"stored,omitempty"`
	StoredIDs  uint64 `json:"stored_ids,omitempty"`
	Refused    string `json:"refused,omitempty"` // why a row of it could not be stored

	committed int // of the announced pages; all committed ones before the end
}

// done says that the walk read its lane to the end, that every page of it is
// committed, and that all stages had the same instances.
func (w *Walk) done() bool {
	return w.Ended && w.Failure == nil && w.committed >= w.Announced && w.agrees()
}

// over says that every page that the walk announced is committed.
func (w *Walk) over() bool { return w.Ended && w.committed >= w.Announced }

// failed says that nothing of the walk is outstanding and that it did not read
// its lane.
func (w *Walk) failed() bool {
	if !w.Ended || w.Failure == nil && len(w.Lost) == 0 && w.agrees() {
		return false
	}
	arrived := 0
	for page := range w.Announced {
		if w.Got.Has(page) || w.Lost.Has(page) {
			arrived++
		}
	}
	return arrived >= w.Announced && !w.done()
}

// agrees reports whether all stages of a walk whose pages are all committed had
// the same instances. Before that only another end can be said against it.
func (w *Walk) agrees() bool {
	if w.Differs || !w.over() {
		return !w.Differs
	}
	return w.Listed == w.Published && w.Published == w.Classified && w.Classified == w.Stored && w.IDs == w.StoredIDs
}

// disagreement says which stages of a walk do not agree, or "".
func (w *Walk) disagreement() string {
	if w.agrees() {
		return ""
	}
	numbers := fmt.Sprintf("lane %s: %d instances listed, %d published, %d classified, %d stored", w.Lane, w.Listed, w.Published, w.Classified, w.Stored)
	switch {
	case w.Differs:
		return numbers + "; its end was announced twice, with other numbers"
	case w.Refused != "":
		return numbers + "; " + w.Refused
	case w.Listed == w.Published && w.Published == w.Classified && w.Classified == w.Stored:
		return numbers + ", but not the same ones"
	}
	return numbers
}

// contradiction is the disagreement of the walk as a cause, nil where it
// agrees.
func (w *Walk) contradiction(scope ecs.Scope) *record.Failure {
	text := w.disagreement()
	if text == "" {
		return nil
	}
	return &record.Failure{
		Account: scope.Account, Region: scope.Region, API: "shenscan", Class: ecs.Contradicted.String(), Error: text,
		Mend: "scan again; if it stays so, a part of shenscan loses instances: report it with this text",
	}
}

// End notes what the lane's end announced. The first end without a failure
// counts, whatever comes after it, and one that says otherwise speaks against the walk
// unless that is done; a number of pages out of bounds is ignored.
func (w *Walk) End(ended *event.LaneEnded) {
	if ended.Pages < 0 || ended.Pages > maxPages || w.done() {
		return
	}
	if w.Ended && w.Failure == nil {
		was, is := [4]uint64{uint64(w.Announced), uint64(w.Listed), uint64(w.Published), w.IDs}, [4]uint64{uint64(ended.Pages), uint64(ended.Listed), uint64(ended.Instances), ended.IDs}
		w.Differs = w.Differs || ended.Failure == nil && was != is
		return
	}
	w.Ended, w.Announced, w.Failure = true, ended.Pages, ended.Failure
	w.Counted, w.Listed, w.Created, w.Published, w.IDs = ended.Counted, ended.Listed, ended.Created, ended.Instances, ended.IDs
	w.Asked = askedOf(ended)
	w.recount()
}

// Lose notes that a page was dead-lettered. It reports whether a walk can have
// a page of that number. Of several causes the first in their order is kept.
func (w *Walk) Lose(page int, cause record.Failure) bool {
	if page < 0 || page >= maxPages {
		return false
	}
	w.Lost.Add(page)
	if w.Losses == nil || CompareFailures(cause, *w.Losses) < 0 {
		w.Losses = &cause
	}
	return true
}

// recount counts the committed pages anew.
func (w *Walk) recount() {
	if !w.Ended {
		w.committed = w.Got.Len()
		return
	}
	w.committed = 0
	for page := range w.Announced {
		if w.Got.Has(page) {
			w.committed++
		}
	}
}
