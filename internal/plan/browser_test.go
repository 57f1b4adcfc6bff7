//go:build browser

package plan_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
)

func TestBrowserPlanLooksAndReads(t *testing.T) {
	f := reporttest.New(120, 9)
	p := build(t, f.All(), options(t, "shenlong-6", &f.Summary))
	path := filepath.Join(t.TempDir(), "plan.html")
	if err := os.WriteFile(path, []byte(render(t, report.HTML, p)), 0o644); err != nil {
		t.Fatal(err)
	}
	b := reporttest.NewBrowser(t)
	b.Open(t, "file://"+path, "footer")
	b.Accessible(t)
	b.Shoot(t, "plan", true)
	b.Sound(t, "file://")
}
