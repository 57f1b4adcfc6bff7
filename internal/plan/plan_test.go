package plan_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/rules/waves"
)

var update = flag.Bool("update", false, "write the golden files anew")

// types is a small catalogue: sizes of 1 to 16 vCPU in the usual ratios.
func types() []ecs.InstanceType {
	var out []ecs.InstanceType
	add := func(family string, ratio float64, arch string, boot ...string) {
		for _, size := range []struct {
			name string
			cpu  int
		}{{"large", 2}, {"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}} {
			out = append(out, ecs.InstanceType{
				ID: family + "." + size.name, Family: family, Arch: arch, CPU: size.cpu, MemoryGiB: ratio * float64(size.cpu), BootModes: boot,
			})
		}
	}
	for _, gen := range []int{5, 6, 7, 8} {
		for body, ratio := range map[string]float64{"c": 2, "g": 4, "r": 8} {
			name := "ecs." + body + strconv.Itoa(gen)
			if gen == 8 {
				name += "i"
			}
			add(name, ratio, "X86", "BIOS", "UEFI")
		}
	}
	add("ecs.hfg6", 4, "X86", "BIOS")
	add("ecs.g6e", 4, "X86", "BIOS")
	add("ecs.g7t", 4, "X86", "UEFI")
	add("ecs.g8y", 4, "ARM", "UEFI")
	add("ecs.g6r", 4, "ARM", "UEFI")
	add("ecs.gn6i", 4, "X86", "BIOS")
	out = append(out, ecs.InstanceType{ID: "ecs.g6-nfveni.2xlarge", Family: "ecs.g6", Arch: "X86", CPU: 8, MemoryGiB: 32, BootModes: []string{"BIOS"}})
	out = append(out, ecs.InstanceType{ID: "ecs.t6-c1m1.small", Family: "ecs.t6", Arch: "X86", CPU: 1, MemoryGiB: 1, BootModes: []string{"BIOS"}})
	return out
}

func options(t testing.TB, target string, sum *record.Summary) plan.Options {
	t.Helper()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	to, err := rs.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Options{
		Target: to, Families: rs.Families(), Types: types(), OwnerTags: []string{"owner"}, Now: reporttest.Now(), Summary: sum,
		Checks: map[string]string{"snapshot": "Create snapshots of all disks right before the move."},
	}
}

func build(t testing.TB, seq iter.Seq2[*record.Record, error], o plan.Options) *plan.Plan {
	t.Helper()
	p, err := plan.Build(seq, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func render(t testing.TB, f report.Format, p *plan.Plan) string {
	t.Helper()
	var b bytes.Buffer
	if err := plan.Write(&b, f, p, report.Options{Now: reporttest.Now(), Width: 110}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWriteGolden(t *testing.T) {
	f := reporttest.New(40, 9)
	f.Fail()
	o := options(t, "shenlong-6", &f.Summary)
	o.StartGroups = f.Started()
	p := build(t, f.All(), o)
	for _, format := range plan.Formats() {
		t.Run(string(format), func(t *testing.T) {
			path := filepath.Join("testdata", "plan."+string(format))
			got := render(t, format, p)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs (-want +got), run with -update if that is meant:\n%s", path, diff)
			}
		})
	}
}

// one makes a stream of one instance with verdicts of the real rule set.
func one(t *testing.T, f rules.Facts, change func(*record.Record)) iter.Seq2[*record.Record, error] {
	t.Helper()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	c := rs.NewClassifier(rules.DefaultTargets())
	cl, machine := c.Classify(&f), c.Machine(f.Hardware())
	rec := &record.Record{
		Account: "a", Region: "cn-hangzhou", Zone: "cn-hangzhou-b", InstanceID: "i-1", InstanceType: f.InstanceType, InstanceFamily: machine.Family,
		Generation: machine.Generation, Virtualization: machine.Virtualization, CPU: 2, MemoryMiB: 8192, Classification: *cl,
	}
	if change != nil {
		change(rec)
	}
	return func(yield func(*record.Record, error) bool) { yield(rec, nil) }
}

func facts(name, osType, typ string) rules.Facts {
	return rules.Facts{OSName: name, OSType: osType, InstanceType: typ, IoOptimized: rules.Yes, Running: rules.Yes}
}

// Ten instances against the decisions of the compatibility page.
func TestTenInstancesAgainstTheCompatibilityPage(t *testing.T) {
	xen := facts("Windows Server 2012 R2 数据中心版 64位中文版", "windows", "ecs.t1.small")
	xen.IoOptimized = rules.No
	for _, c := range []struct {
		name     string
		facts    rules.Facts
		target   string
		wave     waves.ID
		solution string // the recommended one
		fallback bool
	}{
		{"centos_5_8_upgrades_to_5_11", facts("CentOS  5.8 64位", "linux", "ecs.g5.large"), "shenlong-6", waves.MinorUpgrade, "minor-upgrade to 5.11", true},
		{"centos_5_8_is_replaced_for_the_7th", facts("CentOS  5.8 64位", "linux", "ecs.g5.large"), "shenlong-7", waves.ReplaceOS, "replace-os", true},
		{"debian_6_0_6_upgrades", facts("Debian  6.0.6 64位", "linux", "ecs.g5.large"), "shenlong-6", waves.MinorUpgrade, "minor-upgrade", true},
		{"ubuntu_10_04_is_replaced", facts("Ubuntu  10.04 64位", "linux", "ecs.g5.large"), "shenlong-6", waves.ReplaceOS, "replace-os", true},
		{"windows_2003_is_replaced", facts("Windows Server 2003 R2 企业版 SP2 64位中文版", "windows", "ecs.g5.large"), "shenlong-6", waves.ReplaceOS, "replace-os", true},
		{"windows_2008_standard_is_repaired", facts("Windows Server 2008 标准版 SP2 32位中文版", "windows", "ecs.g5.large"), "shenlong-6", waves.Repair, "clear-xen-registry", true},
		{"windows_on_xen_is_repaired", xen, "shenlong-6", waves.Repair, "install-virtio", true},
		{"freebsd_11_gets_its_patch", facts("FreeBSD  11.1 64位", "linux", "ecs.g5.large"), "shenlong-6", waves.Repair, "apply-freebsd-patch", true},
		{"centos_7_9_is_ready", facts("CentOS 7.9 64位", "linux", "ecs.g5.large"), "shenlong-6", waves.Ready, "", false},
		{"no_name_at_all_is_a_question", facts("", "linux", "ecs.g5.large"), "shenlong-6", waves.Unknown, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := build(t, one(t, c.facts, nil), options(t, c.target, nil))
			for _, w := range p.Waves {
				for it := range w.Items {
					if w.ID != c.wave {
						t.Errorf("wave %s, want %s (%s: %s, remedies %v)", w.ID, c.wave, it.Verdict, it.Reason, it.Solutions)
					}
					if c.solution != "" && (len(it.Solutions) == 0 || !strings.HasPrefix(it.Solutions[0], c.solution)) {
						t.Errorf("solutions %v, want %s first", it.Solutions, c.solution)
					}
					if got := it.Fallback.Type != ""; got != c.fallback {
						t.Errorf("fallback %+v, want one: %v", it.Fallback, c.fallback)
					}
					if w.ID == waves.Unknown && it.Question == "" {
						t.Error("no question is put")
					}
				}
			}
		})
	}
}

func only(t *testing.T, p *plan.Plan) *plan.Item {
	t.Helper()
	for _, w := range p.Waves {
		for it := range w.Items {
			return it
		}
	}
	t.Fatal("the plan is empty")
	return nil
}

func TestReplacementHasTheSameSizeAndArchitecture(t *testing.T) {
	for _, c := range []struct {
		name, typ, target string
		cpu, memory       int
		want, why         string
	}{
		{"same_ratio", "ecs.g5.large", "shenlong-6", 2, 8192, "ecs.g6.large", "as now"},
		{"compute_ratio", "ecs.n4.large", "shenlong-6", 2, 4096, "ecs.c6.large", "as now"},
		{"memory_ratio_7th", "ecs.r5.xlarge", "shenlong-7", 4, 32768, "ecs.r7.xlarge", "as now"},
		{"trusted_uefi_types_are_not_offered", "ecs.g6.large", "shenlong-7", 2, 8192, "ecs.g7.large", "as now"},
		{"arm_stays_arm", "ecs.g6r.large", "ecs.g8y", 2, 8192, "ecs.g8y.large", "arm64"},
		{"there_is_no_arm_of_the_7th", "ecs.g6r.large", "shenlong-7", 2, 8192, "", "no type of the target"},
		{"what_a_type_change_leads_to_comes_first", "ecs.gn5i.large", "shenlong-6", 2, 8192, "", "by hand"},
		{"amd_goes_where_amd_can_change_to", "ecs.c6a.large", "shenlong-7", 2, 8192, "ecs.g7.large", "as now"},
		{"odd_size_goes_up", "ecs.s3.large", "shenlong-6", 4, 6144, "ecs.c6.xlarge", "next larger"},
		{"named_family", "ecs.g5.large", "ecs.g8i", 2, 8192, "ecs.g8i.large", "as now"},
		{"made_for_any_purpose", "ecs.n4.2xlarge", "shenlong-6", 8, 32768, "ecs.g6.2xlarge", "as now"},
		{"to_kvm", "ecs.t1.small", "kvm", 2, 8192, "ecs.g5.large", "as now"},
		{"gpu_is_chosen_by_hand", "ecs.gn5-c4g1.xlarge", "shenlong-6", 4, 30720, "", "by hand"},
		{"nothing_fits", "ecs.g5.large", "shenlong-6", 512, 8192, "", "no type of the target"},
		{"size_not_known", "ecs.g5.gone", "shenlong-6", 0, 0, "", "not known"},
		{"size_from_the_catalogue", "ecs.g5.large", "shenlong-6", 0, 0, "ecs.g6.large", "as now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, c.target, nil)
			seq := one(t, facts("CentOS 7.9 64位", "linux", c.typ), func(r *record.Record) {
				r.CPU, r.MemoryMiB, r.InstanceFamily = c.cpu, c.memory, o.Families.FamilyOf(c.typ)
				r.Verdicts = append([]rules.Verdict{reporttest.Verdict(c.target, rules.NeedsAction, "x", "x")}, r.Verdicts...)
			})
			it := only(t, build(t, seq, o))
			if it.Replacement.Type != c.want || !strings.Contains(it.Replacement.Why, c.why) {
				t.Errorf("replacement %+v, want %q because of %q", it.Replacement, c.want, c.why)
			}
		})
	}
}

func TestPath(t *testing.T) {
	for _, c := range []struct {
		name, typ, target string
		want              plan.Path
	}{
		{"5th_to_6th", "ecs.g5.large", "shenlong-6", plan.TypeChange},
		{"xen_to_6th", "ecs.t1.small", "shenlong-6", plan.NewInstance},
		{"xen_to_kvm", "ecs.t1.small", "kvm", plan.TypeChange},
		{"6th_to_7th", "ecs.g6.large", "shenlong-7", plan.TypeChange},
		{"no_change_offered", "ecs.i1.xlarge", "shenlong-6", plan.NewInstance},
		{"no_change_offered_and_no_type", "ecs.video-trans.26xhevc", "shenlong-6", plan.NewInstance},
		{"not_in_the_matrix", "ecs.t2.small", "shenlong-6", plan.NewInstance},
		{"no_family_at_all", "m5.large", "shenlong-6", plan.PathUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := only(t, build(t, one(t, facts("CentOS 7.9 64位", "linux", c.typ), nil), options(t, c.target, nil)))
			if it.Path != c.want {
				t.Errorf("path %s (%s), want %s", it.Path, it.PathNote, c.want)
			}
		})
	}
}

func TestWindowsChecklistAndOrder(t *testing.T) {
	it := only(t, build(t, one(t, facts("Windows Server 2008 标准版 SP2 32位中文版", "windows", "ecs.g5.large"), nil), options(t, "shenlong-6", nil)))
	text := strings.Join(it.Checklist, "\n")
	at := -1
	for _, want := range []string{"Restart the instance", "third-party security software", "sfc /scannow", "Create snapshots", "custom image"} {
		next := strings.Index(text, want)
		if next <= at {
			t.Errorf("%q is missing or out of order in:\n%s", want, text)
		}
		at = next
	}
}

// A machine on the classic network gets another address, and Windows does not
// start with less than 1 GiB: the plan says both and offers no type below.
func TestClassicNetworkAndLittleMemory(t *testing.T) {
	o := options(t, "shenlong-6", nil)
	o.Types = append(o.Types, ecs.InstanceType{ID: "ecs.c6.tiny", Family: "ecs.c6", Arch: "X86", CPU: 1, MemoryGiB: 0.5, BootModes: []string{"BIOS"}})
	for _, c := range []struct {
		os, kind, network string
		memory            int
		wantNetwork       bool
		wantMemory        bool
		wantType          string
	}{
		{"Windows Server 2019", "windows", "classic", 512, true, true, "ecs.c6.large"},
		{"Windows Server 2019", "windows", "vpc", 1024, false, false, "ecs.c6.large"},
		{"Debian 12", "linux", "classic", 512, true, false, "ecs.c6.tiny"},
		{"Debian 12", "linux", "", 512, false, false, "ecs.c6.tiny"},
	} {
		it := only(t, build(t, one(t, facts(c.os, c.kind, "ecs.n1.tiny"), func(rec *record.Record) {
			rec.CPU, rec.MemoryMiB, rec.NetworkType = 1, c.memory, c.network
		}), o))
		text := strings.Join(it.Checklist, "\n")
		if got := strings.Contains(text, "plan-network"); got != c.wantNetwork {
			t.Errorf("%+v: plan-network in the checklist: %v", c, got)
		}
		if got := strings.Contains(text, "windows-memory"); got != c.wantMemory {
			t.Errorf("%+v: windows-memory in the checklist: %v", c, got)
		}
		if it.Replacement.Type != c.wantType {
			t.Errorf("%+v: %s is recommended (%s)", c, it.Replacement.Type, it.Replacement.Why)
		}
	}
}

func TestKeepOSStays(t *testing.T) {
	o := options(t, "shenlong-7", nil)
	o.KeepOS = true
	for typ, solution := range map[string]string{"ecs.g5.large": "stay-gen5", "ecs.g6.large": "stay-family"} {
		f := facts("CentOS  5.8 64位", "linux", typ)
		f.Running = rules.No
		p := build(t, one(t, f, nil), o)
		for _, w := range p.Waves {
			if w.Instances > 0 && w.ID != waves.StayGen5 {
				t.Errorf("%s: wave %s, want stay-gen5", typ, w.ID)
			}
		}
		if it := only(t, p); len(it.Solutions) != 1 || !strings.HasPrefix(it.Solutions[0], solution) || it.Fallback.Type != typ {
			t.Errorf("%s: solutions %v, fallback %+v, want %s", typ, it.Solutions, it.Fallback, solution)
		}
	}
}

func TestAlreadyThereAndGone(t *testing.T) {
	p := build(t, one(t, facts("CentOS 7.9 64位", "linux", "ecs.g6.large"), nil), options(t, "shenlong-6", nil))
	if w := p.Waves[len(p.Waves)-1]; w.ID != waves.AlreadyThere || w.Instances != 1 {
		t.Errorf("wave %s has %d, want already-there with 1", w.ID, w.Instances)
	}
	gone := reporttest.Now()
	p = build(t, one(t, facts("CentOS 7.9 64位", "linux", "ecs.g6.large"), func(r *record.Record) { r.GoneAt = &gone }), options(t, "shenlong-6", nil))
	if p.Instances != 0 {
		t.Error("a gone instance is in the plan")
	}
}

func TestWhatIsThereAndBrokenDoesNotMove(t *testing.T) {
	p := build(t, one(t, facts("CentOS 7.9 64位", "linux", "ecs.g7.large"), func(r *record.Record) {
		r.Verdicts = []rules.Verdict{reporttest.Verdict("shenlong-6", rules.Incompatible, "x", "x", reporttest.MinorUpgrade("5.11"), reporttest.ReplaceOS())}
	}), options(t, "shenlong-6", nil))
	it := only(t, p)
	if it.Replacement.Type != "" || it.Note == "" || it.Solutions[0] != "minor-upgrade to 5.11" {
		t.Errorf("%+v, want no new type, a note and its solution", it)
	}
}

func TestAnUpgradeOnXenNeedsVirtioToo(t *testing.T) {
	f := facts("CentOS  5.8 64位", "linux", "ecs.t1.small")
	f.IoOptimized = rules.No
	it := only(t, build(t, one(t, f, nil), options(t, "shenlong-6", nil)))
	if want := []string{"minor-upgrade to 5.11", "install-virtio"}; !slices.Equal(it.Solutions, want) || !slices.Contains(it.Alternatives, "replace-os") {
		t.Errorf("solutions %v or %v, want %v or replace-os", it.Solutions, it.Alternatives, want)
	}
}

func TestEveryInstanceIsInOneWave(t *testing.T) {
	f := reporttest.New(500, 2)
	p := build(t, f.All(), options(t, "shenlong-7", &f.Summary))
	seen := map[string]int{}
	for _, w := range p.Waves {
		if n := len(slices.Collect(w.Items)); w.Instances != n {
			t.Errorf("wave %s says %d and lists %d", w.ID, w.Instances, n)
		}
		owners := 0
		for _, o := range w.Owners {
			owners += o.Instances
		}
		if owners != w.Instances {
			t.Errorf("the owners of %s have %d instances, the wave %d", w.ID, owners, w.Instances)
		}
		for it := range w.Items {
			seen[it.InstanceID]++
		}
	}
	if len(seen) != 500 || p.Instances != 500 || !p.Complete {
		t.Errorf("%d of 500 are in the plan, complete %v", len(seen), p.Complete)
	}
}

func TestErrors(t *testing.T) {
	o := options(t, "ecs.g8i", nil)
	if _, err := plan.Build(reporttest.New(3, 1).All(), o); !errors.Is(err, plan.ErrNoVerdict) {
		t.Errorf("Build = %v, want ErrNoVerdict", err)
	}
	broken := errors.New("torn")
	if _, err := plan.Build(func(yield func(*record.Record, error) bool) { yield(nil, broken) }, o); !errors.Is(err, broken) {
		t.Errorf("Build = %v, want the stream's error", err)
	}
	if err := plan.Write(&bytes.Buffer{}, report.JSONL, &plan.Plan{}, report.Options{}); !errors.Is(err, report.ErrFormat) {
		t.Errorf("Write(jsonl) = %v, want ErrFormat", err)
	}
}

// Items of one wave and owner are kept as they come: what came out of order
// would stand in the plan out of order.
func TestInstancesMustComeInOrder(t *testing.T) {
	f := reporttest.New(2, 1)
	seq := func(yield func(*record.Record, error) bool) { _ = yield(f.Records[1], nil) && yield(f.Records[0], nil) }
	if _, err := plan.Build(seq, options(t, "shenlong-6", nil)); !errors.Is(err, plan.ErrOrder) {
		t.Errorf("Build = %v, want ErrOrder", err)
	}
}

// A plan of ten million instances must fit into a gigabyte beside what reads
// them: an item that is kept as a whole takes twenty times as much, its id and
// name alone take 40 bytes.
func TestAnItemTakesFewBytes(t *testing.T) {
	const n = 100_000
	name := func(id string) string {
		sum := sha256.Sum256([]byte(id))
		return fmt.Sprintf("%s-web-%x", []string{"ledger", "orders", "media", "gateway"}[sum[0]%4], sum[1:4])
	}
	f := reporttest.New(500, 3)
	seq := func(yield func(*record.Record, error) bool) {
		for i := range n {
			rec := *f.Records[i%len(f.Records)]
			rec.Account, rec.Region = "1234567890123456", "cn-hangzhou"
			sum := sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
			rec.InstanceID = fmt.Sprintf("i-bp1%05x%s", i, strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:10]))
			rec.InstanceName = name(rec.InstanceID)
			if !yield(&rec, nil) {
				return
			}
		}
	}
	// What a process reads once, such as its rules, is no instance's.
	build(t, func(yield func(*record.Record, error) bool) { yield(f.Records[0], nil) }, options(t, "shenlong-6", nil))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p := build(t, seq, options(t, "shenlong-6", nil))
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes an instance", each)
	if each > 38 {
		t.Error("more than 38 bytes an instance")
	}
	seen, at := 0, ""
	for _, w := range p.Waves {
		owner := ""
		for it := range w.Items {
			if it.Owner != owner {
				owner, at = it.Owner, ""
			}
			if it.InstanceID <= at || it.InstanceName != name(it.InstanceID) || it.Region != "cn-hangzhou" {
				t.Fatalf("%s, %s, %s after %s", it.InstanceID, it.InstanceName, it.Region, at)
			}
			at = it.InstanceID
			seen++
		}
	}
	if seen != n {
		t.Errorf("%d of %d", seen, n)
	}
}

func TestHostileNamesStayText(t *testing.T) {
	f := reporttest.New(len(reporttest.Hostile()), 3)
	for i, r := range f.Records {
		r.Tags = map[string]string{"owner": reporttest.Hostile()[i]}
	}
	p := build(t, f.All(), options(t, "shenlong-6", &f.Summary))
	for _, format := range plan.Formats() {
		t.Run(string(format), func(t *testing.T) {
			out := render(t, format, p)
			if !utf8.ValidString(out) {
				t.Error("output is not UTF-8")
			}
			for i, c := range out {
				if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)) {
					t.Fatalf("raw control character %U in %q", c, out[max(0, i-40):i+10])
				}
			}
			switch format {
			case report.HTML, report.Markdown:
				own := 0
				if format == report.HTML {
					own = 2 // the data and the script that lists it
				}
				if strings.Contains(out, "<img") || strings.Count(out, "<script") != own {
					t.Error("markup got through")
				}
			case report.JSON:
				var doc struct {
					plan.Plan
					Waves []struct {
						Instances int
						Items     []plan.Item
					} `json:"waves"`
				}
				if err := json.Unmarshal([]byte(out), &doc); err != nil {
					t.Fatal(err)
				}
				listed := 0
				for _, w := range doc.Waves {
					if listed += len(w.Items); w.Items == nil || len(w.Items) != w.Instances {
						t.Errorf("a wave of %d lists %d", w.Instances, len(w.Items))
					}
				}
				if n := len(reporttest.Hostile()); doc.Instances != n || listed != n {
					t.Errorf("%d instances, %d listed, want %d", doc.Instances, listed, n)
				}
			case report.CSV:
				rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows {
					for _, cell := range row {
						if first, _ := utf8.DecodeRuneInString(strings.TrimSpace(cell)); strings.ContainsRune("=+-@＝", first) {
							t.Errorf("cell %.40q is a formula", cell)
						}
					}
				}
			default:
			}
		})
	}
}

// Every cell of the vendor's matrix decides the path of a plan: dropping one,
// or adding one, turns this red.
func TestEveryCellOfTheMatrixDecidesThePath(t *testing.T) {
	matrix := map[string][]string{}
	names := map[string]bool{}
	b, err := os.ReadFile(filepath.Join("..", "..", "rules", "testdata", "type-change-2026.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		from, to, _ := strings.Cut(line, "\t")
		names[from] = true
		matrix[from] = strings.Fields(to)
		for _, f := range matrix[from] {
			names[f] = f != "none"
		}
	}
	delete(names, "none")
	if len(matrix) != 211 {
		t.Fatalf("the matrix has %d rows", len(matrix))
	}
	cells, base := 0, options(t, "shenlong-6", nil)
	for to := range names {
		o := base
		o.Target = rules.Target{ID: to, Family: to, Class: rules.ClassShenlong6}
		o.Types = []ecs.InstanceType{{ID: to + ".large", Family: to, Arch: "X86", CPU: 2, MemoryGiB: 8}, {ID: to + ".xlarge", Family: to, Arch: "ARM", CPU: 2, MemoryGiB: 8}}
		seq := func(yield func(*record.Record, error) bool) {
			for _, from := range slices.Sorted(maps.Keys(matrix)) {
				rec := &record.Record{Account: "a", Region: "r", InstanceID: from, InstanceType: from + ".small", InstanceFamily: from, CPU: 2, MemoryMiB: 8192}
				rec.Verdicts = []rules.Verdict{reporttest.Verdict(to, rules.Compatible, "x", "x")}
				if from != to && !yield(rec, nil) {
					return
				}
			}
		}
		for _, w := range build(t, seq, o).Waves {
			for it := range w.Items {
				want := plan.NewInstance
				if slices.Contains(matrix[it.InstanceID], to) {
					want = plan.TypeChange
					cells++
				}
				if it.Path != want {
					t.Errorf("%s to %s: %s (%s), want %s", it.InstanceID, to, it.Path, it.PathNote, want)
				}
			}
		}
	}
	t.Logf("%d changes are offered between %d families", cells, len(names))
}
