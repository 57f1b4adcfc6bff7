package filter

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Nearest is the end of a sentence that says that a name is not known: the
// nearest of those that are, or some of them.
func Nearest(name string, known []string) string {
	known = slices.Sorted(slices.Values(known))
	known = slices.Compact(known)
	known = slices.DeleteFunc(known, func(s string) bool { return s == "" })
	if len(known) == 0 {
		return ""
	}
	if near := meant(name, known); near != "" {
		return near
	}
	const some = 8
	more := ""
	if len(known) > some {
		more = fmt.Sprintf(" and %d more", len(known)-some)
	}
	return "; there are " + strings.Join(known[:min(some, len(known))], ", ") + more
}

// meant asks whether the one of the known that is near was meant, where there is
// one; the caller has named them all.
func meant(name string, known []string) string {
	nearest := slices.MinFunc(known, func(a, b string) int { return cmp.Compare(distance(name, a), distance(name, b)) })
	if distance(name, nearest) > max(2, len(name)/4) {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", nearest)
}

// distance is how many letters must be changed, added or taken away to make a
// of right (Levenshtein).
func distance(left, right string) int {
	left, right = left[:min(len(left), 200)], right[:min(len(right), 200)]
	row := make([]int, len(right)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(left) {
		diagonal := row[0]
		row[0] = i + 1
		for column := range len(right) {
			cost := diagonal
			if left[i] != right[column] {
				cost++
			}
			diagonal = row[column+1]
			row[column+1] = min(cost, row[column]+1, row[column+1]+1)
		}
	}
	return row[len(right)]
}
