package prober_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/probe"
	"github.com/shenscan/shenscan/producer/prober"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/distro"
)

// cloud is a simulated cloud behind the real SDK.
type cloud struct {
	*ecssim.Server
	*ecsapi.Client
}

func newCloud(t *testing.T, o ecssim.Options) *cloud {
	t.Helper()
	sim, err := ecssim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	client, err := ecsapi.New(ecsapi.Options{Endpoint: sim.URL, StartRate: 1000, Base: &ecsapi.Keys{AccessKeyID: ecsapi.NewSecret(ecssim.DemoAccessKeyID), AccessKeySecret: ecsapi.NewSecret(ecssim.DemoAccessKeySecret)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &cloud{sim, client}
}

// candidates are all instances, as a scan finds them.
func (c *cloud) candidates(t *testing.T) (out []prober.Candidate) {
	t.Helper()
	for _, region := range c.Server.Regions() {
		s := ecs.Scope{Account: ecssim.DemoAccountID, Region: region}
		for q := (ecs.Query{}); ; {
			page, err := c.Client.Instances(t.Context(), s, q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Instances {
				x := &page.Instances[i]
				out = append(out, prober.Candidate{Scope: s, ID: x.ID, OSType: x.OSType, ImageID: x.ImageID, Type: x.Type, Running: x.Status == "Running"})
			}
			if q.NextToken = page.NextToken; q.NextToken == "" {
				break
			}
		}
	}
	return out
}

func options() prober.Options {
	o := prober.DefaultOptions()
	o.PollFirst, o.PollLast, o.Log = time.Millisecond, 5*time.Millisecond, slog.New(slog.DiscardHandler)
	return o
}

func journal(t *testing.T, path string, now func() time.Time) *prober.Journal {
	t.Helper()
	j, err := prober.OpenJournal(path, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// What machines answer through the real SDK is what they are, whatever their
// names say; each is asked once, with the one script of its platform, and those
// that do not answer are named with a cause and are no evidence.
func TestMachinesAnswerForThemselves(t *testing.T) {
	c := newCloud(t, ecssim.Options{Instances: 1500, Regions: 2, OfflineAgents: 0.1, OddAnswers: 0.1})
	book := journal(t, filepath.Join(t.TempDir(), "guests.jsonl"), time.Now)
	list := c.candidates(t)
	out, err := prober.New(c, book, options()).Run(t.Context(), list)
	if err != nil || len(out.Errors) > 0 {
		t.Fatal(err, out.Errors)
	}
	truth := map[string]*ecssim.Truth{}
	if err := c.EachTruth(func(tr *ecssim.Truth) error { truth[tr.InstanceID] = tr; return nil }); err != nil {
		t.Fatal(err)
	}
	for i := range out.Answered {
		g := &out.Answered[i]
		tr, got := truth[g.ID], distro.Identify(g.Facts.Release)
		if got.Family != tr.Guest.Family || got.Version != tr.Guest.Version && !strings.HasPrefix(tr.Guest.Version, got.Version+".") || g.Facts.Virtio == rules.Unobserved {
			t.Errorf("%s: %+v of %q, the machine is %+v", g.ID, got, g.Facts.Release, tr.Guest)
		}
		if g.Facts.Kernel != "" && got.Family != distro.FreeBSD && distro.Identify(g.Facts.Kernel).Vague {
			t.Errorf("%s: kernel %q", g.ID, g.Facts.Kernel)
		}
	}
	causes := map[string]int{}
	for i := range out.Silent {
		if g := &out.Silent[i]; g.Facts != (rules.GuestFacts{}) {
			t.Errorf("%s is evidence without an answer: %+v", g.ID, g)
		}
		causes[out.Silent[i].Cause]++
	}
	for cause, list := range out.Plan.Not {
		causes[cause] += len(list)
	}
	for _, want := range []string{
		"it does not run", "it has no agent of Cloud Assistant", "its agent of Cloud Assistant does not answer", "answer not read: it is cut short",
		"the script did not come to its end (ExecutionTimeout)", "the script did not come to its end (ExitCodeNonzero)",
	} {
		if causes[want] == 0 {
			t.Errorf("nobody is without an answer because %q: %v", want, causes)
		}
	}
	n := len(out.Answered)
	for _, count := range causes {
		n += count
	}
	if n != len(list) {
		t.Errorf("%d of %d machines are accounted for: %d answered, %v", n, len(list), len(out.Answered), causes)
	}
	stats := c.Stats().Commands
	var scripts []string
	for _, osType := range []string{"linux", "windows"} {
		s, _ := probe.ScriptFor(osType)
		scripts = append(scripts, s.Digest)
	}
	if stats.MostAsked != 1 || len(stats.Contents) != 2 || !strings.Contains(strings.Join(scripts, " "), stats.Contents[0]) || !strings.Contains(strings.Join(scripts, " "), stats.Contents[1]) {
		t.Errorf("%+v, the scripts are %v", stats, scripts)
	}
	// Again: nobody is asked while answers are fresh.
	again, err := prober.New(c, book, options()).Run(t.Context(), list)
	if err != nil || len(again.Plan.Ask) > 0 || c.Stats().Commands.MostAsked != 1 || len(again.Plan.Kept) != len(list)-len(out.Plan.Not["it does not run"]) {
		t.Errorf("%v: %d are asked again, %d kept", err, len(again.Plan.Ask), len(again.Plan.Kept))
	}
}

// errKilled stands for the end of the process.
var errKilled = errors.New("killed")

// dying is a cloud under a process that is killed at its n-th call.
type dying struct {
	ecs.GuestAPI
	kill context.CancelFunc
	// before says that the call does not come through; otherwise its answer is lost.
	before bool

	mu   sync.Mutex
	left int
}

func (d *dying) dies() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left--
	if d.left <= 0 {
		d.kill()
	}
	return d.left <= 0
}

func (d *dying) RunCommand(ctx context.Context, s ecs.Scope, cmd *ecs.Command) (string, error) {
	dies := d.dies()
	if dies && d.before {
		return "", errKilled
	}
	id, err := d.GuestAPI.RunCommand(context.WithoutCancel(ctx), s, cmd)
	if dies {
		return "", errKilled
	}
	return id, err
}

func (d *dying) Invocation(ctx context.Context, s ecs.Scope, id string) ([]ecs.Invoked, error) {
	if d.dies() {
		return nil, errKilled
	}
	return d.GuestAPI.Invocation(context.WithoutCancel(ctx), s, id)
}

// However often the process is killed, and wherever: in the end every machine
// has answered and none was asked twice.
func TestAKilledProbeAsksNobodyTwice(t *testing.T) {
	c := newCloud(t, ecssim.Options{Instances: 600, Regions: 2})
	path := filepath.Join(t.TempDir(), "guests.jsonl")
	list := c.candidates(t)
	kills := 0
	for n := 1; n < 12; n++ {
		ctx, kill := context.WithCancel(t.Context())
		book := journal(t, path, time.Now)
		_, err := prober.New(&dying{GuestAPI: c, kill: kill, left: n, before: n%2 == 0}, book, options()).Run(ctx, list)
		if err != nil {
			kills++
		}
		_ = book.Close()
		kill()
	}
	book := journal(t, path, time.Now)
	out, err := prober.New(c, book, options()).Run(t.Context(), list)
	if err != nil || len(out.Errors) > 0 {
		t.Fatal(err, out.Errors)
	}
	if open, err := book.Open(t.Context()); err != nil || len(open) > 0 {
		t.Errorf("%d batches are open: %v", len(open), err)
	}
	stats := c.Stats().Commands
	if kills == 0 || stats.MostAsked != 1 {
		t.Errorf("%d kills, the most asked machine was asked %d times", kills, stats.MostAsked)
	}
	again, err := prober.New(c, book, options()).Plan(t.Context(), list)
	if err != nil || len(again.Ask) > 0 {
		t.Errorf("%v: %d machines are without an answer", err, len(again.Ask))
	}
	if running := len(list) - len(again.Not["it does not run"]); len(again.Kept) != running {
		t.Errorf("%d of %d running machines are kept", len(again.Kept), running)
	}
}

// unfitAPI refuses every batch that has a certain machine, as the cloud does.
type unfitAPI struct {
	ecs.GuestAPI
	id, code string
	class    ecs.Class
}

func (u *unfitAPI) RunCommand(ctx context.Context, s ecs.Scope, cmd *ecs.Command) (string, error) {
	for _, id := range cmd.InstanceIDs {
		if u.id == "" || id == u.id {
			return "", &ecs.Error{Action: "RunCommand", Scope: s, Class: u.class, Code: u.code}
		}
	}
	return u.GuestAPI.RunCommand(ctx, s, cmd)
}

func TestOneUnfitMachineKeepsNoOtherFromAnswering(t *testing.T) {
	c := newCloud(t, ecssim.Options{Instances: 200, Regions: 1})
	list := c.candidates(t)
	book := journal(t, filepath.Join(t.TempDir(), "guests.jsonl"), time.Now)
	first, err := prober.New(c, book, options()).Plan(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	var unfit string
	for _, x := range first.Ask {
		if agents, _, err := c.Agents(t.Context(), x.Scope, []string{x.ID}); err == nil && agents[0].Installed {
			unfit = x.ID
			break
		}
	}
	out, err := prober.New(&unfitAPI{c, unfit, "InvalidInstance.NotMatch", ecs.BadRequest}, book, options()).Run(t.Context(), list)
	if err != nil || len(out.Errors) > 0 {
		t.Fatal(err, out.Errors)
	}
	named := 0
	for _, g := range out.Silent {
		if strings.Contains(g.Cause, "InvalidInstance.NotMatch") {
			named++
			if g.ID != unfit {
				t.Errorf("%s has the cause of %s", g.ID, unfit)
			}
		}
	}
	if named != 1 || len(out.Answered) < len(first.Ask)/2 || c.Stats().Commands.MostAsked != 1 {
		t.Errorf("%d are named unfit, %d of %d answered, %+v", named, len(out.Answered), len(first.Ask), c.Stats().Commands)
	}
}

// noAgents does not say whose agent answers.
type noAgents struct{ ecs.GuestAPI }

func (noAgents) Agents(context.Context, ecs.Scope, []string) ([]ecs.Agent, int, error) {
	return nil, 1, &ecs.Error{Class: ecs.Permission, Code: "Forbidden.RAM"}
}

// A permission that is missing is named, asks no batch after the other for the
// same answer, and keeps nobody from being asked once it is there.
func TestAPermissionThatIsMissingIsNamed(t *testing.T) {
	c := newCloud(t, ecssim.Options{Instances: 400, Regions: 1})
	list := c.candidates(t)
	book := journal(t, filepath.Join(t.TempDir(), "guests.jsonl"), time.Now)
	o := options()
	o.Batches = 1
	var counts prober.Counts
	o.Went = func(now prober.Counts) { counts = now }
	out, err := prober.New(&unfitAPI{c, "", "Forbidden.RAM", ecs.Permission}, book, o).Run(t.Context(), list)
	if counts.Refused <= ecs.MaxCommandInstances || counts.Refused+counts.Silent != counts.Planned || counts.Asked+counts.Waiting != 0 {
		t.Errorf("not each machine is accounted for: %+v", counts)
	}
	if err != nil || len(out.Errors) != 1 || ecs.ClassOf(out.Errors[0]) != ecs.Permission || len(out.Answered) > 0 {
		t.Fatalf("%v %v, %d answered", err, out.Errors, len(out.Answered))
	}
	if _, err := prober.New(noAgents{c}, book, o).Run(t.Context(), list); err != nil || counts.Planned == 0 || counts.Refused != counts.Planned {
		t.Errorf("nobody says whose agent answers: %v, %+v", err, counts)
	}
	then, err := prober.New(c, book, o).Run(t.Context(), list)
	if err != nil || len(then.Errors) > 0 || len(then.Answered) == 0 || c.Stats().Commands.MostAsked != 1 {
		t.Errorf("%v %v, %d answered", err, then.Errors, len(then.Answered))
	}
}

// An answer is evidence for the machine as it was asked: with another image or
// type its kernel or initramfs may be another. It is asked again then, and when
// its answer is old.
func TestAnswersGrowOld(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	now := at
	book := journal(t, filepath.Join(t.TempDir(), "guests.jsonl"), func() time.Time { return now })
	s := ecs.Scope{Account: "1", Region: "cn-hangzhou"}
	g := prober.Guest{Scope: s, ID: "i-1", ImageID: "m-1", Type: "ecs.g5.large", Script: probe.Version, Asked: at, Answered: at, Heard: at, Facts: rules.GuestFacts{Kernel: "k"}}
	mute := prober.Guest{Scope: s, ID: "i-2", ImageID: "m-1", Type: "ecs.g5.large", Script: probe.Version, Asked: at, Answered: at, Cause: "none"}
	if err := book.Write(t.Context(), nil, []prober.Guest{g, mute}); err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		id, image, typ string
		age            time.Duration
		asked, used    bool
	}{
		{"i-1", "m-1", "ecs.g5.large", day, false, true},
		{"i-1", "m-1", "ecs.g5.large", 8 * day, true, true},
		{"i-1", "m-1", "ecs.g5.large", 31 * day, true, false},
		{"i-1", "m-2", "ecs.g5.large", day, true, false},
		{"i-1", "m-1", "ecs.g7.large", day, true, false},
		{"i-2", "m-1", "ecs.g5.large", time.Hour, false, false},
		{"i-1", "m-1", "ecs.g5.large", -time.Minute, false, true}, // clocks are apart by as much
		{"i-1", "m-1", "ecs.g5.large", -2 * day, false, false},    // of a clock that was wrong
		{"i-1", "m-1", "ecs.g5.large", -400 * day, true, false},   // by more than a machine may go unasked
		{"i-2", "m-1", "ecs.g5.large", 25 * time.Hour, true, false},
	} {
		now = at.Add(c.age)
		o := options()
		o.Now = func() time.Time { return now }
		plan, err := prober.New(nil, book, o).Plan(t.Context(), []prober.Candidate{{Scope: s, ID: c.id, OSType: "linux", ImageID: c.image, Type: c.typ, Running: true}})
		x := []ecs.Instance{{ID: c.id, ImageID: c.image, Type: c.typ}}
		if fill := (prober.Filler{Book: book, Now: o.Now}).Fill(t.Context(), s, x); err != nil || fill != nil {
			t.Fatal(err, fill)
		}
		if asked := len(plan.Ask) == 1; asked != c.asked || (x[0].Guest != nil) != c.used {
			t.Errorf("%+v: asked %v, used %v", c, asked, x[0].Guest != nil)
		}
	}
}

// A journal that a kill cut off, or that was damaged, holds everything else.
func TestAJournalOutlivesKillsAndDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guests.jsonl")
	s := ecs.Scope{Account: "1", Region: "cn-hangzhou"}
	j := journal(t, path, time.Now)
	var guests []prober.Guest
	for i := range 5 {
		guests = append(guests, prober.Guest{Scope: s, ID: fmt.Sprintf("i-%d", i), Asked: time.Now().UTC(), Answered: time.Now().UTC(), Script: probe.Version})
	}
	batch := &prober.Batch{Token: "t", Scope: s, IDs: []string{"i-9"}, Asked: time.Now().UTC()}
	waiting := prober.Guest{Scope: s, ID: "i-9", Asked: time.Now().UTC(), Batch: "t"}
	lost := prober.Guest{Scope: s, ID: "i-8", Asked: time.Now().UTC(), Batch: "never written"}
	for _, err := range []error{j.Write(t.Context(), nil, guests), j.Write(t.Context(), batch, []prober.Guest{waiting}), j.Write(t.Context(), nil, []prober.Guest{lost}), j.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Replace(content, []byte(`"i-2"`), []byte("\x00\xff\"i"), 1)
	content = append(bytes.Repeat([]byte("x"), 1<<20), append([]byte("\n"), content...)...)
	content = append(content, `{"guest":{"scope":{"account":"1","region":"cn-hangzhou"},"id":"i-7"`...)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	again, err := prober.OpenJournal(path, time.Now, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	known, err := again.Guests(t.Context(), s, []string{"i-0", "i-1", "i-2", "i-3", "i-4", "i-7", "i-8", "i-9"})
	open, err2 := again.Open(t.Context())
	if err != nil || err2 != nil || len(known) != 5 || len(open) != 1 || !strings.Contains(said.String(), "lines=2") {
		t.Errorf("%v %v: %v %v %s", err, err2, known, open, said.String())
	}
	if diff := cmp.Diff(waiting, known["i-9"]); diff != "" {
		t.Error(diff)
	}
	// Nobody knows whose answer the lost line was, and it may have spoken against a
	// verdict: who lists instances is told, until machines were asked for what is missing.
	filler := prober.Filler{Book: again, Lost: again.Lost, Now: time.Now}
	for run, told := range []bool{true, false} {
		if err := filler.Fill(t.Context(), s, []ecs.Instance{{ID: "i-1"}}); (err != nil) != told || told && !strings.Contains(err.Error(), "2 lines of "+path) {
			t.Errorf("after %d runs: %v", run, err)
		}
		if _, err := again.Open(t.Context()); err != nil { // the next run begins
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// lying is a cloud whose answers are bent on their way, by how often an invocation
// was looked at.
type lying struct {
	ecs.GuestAPI
	bend func(looked int, results []ecs.Invoked) []ecs.Invoked

	mu     sync.Mutex
	looked map[string]int
}

func (l *lying) Invocation(ctx context.Context, s ecs.Scope, id string) ([]ecs.Invoked, error) {
	results, err := l.GuestAPI.Invocation(ctx, s, id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looked == nil {
		l.looked = map[string]int{}
	}
	l.looked[id]++
	return l.bend(l.looked[id], results), err
}

// An answer that something speaks against is no evidence, and its cause names what:
// two that contradict each other, one that is older than the question or of a time
// to come, one of a machine that this one cannot be, one that is a failure as well.
func TestAnswersThatSomethingSpeaksAgainstAreNoEvidence(t *testing.T) {
	other := func(x *ecs.Invoked) { // still a sound answer, of another system
		x.Output = strings.NewReplacer("\ndefault=", "\ndefault=9", "\nkernel=", "\nkernel=9", "\nfreebsd=", "\nfreebsd=9", "\ncaption=", "\ncaption=X ").Replace(x.Output)
	}
	sound := func(x *ecs.Invoked) bool { return x.State == ecs.InvocationFinished && x.Dropped == 0 }
	each := func(change func(x *ecs.Invoked)) func(int, []ecs.Invoked) []ecs.Invoked {
		return func(_ int, results []ecs.Invoked) []ecs.Invoked {
			for i := range results {
				if sound(&results[i]) {
					change(&results[i])
				}
			}
			return results
		}
	}
	for name, tt := range map[string]struct {
		bend  func(int, []ecs.Invoked) []ecs.Invoked
		cause string
	}{
		"twice in one answer": {func(_ int, results []ecs.Invoked) []ecs.Invoked {
			for i := range results {
				if x := results[i]; sound(&x) {
					other(&x)
					results = append(results, x)
				}
			}
			return results
		}, "answered one question twice"},
		"another one at the next look": {func(looked int, results []ecs.Invoked) []ecs.Invoked {
			for i := range results {
				if i == len(results)-1 && looked < 3 {
					results[i].State = ecs.InvocationRunning // so that the batch is looked at again
				} else if looked == 2 && sound(&results[i]) {
					other(&results[i])
				}
			}
			return results
		}, "answered one question twice"},
		"older than the question": {each(func(x *ecs.Invoked) { x.Finished = time.Now().Add(-time.Hour) }), "older than the question"},
		"of a time to come":       {each(func(x *ecs.Invoked) { x.Finished = time.Now().AddDate(1, 0, 0) }), "a time to come"},
		"of another architecture": {each(func(x *ecs.Invoked) {
			switch {
			case strings.Contains(x.Output, "machine=x86_64\n"):
				x.Output = strings.Replace(x.Output, "machine=x86_64\n", "machine=aarch64\n", 1)
			case strings.Contains(x.Output, "machine=aarch64\n"):
				x.Output = strings.Replace(x.Output, "machine=aarch64\n", "machine=x86_64\n", 1)
			default:
				x.State = ecs.InvocationFailed
			}
		}), "of another machine"},
		"a success that failed": {each(func(x *ecs.Invoked) { x.ErrorCode = "ExecutionException" }), "ExecutionException"},
	} {
		c := newCloud(t, ecssim.Options{Instances: 60, Regions: 1, Seed: 3})
		book := journal(t, filepath.Join(t.TempDir(), "guests.jsonl"), time.Now)
		o := options()
		var counts prober.Counts
		o.Went = func(now prober.Counts) { counts = now }
		out, err := prober.New(&lying{GuestAPI: c, bend: tt.bend}, book, o).Run(t.Context(), c.candidates(t))
		if err != nil || len(out.Errors) > 0 {
			t.Fatal(name, err, out.Errors)
		}
		refused := 0
		for i := range out.Silent {
			g := &out.Silent[i]
			if g.Facts != (rules.GuestFacts{}) || !g.Heard.IsZero() {
				t.Errorf("%s: %s is evidence: %+v", name, g.ID, g)
			}
			if strings.Contains(g.Cause, tt.cause) {
				refused++
			}
		}
		if changed := len(out.Changed()) - len(out.Answered); (changed > 0) != strings.Contains(tt.cause, "twice") {
			t.Errorf("%s: %d are looked at again", name, changed)
		}
		most := 0
		if name == "another one at the next look" {
			most = 2 // the last of each platform's batch
		}
		if refused == 0 || len(out.Answered) > most || counts.Waiting != 0 || counts.Answered != len(out.Answered) || counts.Answered+counts.Silent+counts.Refused != counts.Planned {
			t.Errorf("%s: %d are refused, %d answered: %+v", name, refused, len(out.Answered), counts)
		}
	}
}

// An answer is as old as it says, where that can be; else as its question.
func TestAnAnswerIsAsOldAsItSays(t *testing.T) {
	c := newCloud(t, ecssim.Options{Instances: 30, Regions: 1, Seed: 3})
	for name, says := range map[string]func() time.Time{
		"told":       func() time.Time { return time.Now().Add(-time.Minute) },
		"not told":   func() time.Time { return time.Time{} },
		"a bit late": func() time.Time { return time.Now().Add(time.Minute) },
	} {
		book := journal(t, filepath.Join(t.TempDir(), "guests.jsonl"), time.Now)
		began := time.Now()
		api := &lying{GuestAPI: c, bend: func(_ int, results []ecs.Invoked) []ecs.Invoked {
			for i := range results {
				results[i].Finished = says()
			}
			return results
		}}
		out, err := prober.New(api, book, options()).Run(t.Context(), c.candidates(t))
		if err != nil || len(out.Answered) == 0 {
			t.Fatal(name, err)
		}
		for i := range out.Answered {
			g := &out.Answered[i]
			if age := g.Answered.Sub(g.Heard); age < 0 || name == "told" && age < 30*time.Second || name == "not told" && (!g.Heard.Equal(g.Asked) || g.Heard.Before(began.Add(-time.Second))) {
				t.Errorf("%s: asked %v, answered %v, heard %v", name, g.Asked, g.Answered, g.Heard)
			}
		}
	}
}
