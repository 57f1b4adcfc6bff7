package store

import (
	"cmp"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// A page comes with what a worker's rule set says of it. That is what is
// stored where the store has the same rule set and targets: it would say the
// same. Where it has others, and where what came cannot be what a rule set
// says, the store judges by its own. Everything in a store is of one judgement.

// JudgedBy tells by what pages were judged that the store judged anew.
type JudgedBy struct {
	Ruleset, Targets string // digest, and targets with commas between them
	// Unsound says that both were the store's, but the verdicts none that a rule
	// set gives.
	Unsound bool
}

// takes says whether the classes of a page are taken as they are.
func (a *applier) takes(classified *event.InstancesClassified) bool {
	if classified.Ruleset != a.j.Digest() || !slices.Equal(classified.Targets, a.j.targets) {
		a.anew(classified, false)
		return false
	}
	if !sound(classified) {
		a.anew(classified, true)
		return false
	}
	a.classes = append(a.classes[:0], make([]uint32, len(classified.Classes))...)
	return true
}

// taken numbers a class of the page at hand, which is taken as it is.
func (a *applier) taken(m *event.InstancesClassified, class int) uint32 {
	if a.classes[class] == 0 {
		a.classes[class] = a.db.classes.number(m.Classes[class]) + 1
	}
	return a.classes[class] - 1
}

// sound says whether every profile has a class that a rule set can give.
func sound(classified *event.InstancesClassified) bool {
	for i := range classified.Classes {
		if !classified.Classes[i].Sound(len(classified.Targets)) {
			return false
		}
	}
	for i := range classified.Profiles {
		if class := classified.Profiles[i].Class; class < 0 || class >= len(classified.Classes) {
			return false
		}
	}
	return true
}

func (a *applier) anew(classified *event.InstancesClassified, unsound bool) {
	if a.out.Anew == nil {
		a.out.Anew = map[JudgedBy]int{}
	}
	a.out.Anew[oneOf(a.out.Anew, JudgedBy{clip(classified.Ruleset), clip(strings.Join(classified.Targets, ",")), unsound})]++
}

// maxJudges bounds how many judges are told apart, and maxJudge how much of
// what they call themselves is kept: both come with messages.
const (
	maxJudges = 16
	maxJudge  = 200
)

func clip(s string) string { return strings.ToValidUTF8(strings.Clone(s[:min(len(s), maxJudge)]), "?") }

// oneOf is by, or what stands for the many where there are too many.
func oneOf(judges map[JudgedBy]int, by JudgedBy) JudgedBy {
	if _, there := judges[by]; there || len(judges) < maxJudges {
		return by
	}
	return JudgedBy{Ruleset: "others", Unsound: by.Unsound}
}

// noteAnew counts pages judged anew.
func (db *DB) noteAnew(by JudgedBy, pages int) { db.anew[oneOf(db.anew, by)] += pages }

// judgedAnew lists what noteAnew counted.
func (db *DB) judgedAnew() []record.JudgedAnew {
	var out []record.JudgedAnew
	for by, pages := range db.anew {
		out = append(out, record.JudgedAnew{Ruleset: by.Ruleset, Targets: strings.Split(by.Targets, ","), Pages: pages, Unsound: by.Unsound})
	}
	slices.SortFunc(out, func(a, b record.JudgedAnew) int {
		return cmp.Or(cmp.Compare(a.Ruleset, b.Ruleset), slices.Compare(a.Targets, b.Targets))
	})
	return out
}
