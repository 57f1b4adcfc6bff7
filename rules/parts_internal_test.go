package rules

import (
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/version"
)

func span(lo, hi uint32) interval { return interval{version.Key{lo}, version.Key{hi}} }

// What is taken from a set of releases is gone from its ends; in its middle, where
// two would be left, and beside it all stays.
func TestWhatIsTakenFromReleases(t *testing.T) {
	for name, c := range map[string]struct{ from, take, left interval }{
		"the beginning":         {span(5, 9), span(5, 7), span(7, 9)},
		"beyond the beginning":  {span(5, 9), span(3, 7), span(7, 9)},
		"up to the beginning":   {span(5, 9), span(3, 5), span(5, 9)},
		"before it":             {span(5, 9), span(2, 4), span(5, 9)},
		"the end":               {span(5, 9), span(7, 9), span(5, 7)},
		"beyond the end":        {span(5, 9), span(7, 12), span(5, 7)},
		"from the end":          {span(5, 9), span(9, 12), span(5, 9)},
		"behind it":             {span(5, 9), span(10, 12), span(5, 9)},
		"the middle":            {span(5, 9), span(6, 8), span(5, 9)},
		"up to the last but on": {span(5, 9), span(6, 9), span(5, 6)},
	} {
		if got := c.from.minus(c.take); got != c.left {
			t.Errorf("%s: %v, want %v", name, got, c.left)
		}
	}
	if got := span(5, 9).minus(span(5, 9)); !got.empty() {
		t.Errorf("all: %v", got)
	}
	if got := span(5, 9).minus(span(1, 12)); !got.empty() {
		t.Errorf("more than all: %v", got)
	}
}

// Releases that are told by words or by service packs have their place among
// those that are told by numbers.
func TestKeysOfReleases(t *testing.T) {
	for value, want := range map[string]version.Key{
		"nt3": {3}, "nt4": {4}, "2000": {2000}, "2003": {2003}, "1709": {2016, 1, 1709}, "20h2": {2016, 1, 20}, "2022": {2022}, "23h2": {2022, 1},
	} {
		if got, _ := key(distro.WindowsServer, value); got != want {
			t.Errorf("Windows Server %s: %v, want %v", value, got, want)
		}
	}
	plain, _ := known(distro.SLES, "11", "")
	if got, _ := known(distro.SLES, "11", "x"); got != plain {
		t.Errorf("a service pack without a number: %v, want %v", got, plain)
	}
	if got, _ := known(distro.SLES, "11", "4"); got != (interval{version.Key{11, 4}, version.Key{11, 5}}) {
		t.Errorf("a service pack: %v", got)
	}
	if got, ok := known(distro.SLES, "1.2.3.4", "5"); !ok || got != (interval{version.Key{1, 2, 3, 4}, version.Key{1, 2, 3, 5}}) {
		t.Errorf("a service pack for which there is no place: %v", got)
	}
}

// A range of kernels has its ends or has them not, as it says.
func TestEndsOfKernelRanges(t *testing.T) {
	for text, want := range map[string][3]bool{ // what is before, at and after 2.6.32-100
		"<2.6.32-100":              {true, false, false},
		"<=2.6.32-100":             {true, true, false},
		">2.6.32-100":              {false, false, true},
		">=2.6.32-100":             {false, true, true},
		">=2.6.32-100 <2.6.32-101": {false, true, false},
	} {
		r, err := parseKernelRange(text)
		if err != nil {
			t.Fatal(err)
		}
		for i, kernel := range []string{"2.6.32-99", "2.6.32-100", "2.6.32-101"} {
			if got := r.contains(version.ParseKernel(kernel)); got != want[i] {
				t.Errorf("%s in %s: %t", kernel, text, got)
			}
		}
	}
}

// The last kernel of a major release is that of all its minor releases to come.
func TestTheLastKernelOfAMajorReleaseIsOpen(t *testing.T) {
	for kernel, want := range map[string]interval{
		"2.6.18-348.el5": {version.Key{5, 9}, version.Key{5, 10}}, "2.6.18-398.el5": {version.Key{5, 11}, version.Key{6}},
		"3.10.0-1127.el7": {version.Key{7, 8}, version.Key{7, 9}}, "3.10.0-1160.el7": {version.Key{7, 9}, version.Key{8}},
	} {
		if got, ok := elKernel(version.ParseKernel(kernel)); !ok || got != want {
			t.Errorf("%s: %v, want %v", kernel, got, want)
		}
	}
}

// The lines of releases whose numbers do not follow their age are put in order, and
// no others.
func TestNumbersThatDoNotFollowAge(t *testing.T) {
	for _, c := range []struct {
		family string
		of     uint32
		want   uint32
	}{
		{distro.OpenSUSE, 42, 14},
		{distro.OpenSUSE, 13, 13},
		{distro.OpenSUSE, 43, 43},
		{distro.Debian, 42, 42},
		{distro.Alinux, 17, 1},
		{distro.Alinux, 5, 1},
		{distro.Alinux, 4, 4},
		{distro.Alinux, 2, 2},
		{distro.Debian, 17, 17},
	} {
		if got := ordinal(c.family, version.Key{c.of, 3}); got != (version.Key{c.want, 3}) {
			t.Errorf("%s %d: %v, want %d", c.family, c.of, got, c.want)
		}
	}
}

// All builds of Enterprise Linux are told apart by one line of kernels, and no
// other system by it.
func TestLinesOfKernels(t *testing.T) {
	for k, want := range map[candidate]string{
		{family: distro.CentOS}: elLine, {family: distro.Anolis}: elLine,
		{family: distro.OtherLinux, edition: "scientific"}: elLine, {family: distro.OtherLinux, edition: "el"}: elLine,
		{family: distro.OtherLinux}: distro.OtherLinux, {family: distro.OtherLinux, edition: "gentoo"}: distro.OtherLinux,
		{family: distro.Debian, edition: "el"}: distro.Debian, {family: distro.Debian, edition: "scientific"}: distro.Debian,
	} {
		if got := k.line(); got != want {
			t.Errorf("%s/%s: %s, want %s", k.family, k.edition, got, want)
		}
	}
	old := newCandidate(distro.SLES, "8", "", "", "2.6.5-7.97-default")
	if got := old.newerByKernel(); got != "9" {
		t.Errorf("the first of the line: %q", got)
	}
}

// The memory of a type follows from its name where the name fixes the ratio.
func TestMemoryByNames(t *testing.T) {
	for _, c := range []struct {
		id, family string
		want       int
	}{
		{"ecs.c5.large", "ecs.c5", 4096},
		{"ecs.g5.large", "ecs.g5", 8192},
		{"ecs.r5.large", "ecs.r5", 16384},
		{"ecs.g9i.large", "ecs.g9i", 8192},
		{"ecs.g4.large", "ecs.g4", 0},
		{"ecs.ga1.large", "ecs.ga1", 0},
		{"ecs.g.large", "ecs.g", 0},
		{"ecs.t6.large", "ecs.t6", 0},
		{"ecs.g6-c1m4.large", "ecs.g6", 0},
	} {
		if got := memory(c.id, c.family, 2); got != c.want {
			t.Errorf("%s: %d MiB, want %d", c.id, got, c.want)
		}
	}
	for class, want := range map[Class]int{ClassKVM: 5, ClassShenlong6: 6, ClassShenlong8: 8} {
		if got := class.Generation(); got != want {
			t.Errorf("%s begins with generation %d, want %d", class, got, want)
		}
	}
}

// What API and table say of NVMe and of boot modes: silence changes nothing, and
// what contradicts leaves the worse.
func TestWhatIsLearnedOfATarget(t *testing.T) {
	for name, c := range map[string]struct {
		target Target
		says   string
		want   string
	}{
		"silence of an unlisted family":            {Target{Family: "ecs.x7", Class: ClassShenlong7, NVMe: "unknown", Unlisted: true}, "", "unknown"},
		"an unlisted family":                       {Target{Family: "ecs.x7", Class: ClassShenlong7, NVMe: "unknown", Unlisted: true}, "supported", "supported"},
		"unsupported, of a family":                 {Target{Family: "ecs.x7", Class: ClassShenlong7, NVMe: "unknown"}, "unsupported", "unsupported"},
		"unsupported, of a class":                  {Target{Class: ClassShenlong7}, "unsupported", ""},
		"unsupported, of a family that demands it": {Target{Family: "ecs.x8", Class: ClassShenlong8, NVMe: "unknown"}, "unsupported", "unknown"},
		"supported, of a family":                   {Target{Family: "ecs.x7", Class: ClassShenlong7, NVMe: "unknown"}, "supported", "unknown"},
		"required, of a family":                    {Target{Family: "ecs.x7", Class: ClassShenlong7, NVMe: "unknown"}, "required", "required"},
	} {
		if c.target.learnNVMe(c.says); c.target.NVMe != c.want || len(c.target.conflicts) > 0 {
			t.Errorf("%s: %q, want %q, %+v", name, c.target.NVMe, c.want, c.target.conflicts)
		}
	}
	for name, c := range map[string]struct{ had, says, want []string }{
		"another one":  {[]string{"BIOS"}, []string{"UEFI"}, []string{"BIOS"}},
		"one of two":   {[]string{"BIOS", "UEFI"}, []string{"UEFI"}, []string{"UEFI"}},
		"one more":     {[]string{"BIOS"}, []string{"BIOS", "UEFI"}, []string{"BIOS"}},
		"the first":    {nil, []string{"UEFI"}, []string{"UEFI"}},
		"nothing":      {[]string{"BIOS"}, nil, []string{"BIOS"}},
		"the same two": {[]string{"BIOS", "UEFI"}, []string{"BIOS", "UEFI"}, []string{"BIOS", "UEFI"}},
	} {
		target := Target{Family: "ecs.x7", BootModes: c.had}
		if target.learnBoot(c.says); !slices.Equal(target.BootModes, c.want) {
			t.Errorf("%s: %v, want %v", name, target.BootModes, c.want)
		}
	}
}

// Every word of a record is read as what it was written for, and no other is.
func TestWordsOfRecords(t *testing.T) {
	for e := EvidenceNone; e <= EvidenceGuest; e++ {
		if got, err := ParseEvidence(e.String()); err != nil || got != e {
			t.Errorf("evidence %q: %q, %v", e, got, err)
		}
	}
	for _, l := range Levels() {
		if got, err := ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("level %s: %s, %v", l, got, err)
		}
		for _, other := range Levels() {
			if worse := Worse(l, other); worse != l && worse != other || !worse.AtLeast(l) || !worse.AtLeast(other) {
				t.Errorf("of %s and %s %s is the worse", l, other, worse)
			}
		}
	}
	for _, c := range []Confidence{Low, Medium, High} {
		if got, err := ParseConfidence(c.String()); err != nil || got != c {
			t.Errorf("confidence %s: %s, %v", c, got, err)
		}
	}
	for want, tri := range map[string]Tri{"unobserved": Unobserved, "no": No, "yes": Yes} {
		if got, err := ParseTri(want); err != nil || got != tri || got.String() != want {
			t.Errorf("%s: %s, %v", want, got, err)
		}
	}
	if got, err := ParseTri(""); err != nil || got != Unobserved {
		t.Errorf("nothing was observed: %s, %v", got, err)
	}
	if got := Level(len(Levels())).String(); got != "unknown" {
		t.Errorf("what is no level reads %q", got)
	}
	for _, err := range []error{new(Level).UnmarshalText([]byte("good")), new(Confidence).UnmarshalText([]byte("good")), new(Evidence).UnmarshalText([]byte("good")), new(Tri).UnmarshalText([]byte("good"))} {
		if err == nil || !strings.Contains(err.Error(), `"good" is none of `) {
			t.Errorf("a word that is none: %v", err)
		}
	}
}

// What settles a verdict is the cheapest question among its checks, else a trial;
// what a waiver set aside only a trial settles.
func TestTheCheapestQuestionSettlesAVerdict(t *testing.T) {
	for i, q := range Questions() {
		if q.Number() != i {
			t.Errorf("%s is number %d, want %d", q, q.Number(), i)
		}
	}
	if n := Question("restart").Number(); n != len(Questions()) {
		t.Errorf("what is no question is number %d", n)
	}
	all := []string{"restart", string(QuestionTrial), string(QuestionNVMe), string(QuestionPlatform), string(QuestionVersion)}
	for n, want := range map[int]Question{1: QuestionTrial, 2: QuestionTrial, 3: QuestionNVMe, 4: QuestionPlatform, 5: QuestionVersion} {
		if got := (&Verdict{Checks: all[:n]}).Settles(); got != want {
			t.Errorf("%v: %s, want %s", all[:n], got, want)
		}
	}
	if got := (&Verdict{Checks: all, Waiver: &Waiver{}}).Settles(); got != QuestionTrial {
		t.Errorf("waived: %s", got)
	}
}

// Every answer that contradicts that of the strongest source is told, and no other.
func TestAnswersThatContradictTheStrongest(t *testing.T) {
	for name, c := range map[string]struct {
		guest, check, runs Tri
		want               []string
	}{
		"none":              {Unobserved, Unobserved, Unobserved, nil},
		"one":               {Unobserved, Yes, Unobserved, nil},
		"all agree":         {No, No, No, nil},
		"one against two":   {Yes, No, Yes, []string{"the image check"}},
		"two against one":   {No, Yes, Yes, []string{"the image check", "it runs on virtio"}},
		"the weakest alone": {Unobserved, No, Yes, []string{"it runs on virtio"}},
	} {
		s := said{saidVirtio: {c.guest, c.check, c.runs}}
		var got []string
		for _, k := range s.conflicts(nil) {
			got = append(got, k.Text)
			if k.Field != "virtio at boot" || k.Chosen == k.Other {
				t.Errorf("%s: %+v", name, k)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
