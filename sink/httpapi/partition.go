package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

// partition is a part of a listing that one sort value holds together, in the
// order of keys, so that the store need not be read whole to show a page.
type partition struct {
	value  string
	filter Filter
}

// partitions divides the listing by its sort value where a filter can; nil
// where the whole must be read.
func (l *listing) partitions(sum *record.Summary) []partition {
	var out []partition
	switch {
	case l.Sort == "verdict" && l.Filter.Verdict == "":
		for i, level := range report.Levels() {
			f := l.Filter
			f.Verdict = level
			out = append(out, partition{strconv.Itoa(i), f})
		}
		if !judged(sum, l.Filter.Target) || l.Filter.Gone {
			out = append(out, partition{noVerdict, l.Filter})
		}
	case l.Sort == "os" && !l.Filter.Gone: // the summary does not count gone ones
		out = l.byOS(sum)
	default:
		return nil
	}
	if l.Down {
		slices.Reverse(out)
	}
	return out
}

// judged tells whether every counted instance has a verdict on the target, or
// on some target when it is "".
func judged(sum *record.Summary, target string) bool {
	for name, byVerdict := range sum.Verdicts {
		n := 0
		for _, count := range byVerdict {
			n += count
		}
		if n == sum.Instances && (target == "" || target == name) {
			return true
		}
	}
	return false
}

func (l *listing) byOS(sum *record.Summary) []partition {
	seen := map[[2]string]bool{}
	out := []partition{}
	for i := range sum.Groups {
		g := &sum.Groups[i]
		os := [2]string{g.OSFamily, g.OSVersion}
		if seen[os] || l.Filter.OSFamily != "" && l.Filter.OSFamily != os[0] || l.Filter.OSVersion != "" && l.Filter.OSVersion != os[1] {
			continue
		}
		seen[os] = true
		f := l.Filter
		f.OSFamily, f.OSVersion = os[0], os[1]
		out = append(out, partition{osValue(os[0], os[1]), f})
	}
	slices.SortFunc(out, func(a, b partition) int { return cmp.Compare(a.value, b.value) })
	return out
}

// parts reads a page partition by partition.
func (l *listing) parts(ctx context.Context, st Store, parts []partition) ([]row, error) {
	var out []row
	for _, p := range parts {
		if l.cursor != nil {
			switch by := cmp.Compare(p.value, l.cursor.Value); {
			case by == 0:
				p.filter.After = l.cursor.Key
			case by < 0 != l.Down:
				continue // shown on an earlier page
			}
		}
		for rec, err := range st.Instances(ctx, p.filter) {
			if err != nil {
				return nil, fmt.Errorf("list instances: %w", err)
			}
			if sortValue(l.Sort, l.Filter.Target, rec) != p.value {
				continue
			}
			if out = append(out, row{rec, p.value}); len(out) > l.Limit {
				return out, nil
			}
		}
	}
	return out, nil
}
