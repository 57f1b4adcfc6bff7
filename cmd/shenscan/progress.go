package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/shenscan/shenscan/internal/record"
)

// progress shows a scan on a terminal, one line that renews itself. On
// anything else it shows nothing.
type progress struct {
	out      io.Writer
	started  time.Time
	expected int // instances of the last complete scan, 0 when not known
	shown    int
}

func newProgress(s *settings, stderr io.Writer, expected int) *progress {
	file, ok := stderr.(*os.File)
	if s.noProgess || !ok || !term.IsTerminal(int(file.Fd())) {
		return &progress{out: nil}
	}
	return &progress{out: stderr, started: time.Now(), expected: expected}
}

// every is how often it is to be shown. A scan's end is heard of at once; to
// read how far one is takes the more work the larger it is.
func (p *progress) every() time.Duration {
	if p.out == nil {
		return time.Minute
	}
	return 100 * time.Millisecond
}

func (p *progress) show(scan *record.Scan) {
	if p.out == nil || scan == nil {
		return
	}
	elapsed := time.Since(p.started)
	rate := float64(scan.Instances) / max(elapsed.Seconds(), 0.001)
	line := fmt.Sprintf("scanning: %d of %d regions done, %d instances, %.0f a second", scan.Done, scan.Regions, scan.Instances, rate)
	if left := p.expected - scan.Instances; left > 0 && rate > 0 {
		line += fmt.Sprintf(", about %s left", (time.Duration(float64(left)/rate) * time.Second).Round(time.Second))
	} else {
		line += ", " + elapsed.Round(time.Second).String()
	}
	fmt.Fprintf(p.out, "\r%-*s", p.shown, line)
	p.shown = len(line)
}

func (p *progress) clear() {
	if p.out != nil && p.shown > 0 {
		fmt.Fprintf(p.out, "\r%-*s\r", p.shown, "")
	}
}
