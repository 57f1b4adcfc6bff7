//go:build browser

package reporttest

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

//go:embed testdata/axe-core/axe.min.js
var axe string

// Browser is a headless Chromium with one page, which notes everything that a
// sound page does not do.
type Browser struct {
	ctx      context.Context
	mu       sync.Mutex
	problems []string
	requests []string
}

// NewBrowser starts Chromium and ends it with the test.
func NewBrowser(t *testing.T) *Browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(t.TempDir()),
	)
	alloc, stop := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	ctx, timeout := context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(func() {
		timeout()
		cancel()
		stop()
	})
	b := &Browser{ctx: ctx}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatalf("browser: %v", err)
	}
	call(t, b, network.Enable, network.EnableParams{})
	call(t, b, log.Enable, cdp.Empty{})
	call(t, b, runtime.Enable, cdp.Empty{})
	b.View(t, 1440, 1000, false)
	return b
}

func call[P, R any](t *testing.T, b *Browser, c cdp.Command[P, R], params P) R {
	t.Helper()
	r, err := chromedp.Call(b.ctx, c, params)
	if err != nil {
		t.Fatalf("browser: %s: %v", c.Method, err)
	}
	return r
}

// note keeps console errors, policy violations, exceptions and requests.
func (b *Browser) note(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError || ev.Entry.Level == log.EntryLevelWarning {
			b.problems = append(b.problems, fmt.Sprintf("%s: %s", ev.Entry.Source, ev.Entry.Text))
		}
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if ev.ExceptionDetails.Exception != nil {
			text += " " + ev.ExceptionDetails.Exception.Description
		}
		b.problems = append(b.problems, "exception: "+text)
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, ev.Request.URL)
	case *page.EventJavascriptDialogOpening:
		b.problems = append(b.problems, "dialog: "+ev.Message)
	}
}

func (b *Browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		t.Fatalf("browser: %v", err)
	}
}

// Open opens an address and waits until the element is there.
func (b *Browser) Open(t *testing.T, url, ready string) {
	t.Helper()
	b.do(t, chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS(ready)))
}

// Wait waits until the element is there.
func (b *Browser) Wait(t *testing.T, selector string) {
	t.Helper()
	b.do(t, chromedp.WaitReady(chromedp.CSS(selector)))
}

// Until waits until a script is true; the page may not change meanwhile.
func (b *Browser) Until(t *testing.T, js string) {
	t.Helper()
	b.do(t, chromedp.Poll[chromedp.Void](js, chromedp.WithPollingTimeout(20*time.Second)))
}

// Click clicks on the first element of a selector.
func (b *Browser) Click(t *testing.T, selector string) {
	t.Helper()
	b.do(t, chromedp.Click(chromedp.CSS(selector)))
}

// Press puts the focus on an element and presses Enter, as one does without a
// mouse.
func (b *Browser) Press(t *testing.T, selector string) {
	t.Helper()
	b.do(t, chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent("\r"))
}

// Set changes a control and says so to the page.
func (b *Browser) Set(t *testing.T, selector, value string) {
	t.Helper()
	Eval[bool](t, b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.value = %q; e.dispatchEvent(new Event('input', {bubbles: true})); return true; })()`, selector, value))
}

// Eval runs a script and returns its value; a promise is waited for.
func Eval[T any](t *testing.T, b *Browser, js string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("browser: %v", err)
	}
	return v
}

// View sets the size of the window and the colour scheme.
func (b *Browser) View(t *testing.T, width, height int64, dark bool) {
	t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	call(t, b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// Sound fails the test when the page logged an error, or asked for something
// that does not start with allowed.
func (b *Browser) Sound(t *testing.T, allowed ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		t.Errorf("the page complained: %s", p)
	}
	for _, r := range b.requests {
		ok := strings.HasPrefix(r, "data:")
		for _, prefix := range allowed {
			ok = ok || strings.HasPrefix(r, prefix)
		}
		if !ok {
			t.Errorf("the page asked for %s", r)
		}
	}
	b.problems, b.requests = nil, nil
}

// Shoot writes pictures of the page to build/screenshots, from a telephone's
// width to a wall's, light and dark, and fails where the page is wider than the
// window.
func (b *Browser) Shoot(t *testing.T, name string, full bool) {
	t.Helper()
	for _, shot := range []struct {
		suffix        string
		width, height int64
		dark          bool
	}{
		{"390-light", 390, 844, false},
		{"390-dark", 390, 844, true},
		{"768-light", 768, 1024, false},
		{"768-dark", 768, 1024, true},
		{"1024-light", 1024, 768, false},
		{"1024-dark", 1024, 768, true},
		{"1440-light", 1440, 1000, false},
		{"1440-dark", 1440, 1000, true},
		{"1920-light", 1920, 1080, false},
		{"1920-dark", 1920, 1080, true},
	} {
		b.View(t, shot.width, shot.height, shot.dark)
		action := chromedp.CaptureScreenshot()
		if full {
			action = chromedp.FullScreenshot(100)
		}
		png, err := chromedp.Run(b.ctx, action)
		if err != nil {
			t.Fatalf("browser: %v", err)
		}
		path := filepath.Join(screenshots(t), name+"-"+shot.suffix+".png")
		if err := os.WriteFile(path, png, 0o644); err != nil {
			t.Fatal(err)
		}
		b.fits(t, name+" at "+shot.suffix)
	}
	b.View(t, 1440, 1000, false)
}

// Print writes the page as it is printed to build/screenshots, and fails where
// something that is folded would not be on paper.
func (b *Browser) Print(t *testing.T, name string) {
	t.Helper()
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil {
		t.Fatalf("browser: %v", err)
	}
	if err := os.WriteFile(filepath.Join(screenshots(t), name+".pdf"), pdf, 0o644); err != nil {
		t.Fatal(err)
	}
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	if folded := Eval[[]string](t, b, `[...document.querySelectorAll('main details')].filter(d => d.lastElementChild.getBoundingClientRect().height === 0).map(d => d.querySelector('summary').textContent)`); len(folded) > 0 {
		t.Errorf("%s is printed without what is folded under %q", name, folded)
	}
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	b.View(t, 1440, 1000, false)
}

// Scripts lets scripts run, or none.
func (b *Browser) Scripts(t *testing.T, run bool) {
	t.Helper()
	call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !run})
}

// fits fails the test when the page is wider than the window.
func (b *Browser) fits(t *testing.T, what string) {
	t.Helper()
	if over := Eval[int](t, b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		t.Errorf("%s is %d pixels wider than the window", what, over)
	}
}

// screenshots is build/screenshots beside go.mod.
func screenshots(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	dir = filepath.Join(dir, "build", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// finding is one of axe-core's.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

const axeRun = `axe.run(document).then(r => r.violations.map(v => ({
	ID: v.id, Impact: v.impact, Help: v.help,
	Nodes: v.nodes.slice(0, 3).map(n => ({HTML: n.html, FailureSummary: n.failureSummary})),
})))`

// Accessible runs axe-core on the page in both colour schemes and several widths
// and fails on every finding.
func (b *Browser) Accessible(t *testing.T) {
	t.Helper()
	for _, view := range []struct {
		width int64
		dark  bool
	}{{1440, false}, {1440, true}, {768, false}, {390, true}} {
		b.View(t, view.width, 1000, view.dark)
		Eval[bool](t, b, axe+";true")
		for _, f := range Eval[[]finding](t, b, axeRun) {
			var text strings.Builder
			fmt.Fprintf(&text, "axe (%d px, dark %v): %s: %s (%s)", view.width, view.dark, f.ID, f.Help, f.Impact)
			for _, n := range f.Nodes {
				fmt.Fprintf(&text, "\n  %s\n  %s", n.HTML, n.FailureSummary)
			}
			t.Error(text.String())
		}
	}
	b.View(t, 1440, 1000, false)
}
