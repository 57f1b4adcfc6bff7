package main_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// `go test ./...` scans under a sample of what is here: each trial is a scan, and
// all of them together take longer than every other test of this package. `make
// test/contradict`, which .ci/run calls, tries all of it on the same small fleets;
// make contradict does so on larger ones and from an empty store too.
var (
	contradictWhole     = flag.Bool("contradict-whole", false, "try every contradiction, fault and pair rather than a sample")
	contradictInstances = flag.Int("contradict-instances", 0, "instances of the fleet that every contradiction is tried on; 0 is a small one")
	contradictPairs     = flag.Int("contradict-pairs", 6, "pairs of contradictions to scan under, one in eight of them in a sample")
	contradictSeed      = flag.Uint64("contradict-seed", 1, "draws the pairs")
	contradictSlow      = flag.Bool("contradict-slow", false, "try what waits for seconds or minutes, as the API asks, too")
)

// want is how a scan may end.
type want uint8

const (
	// sound: complete or partial, and never complete and wrong.
	sound want = iota
	// whole: complete and right; nothing less will do.
	whole
	// partly: partial with a cause; the API's own answers disagree for good.
	partly
)

// trial is a contradiction or a fault under which a fleet is scanned.
type trial struct {
	name string
	with string // another one that is in force beside it
	want want
	// facts says that instances show less than they do otherwise, so that
	// verdicts may differ from the truth, though not be milder with high confidence.
	facts bool
	// unasked says that the platform's own answer is missing: a system that it
	// alone refuses there is judged by whether it boots.
	unasked bool
	lanes   bool          // about creation times: the region is to be cut into lanes
	members bool          // accounts of a resource directory
	stored  bool          // nothing but a store that knows it from before can tell
	slow    bool          // waits for seconds or minutes
	as      string        // what the trial is called, where there is another of its name
	flags   []string      // further ones of the scan
	limit   time.Duration // that a scan may take; a minute where it is 0
	says    string        // a part of a cause
	faults  []ecssim.Fault
}

// trials are the contradictions in the order of the simulator's help.
var trials = []trial{
	{name: ecssim.BoundsExclusive.Name, want: whole, lanes: true},
	{name: ecssim.BoundsHalfOpen.Name, want: whole, lanes: true},
	{name: ecssim.BoundsAfter.Name, want: whole, lanes: true},
	{name: ecssim.FiltersPositional.Name, want: whole, lanes: true},
	{name: ecssim.FiltersRefused.Name, want: whole, lanes: true},
	{name: ecssim.FiltersIgnored.Name, want: whole, lanes: true},
	{name: ecssim.FiltersInCounts.Name, want: sound, lanes: true},
	{name: ecssim.EndIgnored.Name, want: whole, lanes: true},
	{name: ecssim.MaxResultsIgnored.Name, want: whole},
	{name: ecssim.PagesByNumber.Name, want: whole},
	{name: ecssim.TokenMissing.Name, want: sound},
	{name: ecssim.TokenEmpty.Name, want: partly},
	{name: ecssim.TokenNull.Name, want: partly},
	{name: ecssim.TokenTwice.Name, want: partly},
	{name: ecssim.TokenAfterLast.Name, want: whole},
	{name: ecssim.TokenEndless.Name, want: partly},
	{name: ecssim.TokenEndlessEmpty.Name, want: partly},
	{name: ecssim.TokenUnknownCode.Name, want: whole},
	{name: ecssim.ListCut.Name, want: partly},
	{name: ecssim.RowsLeftOut.Name, want: partly},
	{name: ecssim.RowsOfOtherRegions.Name, want: partly},
	{name: ecssim.IDsOfOtherRegions.Name, want: partly},
	{name: ecssim.RowsUnkeepable.Name, want: partly},
	{name: ecssim.CountMissing.Name, want: whole},
	{name: ecssim.CountZero.Name, want: sound},
	{name: ecssim.CountHigh.Name, want: partly},
	{name: ecssim.CountHuge.Name, want: partly},
	{name: ecssim.ErrorAs200.Name, want: partly},
	{name: ecssim.RevokedMidway.Name, want: partly},
	{name: ecssim.IDsIgnored.Name, want: partly, stored: true},
	{name: ecssim.IDsCapped.Name, want: whole},
	{name: ecssim.IDsEmpty.Name, want: sound},
	{name: ecssim.NothingVisible.Name, want: partly, stored: true},
	{name: ecssim.ImagesByAlias.Name, want: whole},
	{name: ecssim.ImagesCapped.Name, want: whole},
	{name: ecssim.ImagesUnasked.Name, want: partly, facts: true},
	{name: ecssim.ImagesEmpty.Name, want: partly, facts: true},
	{name: ecssim.ImageIDsEmpty.Name, want: partly, facts: true, says: "and does not find it by its id either"},
	{name: ecssim.ImagesErrorAs200.Name, want: partly, facts: true},
	{name: ecssim.OfferedErrorAs200.Name, want: whole, facts: true, unasked: true},
	{name: ecssim.OfferedOfOthers.Name, want: whole, facts: true, unasked: true},
	{name: ecssim.OfferedEmpty.Name, want: whole, facts: true, unasked: true},
	{name: ecssim.OfferedOldAlone.Name, want: whole, facts: true},
	{name: ecssim.OfferedUnknown.Name, want: whole},
	{name: ecssim.OfferedCut.Name, want: whole, facts: true, unasked: true},
	{name: ecssim.AgentsOfOthers.Name, want: whole, facts: true},
	{name: ecssim.AgentsAhead.Name, want: whole, facts: true},
	{name: ecssim.AgentsNowhere.Name, want: whole, facts: true},
	{name: ecssim.AgentsHalf.Name, want: whole},
	{name: ecssim.ConsoleOfOthers.Name, want: whole, flags: []string{"--console-share", "5"}},
	{name: ecssim.ConsoleOld.Name, want: whole, flags: []string{"--console-share", "5"}},
	{name: ecssim.ConsoleGarbled.Name, want: whole, facts: true, flags: []string{"--console-share", "5"}},
	{name: ecssim.TemplatesErrorAs200.Name, want: whole},
	{name: ecssim.TemplatesCut.Name, want: whole},
	{name: ecssim.TemplatesGarbled.Name, want: whole},
	{name: ecssim.VersionsOfOthers.Name, want: whole},
	{name: ecssim.VersionsMissing.Name, want: whole},
	{name: ecssim.DisksErrorAs200.Name, want: whole}, // a scan asks for no disks: TestDisksThatAreNotKnown plans under these
	{name: ecssim.DisksEmpty.Name, want: whole},
	{name: ecssim.DisksCut.Name, want: whole},
	{name: ecssim.DisksTwice.Name, want: whole},
	{name: ecssim.DisksOfOthers.Name, want: whole},
	{name: ecssim.DisksElsewhere.Name, want: whole},
	{name: ecssim.DisksUnknown.Name, want: whole},
	{name: ecssim.ChangesErrorAs200.Name, want: whole}, // a scan asks for no change: TestOffersThatAreNotKnown
	{name: ecssim.ChangesEmpty.Name, want: whole},
	{name: ecssim.ChangesElsewhere.Name, want: whole},
	{name: ecssim.ChangesFewer.Name, want: whole},
	{name: ecssim.RegionsEmpty.Name, want: partly},
	{name: ecssim.RegionsCut.Name, want: partly, says: "the list of regions may not be all"},
	{name: ecssim.RegionVanishes.Name, want: partly, stored: true},
	{name: ecssim.MembersPromoted.Name, want: whole, members: true},
	{name: ecssim.DirectoryDown.Name, want: partly, members: true, slow: true},
	{name: ecssim.ThrottleLong.Name, want: whole, slow: true, flags: []string{"--scan-idle", "5m"}, limit: 4 * time.Minute},
	{name: ecssim.ThrottleLong.Name, as: ecssim.ThrottleLong.Name + "-refused", want: partly, stored: true, flags: []string{"--throttle-wait", "20s"}, limit: 30 * time.Second, says: "the API asks to wait for 1m50s, until "},
	// Four refusals in a row have the rest of a minute waited out.
	{name: ecssim.ThrottleMillis.Name, want: whole, flags: []string{"--scan-idle", "3m"}, limit: 3 * time.Minute},
	{name: ecssim.BusyUnknownCodes.Name, want: whole, flags: []string{"--scan-idle", "3m"}, limit: 3 * time.Minute},
	{name: ecssim.BodiesDocumented.Name, want: whole, facts: true},
	{name: ecssim.Bodies2015.Name, want: whole, facts: true},
	{name: ecssim.Bodies2024.Name, want: whole, facts: true},
	{name: ecssim.CountTimes500.Name, want: partly},
	{name: ecssim.CountElsewhere.Name, want: partly},
	{name: ecssim.CountFalls.Name, want: whole},
	{name: ecssim.CountNegative.Name, want: whole},
	{name: ecssim.CountNegative.Name, with: ecssim.ListCut.Name, as: "count-negative+list-cut", want: partly},
	{name: ecssim.CountMissing.Name, with: ecssim.ListCut.Name, as: "count-missing+list-cut", want: partly},
	{name: ecssim.RowsTwice.Name, want: partly},
	{name: ecssim.RowsNull.Name, want: partly},
	{name: ecssim.PagesRepeated.Name, want: whole},
	{name: ecssim.PagesTooLarge.Name, want: sound},
	{name: ecssim.TokenForgets.Name, want: sound, lanes: true},
	{name: ecssim.CreatedLater.Name, want: sound, lanes: true},
	{name: ecssim.CreatedNever.Name, want: sound, lanes: true},
	{name: ecssim.ListEmptyAtFirst.Name, want: whole},
	{name: ecssim.List206.Name, want: sound},
	{name: ecssim.List204.Name, want: sound},
	{name: ecssim.ListGzipCut.Name, want: sound},
	{name: ecssim.ListGzipCut.Name, as: ecssim.ListGzipCut.Name + "-asked", want: sound, flags: []string{"--gzip"}},
	{name: ecssim.ListTwice.Name, want: partly},
	{name: ecssim.JSONTwice.Name, want: partly},
	{name: ecssim.RegionsClosed.Name, want: whole},
	{name: ecssim.MembersUncounted.Name, want: whole, members: true},
	{name: ecssim.MembersCountLow.Name, want: whole, members: true},
	{name: ecssim.MembersCountFalls.Name, want: partly, members: true, says: "the directory counts 7 members and lists 5"},
	{name: ecssim.ImagesTwice.Name, want: partly, facts: true, says: "comes twice, and says something else each time"},
	{name: ecssim.ZonesElsewhere.Name, want: partly, says: "are in a zone of another one"},
	{name: ecssim.FamiliesOfOthers.Name, want: whole, facts: true},
	{name: ecssim.IDsTwice.Name, want: whole}, // a scan asks by id for what no list has: TestAnInstanceThatIsAnsweredTwiceByIDIsOneOrUnread
}

// TestScansUnderContradictions scans a fleet that was scanned before and has
// lost and gained instances since, while the API contradicts what a client may
// expect. A scope that is said to be complete holds what is true of it, and
// nothing is gone that is still there. With larger fleets the same is scanned
// into an empty store.
func TestScansUnderContradictions(t *testing.T) {
	t.Parallel()
	for _, c := range ecssim.Contradictions() {
		tried := slices.ContainsFunc(trials, func(tr trial) bool { return tr.name == c.Name })
		if !tried {
			t.Errorf("no scan is held against %s", c.Name)
		}
	}
	var some []trial
	for _, tr := range trials {
		if !tr.slow || *contradictSlow {
			some = append(some, tr)
		}
	}
	sideBySide(t, some)
}

// TestScansUnderPairs tries two contradictions at once, which may hide one
// another: pairs by seed, as many as the flag says.
func TestScansUnderPairs(t *testing.T) {
	t.Parallel()
	var quick []*trial
	for i := range trials {
		if tr := &trials[i]; !tr.slow && tr.as == "" {
			quick = append(quick, tr)
		}
	}
	draw := rand.New(rand.NewPCG(*contradictSeed, 7))
	var pairs []trial
	draws := *contradictPairs
	if sampled() { // they are of many kinds, of which a sample would take one each
		draws = (draws + sampleEvery - 1) / sampleEvery
	}
	for range draws {
		one, other := quick[draw.IntN(len(quick))], quick[draw.IntN(len(quick))]
		if one == other {
			continue
		}
		pairs = append(pairs, trial{
			name: one.name, with: other.name, want: sound, facts: one.facts || other.facts, unasked: one.unasked || other.unasked,
			lanes: one.lanes || other.lanes, members: one.members || other.members, stored: one.stored || other.stored, limit: 2 * time.Minute,
			as: one.name + "+" + other.name,
		})
	}
	sideBySide(t, pairs)
}

// TestScansUnderFaults is the same for each kind of fault, a tenth of the calls.
func TestScansUnderFaults(t *testing.T) {
	t.Parallel()
	var each []trial
	for _, kind := range ecssim.FaultKinds() {
		fault := ecssim.Fault{Kind: kind, Action: "DescribeInstances", Rate: 0.1, Delay: ecssim.Duration(50 * time.Millisecond), Bytes: 1 << 20}
		one := trial{name: kind, faults: []ecssim.Fault{fault}}
		if kind == ecssim.FaultThrottle { // four in a row, which chance may bring, have the rest of a minute waited out
			one.flags, one.limit = []string{"--scan-idle", "3m"}, 2*time.Minute
		}
		each = append(each, one)
	}
	sideBySide(t, each)
}

// sampled says that a sample is tried rather than everything.
func sampled() bool { return !*contradictWhole && !*contradictSlow && *contradictInstances == 0 }

// sampleEvery is how many trials of one kind there are to one in a sample.
const sampleEvery = 8

// sample are trials of every kind: of those that may end alike, in fleets that
// are alike, the first and then every eighth.
func sample(all []trial) (some []trial) {
	type kind struct {
		want                                            want
		facts, unasked, lanes, members, stored, flagged bool
	}
	seen := map[kind]int{}
	for i := range all {
		tr := &all[i]
		k := kind{tr.want, tr.facts, tr.unasked, tr.lanes, tr.members, tr.stored, tr.flags != nil}
		if seen[k]%sampleEvery == 0 {
			some = append(some, *tr)
		}
		seen[k]++
	}
	return some
}

// sideBySide runs trials in parallel: a scan of a sick API mostly waits. Without
// one of the flags above it runs a sample of them.
func sideBySide(t *testing.T, all []trial) {
	t.Helper()
	if sampled() {
		all = sample(all)
		t.Logf("a sample of %d; make test/contradict tries all", len(all))
	}
	before := lazily{parent: t, stores: map[string]string{}}
	for i := range all {
		t.Run(cmp.Or(all[i].as, all[i].name), func(t *testing.T) {
			t.Parallel()
			all[i].run(t, &before)
		})
	}
}

// lazily holds the store of the scan before, made once for each kind of fleet.
type lazily struct {
	parent *testing.T
	mu     sync.Mutex
	stores map[string]string
}

// options are the fleet's: two regions of three pages each, or one that is just
// large enough to be read in lanes.
func (tr *trial) options() ecssim.Options {
	o := ecssim.Options{Instances: *contradictInstances, Regions: 2, Seed: 21}
	if tr.lanes {
		o.Regions = 1
	}
	switch {
	case o.Instances > 0:
	case tr.lanes:
		o.Instances = 7_700
	default:
		o.Instances = 440
	}
	if tr.members {
		o.Accounts = 8
	}
	return o
}

// args are a scan's beside the store.
func (tr *trial) args(t *testing.T, url string) []string {
	t.Helper()
	args := []string{"scan", "--endpoint", url, "--output", "json", "--compact", "--scan-idle", "60s"}
	if tr.members {
		path := filepath.Join(t.TempDir(), "shenscan.yaml")
		if err := os.WriteFile(path, []byte("resource_directory: {role_name: shenscan}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	return args
}

// scanBefore copies the store of a scan of the fleet before anything happened
// to it. It is made without the flags of a trial, since trials share it: a console
// log that was read truly then would tell what the trial must not find out.
func (l *lazily) scanBefore(t *testing.T, tr *trial) string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	o := tr.options()
	kind := fmt.Sprint(o.Instances, o.Regions, o.Accounts)
	if l.stores[kind] == "" {
		dir, err := os.MkdirTemp("", "shenscan-contradict-") //nolint:usetesting // outlives the subtest that makes it
		if err != nil {
			t.Fatal(err)
		}
		l.parent.Cleanup(func() { _ = os.RemoveAll(dir) })
		sim := simulator(t, o)
		if r := run(t, env(), append(tr.args(t, sim.URL), "--store", dir)...); r.code != 0 {
			t.Fatalf("the scan before: exit %d", r.code)
		}
		l.stores[kind] = dir
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(l.stores[kind])); err != nil {
		t.Fatal(err)
	}
	return dir
}

// outcome is what a scan reported, in the compact form.
type outcome struct {
	Scan      record.Scan      `json:"scan"`
	Failures  []record.Failure `json:"failures"`
	Instances []row            `json:"instances"`
	Legend    []entry          `json:"legend"` // by number, from 1
	code      int
	calls     int
	filtered  int // of them with creation-time filters
	took      time.Duration
}

// entry is one of the legend of a compact report; those of remedies are empty.
type entry struct {
	Level      rules.Level      `json:"verdict"`
	Confidence rules.Confidence `json:"confidence"`
	Rule       string           `json:"rule"`
	Findings   []rules.Finding  `json:"findings"`
}

// row is an instance of a compact report.
type row struct {
	Account    string         `json:"account"`
	Region     string         `json:"region"`
	InstanceID string         `json:"instance_id"`
	Because    map[string]int `json:"because"` // by target
}

func (tr *trial) run(t *testing.T, before *lazily) {
	known := before.scanBefore(t, tr)
	o := tr.options()
	sim := simulator(t, o)
	few := max(o.Instances/40, 1)
	churned, err := sim.Churn(ecssim.ChurnPlan{Born: few, Gone: few, Reimaged: few})
	if err != nil {
		t.Fatal(err)
	}
	if tr.faults == nil {
		names := []string{tr.name}
		if tr.with != "" {
			names = append(names, tr.with)
		}
		err = sim.Contradict(names...)
	}
	for _, f := range tr.faults {
		err = sim.AddFault(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	again := tr.scan(t, sim, known)
	if tr.lanes && tr.with == "" && again.filtered == 0 {
		t.Fatal("no lane was asked for by creation time, and nothing is shown of it")
	}
	tr.judge(t, "again", sim, &again, churned)
	if (*contradictInstances > 0 || tr.with != "") && !tr.stored {
		anew := tr.scan(t, sim, t.TempDir())
		tr.judge(t, "anew", sim, &anew, churned)
	}
}

func (tr *trial) scan(t *testing.T, sim *ecssim.Server, store string) (o outcome) {
	t.Helper()
	sim.ResetStats()
	begun := time.Now()
	r := run(t, env(), slices.Concat(tr.args(t, sim.URL), tr.flags, []string{"--store", store})...)
	stats := sim.Stats()
	o.code, o.took, o.calls, o.filtered = r.code, time.Since(begun), stats.Total, stats.Filtered
	if r.stdout != "" {
		if err := json.Unmarshal([]byte(r.stdout), &o); err != nil {
			t.Fatalf("report: %v\n%.500s", err, r.stdout)
		}
	}
	if r.code != 0 && len(strings.TrimSpace(r.stderr)) == 0 {
		t.Errorf("exit %d without a cause", r.code)
	}
	for line := range strings.Lines(r.stderr) {
		if strings.Contains(line, ": : ") || strings.HasPrefix(strings.TrimSpace(line), ":") {
			t.Errorf("a message with an empty part: %s", line)
		}
	}
	return o
}

// judge holds a report against the truth.
func (tr *trial) judge(t *testing.T, which string, sim *ecssim.Server, o *outcome, churned *ecssim.ChurnReport) {
	t.Helper()
	complete := map[string]bool{}
	for _, s := range o.Scan.Scopes {
		complete[s.Account+"/"+s.Region] = s.Completeness == record.ScopeComplete
	}
	got := map[string]*row{}
	for i := range o.Instances {
		x := &o.Instances[i]
		got[x.Account+"/"+x.Region+"/"+x.InstanceID] = x
	}
	bad := &faults{t: t, which: which}
	truth := map[string]bool{}
	err := sim.EachTruth(func(x *ecssim.Truth) error {
		scope := x.Account + "/" + x.Region
		key := scope + "/" + x.InstanceID
		truth[key] = true
		rec := got[key]
		switch {
		case rec == nil && (complete[scope] || o.code == 0):
			bad.add("%s is not in a scan that says it is complete", key)
		case rec == nil && which == "again" && !slices.Contains(churned.Born, x.InstanceID) && o.code != 1:
			bad.add("%s is there and was marked gone", key)
		case rec != nil && complete[scope]:
			tr.compare(bad, o.Legend, rec, x)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key := range got {
		scope, id := filepath.Split(key)
		if scope = strings.TrimSuffix(scope, "/"); complete[scope] && !truth[key] {
			bad.add("%s is in a complete scope and not in the truth (released: %v)", key, slices.Contains(churned.Gone, id))
		}
	}
	failures := o.Failures
	for _, s := range o.Scan.Scopes {
		failures = append(failures, s.Failures...)
	}
	if o.code != 0 && len(failures) == 0 {
		bad.add("exit %d, and no failure in the report says why", o.code)
	}
	if o.code == 0 && o.Scan.State != record.ScanComplete || o.code == 4 && o.Scan.State == record.ScanComplete {
		bad.add("exit %d of a scan that is %s", o.code, o.Scan.State)
	}
	if tr.want == whole && o.code != 0 || tr.want == partly && o.code == 0 {
		bad.add("exit %d; the contradiction allows %s", o.code, [...]string{"either", "a whole scan", "a partial scan alone"}[tr.want])
	}
	if limit := cmp.Or(tr.limit, time.Minute); o.took > limit {
		bad.add("took %s, more than %s", o.took.Round(time.Second), limit)
	}
	if tr.says != "" && !slices.ContainsFunc(failures, func(f record.Failure) bool { return strings.Contains(f.Error, tr.says) }) {
		bad.add("no cause says %q", tr.says)
	}
	causes := map[string]bool{}
	for _, f := range failures {
		if f.Account+f.Region+f.API == "" || strings.TrimSpace(f.Error) == "" {
			bad.add("a failure without a place or a cause: %+v", f)
		}
		causes[f.Class+" "+f.Code+": "+f.Error] = true
	}
	t.Logf("%s: exit %d, %s, %d of %d instances, %d gone, %d calls, %s, %d causes, %d wrong", which, o.code, o.Scan.State, len(got), len(truth), o.Scan.Gone, o.calls, o.took.Round(10*time.Millisecond), len(causes), bad.n)
}

// faults are reported up to a few.
type faults struct {
	t     *testing.T
	which string
	n     int
}

func (f *faults) add(format string, args ...any) {
	f.t.Helper()
	if f.n++; f.n <= 5 {
		f.t.Errorf(f.which+": "+format, args...)
	}
}

// compare holds the verdicts of an instance against the truth.
func (tr *trial) compare(bad *faults, legend []entry, rec *row, x *ecssim.Truth) {
	if len(rec.Because) != len(ecssim.Targets()) {
		bad.add("%s has verdicts on %d targets", rec.InstanceID, len(rec.Because))
	}
	for target, number := range rec.Because {
		i, v := slices.Index(ecssim.Targets(), target), &legend[number-1]
		if i < 0 || x.Verdicts[i] == v.Level.String() {
			continue
		}
		if tr.facts && !(milder(v.Level, x.Verdicts[i]) && v.Confidence == rules.High) {
			continue
		}
		if tr.unasked && v.Level == rules.NeedsAction {
			continue
		}
		fleet := slices.ContainsFunc(v.Findings, func(f rules.Finding) bool { return f.Rule == "observed.fleet" || f.Rule == "observed.fleet-kernel" })
		if fleet && x.Verdicts[i] != rules.Incompatible.String() {
			continue // the truth does not know what the first scan counted, which settles what is open and nothing else
		}
		bad.add("%s is %s (%s) on %s by %s, the truth is %s", rec.InstanceID, v.Level, v.Confidence, target, v.Rule, x.Verdicts[i])
	}
}

// milder says whether a verdict is milder than the truth.
func milder(l rules.Level, truth string) bool {
	order := []string{"compatible", "needs-action", "unknown", "incompatible"}
	return slices.Index(order, l.String()) < slices.Index(order, truth)
}
