//go:build browser

package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
)

func openPlan(t *testing.T, b *reporttest.Browser, n int) {
	t.Helper()
	openPlanIn(t, b, n, lang.English)
}

func openPlanIn(t *testing.T, b *reporttest.Browser, n int, in lang.Language) {
	t.Helper()
	f := reporttest.New(n, 9)
	p := build(t, f.All(), options(t, "shenlong-6", &f.Summary))
	path := filepath.Join(t.TempDir(), "plan.html")
	if err := os.WriteFile(path, []byte(written(t, report.HTML, p, in, 0)), 0o644); err != nil {
		t.Fatal(err)
	}
	b.Open(t, "file://"+path, "footer")
}

func TestBrowserPlanLooksAndReads(t *testing.T) {
	b := reporttest.NewBrowser(t)
	openPlan(t, b, 120)
	b.Looks(t, "plan")
	b.Press(t, "#list-ready > summary")
	b.Wait(t, "#list-ready details")
	b.Press(t, "#list-ready details > summary")
	b.Wait(t, "#list-ready tbody tr")
	b.Press(t, "#list-ready tbody tr details > summary")
	b.Wait(t, "#list-ready tbody tr ol li")
	b.Looks(t, "plan-open")
	b.Set(t, "#q", "payments ubuntu")
	b.Until(t, "/[0-9]+ instances? fits?/.test(document.getElementById('found').textContent)")
	b.Sound(t, "file://")
}

func TestBrowserPlanInChinese(t *testing.T) {
	b := reporttest.NewBrowser(t)
	openPlanIn(t, b, 120, lang.Chinese)
	b.Press(t, "#list-ready > summary")
	b.Wait(t, "#list-ready details")
	b.Press(t, "#list-ready details > summary")
	b.Wait(t, "#list-ready tbody tr")
	b.Press(t, "#list-ready tbody tr details > summary")
	b.Wait(t, "#list-ready tbody tr ol li")
	text := reporttest.Eval[string](t, b, "document.getElementById('list-ready').textContent")
	for _, want := range []string{"迁移路径", "兼容", "迁移之前（", "规则 ", "与现在相同"} {
		if !strings.Contains(text, want) {
			t.Errorf("the instances of a wave lack %q: %.400s", want, text)
		}
	}
	b.Looks(t, "plan-file-zh")
	b.Set(t, "#q", "payments ubuntu")
	b.Until(t, "/台实例符合/.test(document.getElementById('found').textContent)")
	b.Sound(t, "file://")
}

// TestBrowserPlanOfThousandsIsLight: what a browser must build stays small
// however many instances there are, folded and with a group unfolded.
func TestBrowserPlanOfThousandsIsLight(t *testing.T) {
	b := reporttest.NewBrowser(t)
	openPlan(t, b, 12_000)
	const elements = "document.querySelectorAll('*').length"
	folded := reporttest.Eval[int](t, b, elements)
	took := reporttest.Eval[float64](t, b, "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
	b.Press(t, "#list-ready > summary")
	b.Wait(t, "#list-ready details")
	b.Press(t, "#list-ready details > summary")
	b.Wait(t, "#list-ready tbody tr")
	unfolded := reporttest.Eval[int](t, b, elements)
	t.Logf("%d elements, loaded in %.0f ms; %d with a group unfolded", folded, took, unfolded)
	if unfolded >= 15_000 || folded >= unfolded {
		t.Errorf("%d elements, %d with a group unfolded", folded, unfolded)
	}
	// Two seconds on an idle machine; this one may be busy.
	if took > 10_000 {
		t.Errorf("it takes %.0f ms to load", took)
	}
	b.Sound(t, "file://")
}
