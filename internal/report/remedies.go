package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// osKey is what makes a group of operating systems one.
type osKey struct {
	family, version string
	legacy          bool
}

// remedyCounts counts, for each operating system, the first remedy of the worst
// verdict. Where nothing is to be mended, or nothing is known to mend it, there
// is none.
type remedyCounts map[osKey]map[string]int

func (c remedyCounts) add(classification *rules.Classification, count int) {
	verdict := worstOf(classification.Verdicts)
	if verdict == nil || len(verdict.Remedies) == 0 {
		return
	}
	key := osKey{classification.OS.Family, classification.OS.Version, classification.Legacy}
	if c[key] == nil {
		c[key] = map[string]int{}
	}
	c[key][RemedyLine(&verdict.Remedies[0])] += count
}

// RemedyCount is a first remedy, and for how many instances it is that.
type RemedyCount struct {
	Remedy    string `json:"remedy"` // "minor-upgrade to 5.11"
	Instances int    `json:"instances"`
}

func (c remedyCounts) list(key osKey) []RemedyCount {
	out := []RemedyCount{}
	for text, n := range c[key] {
		out = append(out, RemedyCount{text, n})
	}
	slices.SortFunc(out, func(a, b RemedyCount) int {
		return cmp.Or(cmp.Compare(b.Instances, a.Instances), cmp.Compare(a.Remedy, b.Remedy))
	})
	return out
}

// shownRemedies is how many first remedies of one group are named.
const shownRemedies = 3

// of names the first remedy of a group, or, where it is not one, each with its
// instances, the one that fits most first.
func (c remedyCounts) of(b *Bucket) string {
	list := c.list(osKey{b.OSFamily, b.Version, b.Legacy})
	if len(list) == 1 {
		return list[0].Remedy
	}
	var parts []string
	for _, r := range list[:min(len(list), shownRemedies)] {
		parts = append(parts, fmt.Sprintf("%s: %s", r.Remedy, Number(r.Instances)))
	}
	if more := len(list) - len(parts); more > 0 {
		parts = append(parts, "and "+Number(more)+" more")
	}
	return strings.Join(parts, "; ")
}

// remedies counts the first remedies of what the report is about.
func (r *Report) remedies() (remedyCounts, error) {
	out := remedyCounts{}
	if r.Alike != nil {
		alike, err := r.Alike()
		if err != nil {
			return nil, fmt.Errorf("count what is judged alike: %w", err)
		}
		for i := range alike {
			out.add(alike[i].Classification, alike[i].Instances)
		}
		return out, nil
	}
	for rec, err := range r.instances() {
		if err != nil {
			return nil, err
		}
		if rec.GoneAt == nil {
			out.add(&rec.Classification, 1)
		}
	}
	return out, nil
}

// FirstRemedies counts the first remedies of what the report is about, and says
// for a group what stands in the table of operating systems.
func (r *Report) FirstRemedies() (func(*Bucket) string, error) {
	counts, err := r.remedies()
	if err != nil {
		return nil, err
	}
	return func(b *Bucket) string { return Short(counts.of(b), 160) }, nil
}

// SystemRemedies are the first remedies of one operating system.
type SystemRemedies struct {
	OSFamily  string        `json:"os_family"`
	OSVersion string        `json:"os_version"`
	Legacy    bool          `json:"legacy"`
	Remedies  []RemedyCount `json:"remedies"` // the one that fits most first
}

// Remedies lists, for each operating system with something to mend, the first
// remedies of the worst verdicts.
func (r *Report) Remedies() ([]SystemRemedies, error) {
	counts, err := r.remedies()
	if err != nil {
		return nil, err
	}
	out := []SystemRemedies{}
	for _, key := range slices.SortedFunc(maps.Keys(counts), func(a, b osKey) int {
		return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.version, b.version))
	}) {
		out = append(out, SystemRemedies{key.family, key.version, key.legacy, counts.list(key)})
	}
	return out, nil
}

// WorstVerdict is the most severe verdict of a record, the first of several
// equal ones; nil when it has none.
func WorstVerdict(rec *record.Record) *rules.Verdict { return worstOf(rec.Verdicts) }

func worstOf(verdicts []rules.Verdict) *rules.Verdict {
	for _, level := range []rules.Level{rules.Incompatible, rules.Unknown, rules.NeedsAction, rules.Compatible} {
		for i := range verdicts {
			if verdicts[i].Level == level {
				return &verdicts[i]
			}
		}
	}
	return nil
}
