package distro

import (
	"os"
	"strings"
	"testing"
)

// The table has every release whose life cycle is published: testdata/
// lifecycles.tsv is what endoflife.date, osinfo-db and distro-info-data list.
func TestReleasesOfPublishedLifeCycles(t *testing.T) {
	b, err := os.ReadFile("testdata/lifecycles.tsv")
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]string{"alma": AlmaLinux, "centos-stream": CentOS, "alinux2": Alinux, "alinux3": Alinux}
	windows := strings.NewReplacer("-ac", "", "-sac", "", "-sp1", "", "-sp2", "", "-r2", "r2")
	n := 0
	for row := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimRight(row, "\n"), "\t")
		if f[0] == "distro" || f[1] == "rolling" || strings.Contains(f[1], " ") {
			continue // the heading, Gentoo, and rows about images
		}
		family, version, sp := f[0], f[1], ""
		if known, ok := families[family]; ok {
			family = known
		}
		switch family {
		case "windows":
			family, version = WindowsServer, windows.Replace(version)
		case SLES:
			version, sp, _ = strings.Cut(version, ".")
		}
		if StandingOf(family, "", version, sp) != Listed {
			t.Errorf("%s %s of %s is not in the table", family, version, f[2])
		}
		n++
	}
	if n < 250 {
		t.Errorf("only %d releases were looked up", n)
	}
}

func TestStandings(t *testing.T) {
	for _, c := range []struct {
		family, version, sp string
		want                Standing
	}{
		{CentOS, "5.11", "", Listed},
		{CentOS, "5.12", "", NoRelease},
		{CentOS, "6.11", "", NoRelease},
		{CentOS, "7.10", "", NoRelease},
		{CentOS, "9.4", "", NoRelease},
		{CentOS, "80", "", NoRelease},
		{RHEL, "9.7", "", Listed},
		{RHEL, "9.8", "", NextMinor},
		{RHEL, "9.9", "", NoRelease},
		{RHEL, "8.11", "", NoRelease},
		{RHEL, "11", "", NewMajor},
		{RHEL, "12", "", NoRelease},
		{Debian, "6.0.10", "", Listed},
		{Debian, "6.0.11", "", NoRelease},
		{Debian, "6.1", "", NoRelease},
		{Debian, "14", "", NewMajor},
		{Debian, "99", "", NoRelease},
		{Ubuntu, "12.04", "", Listed},
		{Ubuntu, "12.05", "", NoRelease},
		{Ubuntu, "26.10", "", NewMajor}, // a row behind that of 26.04
		{Ubuntu, "27.04", "", NewMajor},
		{Ubuntu, "30.04", "", NoRelease},
		{SLES, "11", "4", Listed},
		{SLES, "11", "5", NoRelease},
		{SLES, "13", "", NoRelease},
		{OpenSUSE, "14.1", "", NoRelease},
		{Fedora, "45", "", NewMajor},
		{Fedora, "1364", "", NoRelease},
		{FreeBSD, "11.4", "", Listed},
		{FreeBSD, "11.5", "", NoRelease},
		{WindowsServer, "2008r2", "", Listed},
		{WindowsServer, "2010", "", NoRelease},
		{WindowsServer, "2019r2", "", NoRelease},
		{WindowsServer, "2028", "", NewMajor},
		{WindowsClient, "xp", "", Listed},
		{WindowsClient, "95", "", Listed},
		{WindowsClient, "2003", "", NoRelease},
		{Kylin, "V10", "3", Listed},
		{Kylin, "V12", "", NoRelease},
		{CentOS, "", "", NoRelease},
		{Unknown, "5", "", NoRelease},
	} {
		if got := StandingOf(c.family, "", c.version, c.sp); got != c.want {
			t.Errorf("%s %s sp %q: standing %d, want %d", c.family, c.version, c.sp, got, c.want)
		}
	}
}

// A snapshot of Tumbleweed is a day, and of nothing else is a day a release.
func TestSnapshotsOfTumbleweed(t *testing.T) {
	for _, c := range []struct {
		edition, version string
		want             Standing
	}{
		{"tumbleweed", "20240101", Listed},
		{"tumbleweed", "2024", NoRelease},
		{"tumbleweed", "99.1", NoRelease},
		{"", "20240101", NoRelease},
	} {
		if got := StandingOf(OpenSUSE, c.edition, c.version, ""); got != c.want {
			t.Errorf("edition %q, version %s: standing %d, want %d", c.edition, c.version, got, c.want)
		}
	}
}

func TestExisting(t *testing.T) {
	for _, c := range [][3]string{{Debian, "6.0.9", "6.0.9"}, {Debian, "6.0.99", "6.0"}, {CentOS, "5.99", "5"}, {CentOS, "99.1", ""}, {CentOS, "", ""}} {
		if got := Existing(c[0], "", c[1]); got != c[2] {
			t.Errorf("%s %s: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// Mistakes in the tables are told, not skipped.
func TestTablesRefuse(t *testing.T) {
	for _, row := range []string{"centos\t5\t0-11\tyes\tclosed", "centos\t5\t0-x\tyes\tclosed\tsource", "debian\t6\t0.x\tyes\tclosed\tsource"} {
		if _, err := parseReleases(row); err == nil {
			t.Errorf("releases: %q was taken", row)
		}
	}
	for _, row := range []string{"centos\tos\tcentos\t", "centos\tkind\tcentos\t\t"} {
		if _, err := parseWords(row); err == nil {
			t.Errorf("words: %q was taken", row)
		}
	}
	known := map[string]bool{}
	for _, f := range Families() {
		known[f] = true
	}
	for key := range releases {
		family, _, _ := strings.Cut(key, "/")
		if !known[family] {
			t.Errorf("releases: there is no family %q", family)
		}
	}
	for text, w := range words {
		for _, w := range append([]*word{w}, phrases(w)...) {
			if w.family != "" && !known[w.family] {
				t.Errorf("words: %q is of no family: %q", text, w.family)
			}
			if w.role == roleCode && StandingOf(w.family, w.edition, w.version, "") == NoRelease {
				t.Errorf("words: %q stands for %s %s, which the table of releases lacks", text, w.family, w.version)
			}
		}
	}
}

func phrases(w *word) []*word {
	var out []*word
	for _, p := range w.longer {
		out = append(out, p.word)
	}
	return out
}
