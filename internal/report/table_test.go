package report_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/report"
)

// A name that is cut still says which version it is of.
func TestVersionStaysVisible(t *testing.T) {
	tab := report.TextTable{Shrink: []int{0}, Rows: [][]report.Cell{
		{{Text: "SUSE Linux Enterprise Server 11 *", Tail: " 11 *"}, {Text: "incompatible 1,234"}},
		{{Text: "Red Hat Enterprise Linux 5.11 *", Tail: " 5.11 *"}, {Text: "x"}},
		{{Text: "CentOS 7", Tail: " 7"}, {Text: "x"}},
	}}
	var out strings.Builder
	if err := tab.Write(&out, 40, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{"… 11 *  ", "… 5.11 *  ", "CentOS 7  "} {
		if !strings.Contains(lines[i], want) || report.Width(lines[i]) > 40 {
			t.Errorf("%q does not hold %q in 40 columns", lines[i], want)
		}
	}
}

// A table that does not fit shows each row on lines of its own, with every text
// whole, and what stands under it wrapped.
func TestTableThatDoesNotFitIsStacked(t *testing.T) {
	tab := report.TextTable{
		Indent: 2, Head: []report.Cell{{Text: "SYSTEM"}, {Text: "INSTANCES", Right: true}, {Text: "WHY"}},
		Rows:  [][]report.Cell{{{Text: "CentOS 7.4"}, {Text: "348", Right: true}, {Text: "lift-restriction on 25 families or replace-os"}}},
		Below: []report.Below{{Row: 0, Text: "first remedy: lift-restriction on 25 families: 153; minor-upgrade to 7.9: 29"}},
	}
	var out strings.Builder
	if err := tab.Write(&out, 40, false); err != nil {
		t.Fatal(err)
	}
	want := `  CentOS 7.4  instances 348
    why lift-restriction on 25 families
        or replace-os
    first remedy: lift-restriction on
      25 families: 153; minor-upgrade to
      7.9: 29
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// Counts stand without their shares where both do not fit.
func TestTableThatJustDoesNotFitIsBrief(t *testing.T) {
	tab := report.TextTable{Head: []report.Cell{{Text: "target"}, {Text: "compatible"}}, Rows: [][]report.Cell{{{Text: "shenlong-6"}, {Text: "11,206  93.4%", Brief: "11,206"}}}}
	var out strings.Builder
	if err := tab.Write(&out, 22, false); err != nil || out.String() != "target     compatible\nshenlong-6 11,206\n" {
		t.Errorf("%v\n%s", err, out.String())
	}
}
