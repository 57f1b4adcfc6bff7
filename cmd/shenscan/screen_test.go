package main_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/report"
)

// TestSixtyColumns has whatever a command prints fit into 60 columns, apart from
// commands, which are to be copied, and shows the version of every system.
func TestSixtyColumns(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir := filepath.Join(home, "store")
	narrow := []string{"PATH=/usr/bin:/bin", "HOME=" + home, "COLUMNS=60"}
	for _, line := range [][]string{
		{"demo", "--store", dir, "--html", "", "--instances", "600", "--regions", "4"},
		{"report", "--store", dir},
		{"report", "--since", "2026-01-01", "--store", dir},
		{"report", "--scans", "--store", dir},
		{"plan", "--store", dir},
		{"plan", "--owner-tag", "team", "--store", dir},
		{"plan", "--settle", "--target", "shenlong-8", "--store", dir},
		{"plan", "--progress", "--store", dir},
		{"classify", "--output", "table", "Red Hat Enterprise Linux 5.8", "Windows Server 2003 标准版 64位中文版"},
		{"rules", "list"},
		{"rules", "explain", "SUSE Linux Enterprise Server 11 SP1"},
		{"config", "check"},
		{"scan", "--help"},
		{"scan", "--store", filepath.Join(home, "none"), "--endpoint", "http://127.0.0.1:1"},
	} {
		t.Run(strings.Join(line[:2], " "), func(t *testing.T) {
			r := run(t, narrow, line...)
			if r.code != 0 && !slices.Contains(line, "--endpoint") {
				t.Fatalf("exit %d: %s", r.code, r.stderr)
			}
			for text := range strings.Lines(r.stdout + r.stderr) {
				if text = strings.TrimRight(text, "\n"); report.Width(text) > 60 && !strings.Contains(text, "shenscan ") && !strings.Contains(text, home) {
					t.Errorf("%d columns: %q", report.Width(text), text)
				}
			}
			if line[0] == "report" && len(line) == 3 && !strings.Contains(r.stdout, "CentOS 7.4  ") {
				t.Errorf("no system is shown with its version:\n%s", r.stdout)
			}
		})
	}
}
