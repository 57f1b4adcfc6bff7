package plan

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/rules/waves"
)

// TestAWaveThatIsTooLongForASheetGoesOnInTheNext splits at three rows what is
// split at a million.
func TestAWaveThatIsTooLongForASheetGoesOnInTheNext(t *testing.T) {
	var items []*Item
	for i := range 7 {
		items = append(items, &Item{InstanceID: fmt.Sprint("i-", i)})
	}
	wave := &Wave{ID: waves.Ready, Title: "Ready now", Instances: len(items), Items: slices.Values(items)}
	var b bytes.Buffer
	if err := writeWorkbook(&b, &Plan{Target: "shenlong-6", Waves: []*Wave{wave}}, 3, lang.English); err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if got := book.GetSheetList(); !slices.Equal(got, []string{"Plan", "Ready now", "Ready now (2)", "Ready now (3)"}) {
		t.Fatalf("sheets %v", got)
	}
	var ids []string
	for _, name := range book.GetSheetList()[1:] {
		rows, err := book.GetRows(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			ids = append(ids, row[0])
		}
	}
	if len(ids) != 7 || ids[0] != "i-0" || ids[6] != "i-6" {
		t.Errorf("%v", ids)
	}
}
