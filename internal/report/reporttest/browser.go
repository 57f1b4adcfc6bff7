//go:build browser

package reporttest

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

//go:embed testdata/axe-core/axe.min.js
var axe string

var pictures = flag.Bool("pictures", false, "write a picture of every page in every view to build/screenshots")

// Bounds of what a browser does, far above what it takes on a busy machine: what
// hangs fails under its own name, long before the time of the whole test is up.
const (
	startsWithin = 2 * time.Minute
	actsWithin   = 2 * time.Minute
)

// Browser is a headless Chromium with one page, which notes everything that a
// sound page does not do.
type Browser struct {
	ctx      context.Context
	mu       sync.Mutex
	at       string // the address asked for last
	problems []string
	requests []string
}

// NewBrowser starts Chromium and ends it with the test.
func NewBrowser(t *testing.T) *Browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	alloc, stop := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		cancel()
		stop()
	})
	b := &Browser{ctx: ctx, at: "about:blank"}
	// The context of the first call is that of the browser: it has no deadline,
	// or the browser would end with it.
	begin := time.Now()
	late := time.AfterFunc(startsWithin, stop)
	err := chromedp.Listen(ctx, b.note)
	if !late.Stop() || err != nil {
		t.Fatalf("browser: Chromium did not start; given up after %v of at most %v: %v", time.Since(begin).Round(time.Millisecond), startsWithin, err)
	}
	call(t, b, network.Enable, network.EnableParams{})
	call(t, b, log.Enable, cdp.Empty{})
	call(t, b, runtime.Enable, cdp.Empty{})
	b.View(t, 1440, 1000, false)
	return b
}

func call[P, R any](t *testing.T, b *Browser, c cdp.Command[P, R], params P) R {
	t.Helper()
	return bounded(t, b, c.Method, func(ctx context.Context) (R, error) { return chromedp.Call(ctx, c, params) })
}

func run[T any](t *testing.T, b *Browser, what string, action chromedp.Action[T]) T {
	t.Helper()
	return bounded(t, b, what, func(ctx context.Context) (T, error) { return chromedp.Run(ctx, action) })
}

// bounded fails the test with the action and the page when the browser does not
// do it, or not in time.
func bounded[T any](t *testing.T, b *Browser, what string, act func(context.Context) (T, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, actsWithin)
	defer cancel()
	v, err := act(ctx)
	if err == nil {
		return v
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("browser: %s on %s hangs, or the machine is too slow: given up after %v; the page complained: %q", what, b.at, actsWithin, b.problems)
	}
	t.Fatalf("browser: %s on %s: %v; the page complained: %q", what, b.at, err, b.problems)
	return v
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
		if ev.Type == network.ResourceTypeDocument {
			b.at = ev.Request.URL
		}
	case *page.EventJavascriptDialogOpening:
		b.problems = append(b.problems, "dialog: "+ev.Message)
	}
}

func (b *Browser) do(t *testing.T, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	bounded(t, b, what, func(ctx context.Context) (chromedp.Void, error) {
		return chromedp.Void{}, chromedp.Do(ctx, steps...)
	})
}

// Open opens an address and waits until the element is there.
func (b *Browser) Open(t *testing.T, url, ready string) {
	t.Helper()
	b.do(t, "opening "+url, chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS(ready)))
}

// Wait waits until the element is there.
func (b *Browser) Wait(t *testing.T, selector string) {
	t.Helper()
	b.do(t, "waiting for "+selector, chromedp.WaitReady(chromedp.CSS(selector)))
}

// Until waits until a script is true; the page may not change meanwhile.
func (b *Browser) Until(t *testing.T, js string) {
	t.Helper()
	b.do(t, "waiting until "+js, chromedp.Poll[chromedp.Void](js, chromedp.WithPollingTimeout(time.Minute)))
}

// Click clicks on the first element of a selector.
func (b *Browser) Click(t *testing.T, selector string) {
	t.Helper()
	b.do(t, "a click on "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// ClickSlowly presses the button of the mouse on the first element of a selector,
// and releases it after meanwhile.
func (b *Browser) ClickSlowly(t *testing.T, selector string, meanwhile func()) {
	t.Helper()
	at := Eval[struct{ X, Y float64 }](t, b, fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return {X: r.x + r.width / 2, Y: r.y + r.height / 2}; })()`, selector))
	button := func(kind input.DispatchMouseEventType) {
		call(t, b, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: at.X, Y: at.Y, Button: input.MouseButtonLeft, ClickCount: 1})
	}
	button(input.DispatchMouseEventTypeMousePressed)
	meanwhile()
	button(input.DispatchMouseEventTypeMouseReleased)
}

// Press puts the focus on an element and presses Enter, as one does without a
// mouse.
func (b *Browser) Press(t *testing.T, selector string) {
	t.Helper()
	b.do(t, "Enter on "+selector, chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent("\r"))
}

// Set changes a control and says so to the page.
func (b *Browser) Set(t *testing.T, selector, value string) {
	t.Helper()
	Eval[bool](t, b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.value = %q; e.dispatchEvent(new Event('input', {bubbles: true})); return true; })()`, selector, value))
}

// Eval runs a script and returns its value; a promise is waited for.
func Eval[T any](t *testing.T, b *Browser, js string) T {
	t.Helper()
	return run(t, b, fmt.Sprintf("the script %.120q", js), chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
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

// Looks looks at the page from a telephone's width to a wall's, light and dark:
// it fails where the page is wider than the window, and where axe-core finds
// something. Pictures go to build/screenshots: two of what the window shows, or
// with -pictures one of each view, down to where a long page only repeats itself.
func (b *Browser) Looks(t *testing.T, name string) {
	t.Helper()
	for _, f := range b.look(t, name) {
		t.Error(f)
	}
}

func (b *Browser) look(t *testing.T, name string) (findings []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, view := range []struct {
		width, height          int64
		dark, examine, picture bool
	}{
		{width: 1440, height: 1000, examine: true},
		{width: 1440, height: 1000, dark: true, examine: true, picture: true},
		{width: 1920, height: 1080, dark: true},
		{width: 1920, height: 1080},
		{width: 1024, height: 768},
		{width: 1024, height: 768, dark: true},
		{width: 768, height: 1024, dark: true},
		{width: 768, height: 1024, examine: true},
		{width: 390, height: 844, picture: true},
		{width: 390, height: 844, dark: true, examine: true},
	} {
		b.View(t, view.width, view.height, view.dark)
		scheme := "light"
		if view.dark {
			scheme = "dark"
		}
		at := fmt.Sprintf("%s-%d-%s", name, view.width, scheme)
		if over := Eval[int](t, b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
			findings = append(findings, fmt.Sprintf("%s is %d pixels wider than the window", at, over))
		}
		if view.examine {
			findings = append(findings, b.accessible(t, at, seen)...)
		}
		if view.picture || *pictures {
			b.picture(t, at, view.width, view.height)
		}
	}
	b.View(t, 1440, 1000, false)
	return findings
}

// picture writes what the window shows to build/screenshots.
func (b *Browser) picture(t *testing.T, name string, width, height int64) {
	t.Helper()
	params := page.CaptureScreenshotParams{FromSurface: new(true), OptimizeForSpeed: new(true)}
	if *pictures {
		whole := Eval[int64](t, b, `document.documentElement.scrollHeight`)
		params.CaptureBeyondViewport = new(true)
		params.Clip = &page.Viewport{Width: float64(width), Height: float64(max(height, min(whole, 5000))), Scale: 1}
	}
	shot := call(t, b, page.CaptureScreenshot, params)
	if err := os.WriteFile(filepath.Join(screenshots(t), name+".png"), shot.Data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Print writes the page as it is printed to build/screenshots, and fails where
// something that is folded would not be on paper.
func (b *Browser) Print(t *testing.T, name string) {
	t.Helper()
	pdf := run(t, b, "printing "+name, chromedp.PrintToPDF())
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

// screenshots is build/screenshots beside go.mod.
func screenshots(t *testing.T) string {
	t.Helper()
	module, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(filepath.Dir(string(module)), "build", "screenshots")
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

// Rules of axe-core that can answer otherwise for the same elements: those about
// sizes in every view, those about colours where one has changed.
const (
	sizeRules   = `"scrollable-region-focusable"`
	colourRules = `"color-contrast", "link-in-text-block"`
)

// shown says which elements there are and are shown, and in which colours.
const shown = `(() => {
	const shown = [], colours = [];
	for (const e of document.querySelectorAll('*')) {
		const s = getComputedStyle(e);
		shown.push(s.display, s.visibility);
		colours.push(s.color, s.backgroundColor, s.backgroundImage, s.opacity, s.position);
	}
	return {Shown: shown.join(), Colours: colours.join()};
})()`

// accessible runs axe-core on the page and returns its findings. All its rules
// run where elements are shown as in no view in seen, else those alone that can
// find something new.
func (b *Browser) accessible(t *testing.T, at string, seen map[string]bool) (findings []string) {
	t.Helper()
	if !Eval[bool](t, b, `'axe' in window`) {
		Eval[bool](t, b, axe+";true")
	}
	page := Eval[struct{ Shown, Colours string }](t, b, shown)
	only := ""
	switch {
	case !seen[page.Shown]:
	case !seen[page.Shown+page.Colours]:
		only = "runOnly: [" + sizeRules + ", " + colourRules + "],"
	default:
		only = "runOnly: [" + sizeRules + "],"
	}
	seen[page.Shown], seen[page.Shown+page.Colours] = true, true
	for _, f := range Eval[[]finding](t, b, fmt.Sprintf(axeRun, only)) {
		var text strings.Builder
		fmt.Fprintf(&text, "axe: %s: %s: %s (%s)", at, f.ID, f.Help, f.Impact)
		for _, n := range f.Nodes {
			fmt.Fprintf(&text, "\n  %s\n  %s", n.HTML, n.FailureSummary)
		}
		findings = append(findings, text.String())
	}
	return findings
}

const axeRun = `axe.run(document, {%s resultTypes: ["violations"], selectors: false}).then(r => r.violations.map(v => ({
	ID: v.id, Impact: v.impact, Help: v.help,
	Nodes: v.nodes.slice(0, 3).map(n => ({HTML: n.html, FailureSummary: n.failureSummary})),
})))`
