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
