package workers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/workers"
)

const newestImage = "aliyun_3_x64_20G_alibase_20260513.vhd"

// platformCloud offers public images on three families and all others on those
// that it is told of.
type platformCloud struct {
	imageAPI
	families map[string][]string // by image; "" is every other
	refuse   error
	broken   map[string]error
	system   []ecs.Image
	takes    time.Duration // what a call takes

	platformMu sync.Mutex
	offered    map[string]int // calls by image
	listings   int
}

func (c *platformCloud) Images(ctx context.Context, s ecs.Scope, ids []string) ([]ecs.Image, error) {
	images, err := c.imageAPI.Images(ctx, s, ids)
	for i := range images {
		if images[i].Facts.Presence == rules.ImageFound {
			images[i].Facts.Architecture = "x86_64"
		}
	}
	return images, err
}

func (c *platformCloud) OfferedFamilies(_ context.Context, _ ecs.Scope, image string) ([]ecs.OfferedFamily, error) {
	time.Sleep(c.takes)
	c.platformMu.Lock()
	defer c.platformMu.Unlock()
	c.offered[image]++
	if c.refuse != nil {
		return nil, c.refuse
	}
	if err := c.broken[image]; err != nil {
		return nil, err
	}
	families, ok := c.families[image]
	if !ok {
		families = c.families[""]
	}
	var out []ecs.OfferedFamily
	for _, family := range slices.Sorted(slices.Values(families)) {
		name, _, some := strings.Cut(family, ":")
		types := 2
		if some {
			types = 1
		}
		out = append(out, ecs.OfferedFamily{Name: name, Types: types})
	}
	return out, nil
}

func (c *platformCloud) SystemImages(_ context.Context, _ ecs.Scope, arch string) ([]ecs.Image, error) {
	c.platformMu.Lock()
	defer c.platformMu.Unlock()
	c.listings++
	if arch != "x86_64" {
		return nil, nil
	}
	return c.system, nil
}

func (c *platformCloud) calls() (n int) {
	c.platformMu.Lock()
	defer c.platformMu.Unlock()
	for _, asked := range c.offered {
		n += asked
	}
	return n
}

// memory keeps what workers announce, as a sink does.
type memory struct {
	mu    sync.Mutex
	items map[string]event.EvidenceItem
	err   error
	other []event.Message
}

func (m *memory) Evidence(_ context.Context, s ecs.Scope, source string, ids []string) (map[string]event.EvidenceItem, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]event.EvidenceItem{}
	for _, id := range ids {
		if item, ok := m.items[s.String()+source+id]; ok {
			out[id] = item
		}
	}
	return out, m.err
}

func (m *memory) Publish(_ context.Context, msg event.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := msg.(*event.EvidenceRead)
	if !ok {
		m.other = append(m.other, msg)
		return nil
	}
	for _, item := range e.Items {
		if !item.Kept {
			m.items[e.Scope.String()+e.Source+item.ID] = item
		}
	}
	return nil
}

func (m *memory) cause(id string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.items[scope.String()+event.EvidencePlatform+id].Cause
}

type platformRig struct {
	*workers.Platform
	cloud  *platformCloud
	memory *memory
	now    time.Time
}

func newPlatform(t *testing.T, targets ...string) *platformRig {
	t.Helper()
	rs, err := ruleset()
	if err != nil {
		t.Fatal(err)
	}
	list := rules.DefaultTargets()
	for _, name := range targets {
		target, err := rs.ParseTarget(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, target)
	}
	rig := &platformRig{
		now: time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC), memory: &memory{items: map[string]event.EvidenceItem{}},
		cloud: &platformCloud{
			imageAPI: imageAPI{asked: map[string]int{}}, offered: map[string]int{}, broken: map[string]error{},
			families: map[string][]string{"": {"ecs.g6", "ecs.g7"}, newestImage: {"ecs.g6", "ecs.g7", "ecs.g8i", "ecs.c8i"}},
			system: []ecs.Image{
				{ID: newestImage, Facts: rules.ImageFacts{Presence: rules.ImageFound, OSName: "Alibaba Cloud Linux  3.2104 LTS 64位", Architecture: "x86_64"}},
				{ID: "aliyun_3_x64_20G_alibase_20230424.vhd", Facts: rules.ImageFacts{Presence: rules.ImageFound, OSName: "Alibaba Cloud Linux  3.2104 LTS 64位", Architecture: "x86_64"}},
				{ID: "centos_6_10_x64_20G_alibase_20201120.vhd", Facts: rules.ImageFacts{Presence: rules.ImageFound, OSName: "CentOS  6.10 64位", Architecture: "x86_64"}},
			},
		},
	}
	rig.Platform = workers.NewPlatform(rs.NewClassifier(list), rig.cloud, rig.memory, rig.memory, func() time.Time { return rig.now }, slog.New(slog.DiscardHandler))
	return rig
}

// look returns what a lookup says of one image.
func (r *platformRig) look(t *testing.T, id string) rules.ImageFacts {
	t.Helper()
	images, err := r.Images(t.Context(), scope, []string{id})
	if err != nil || len(images) != 1 {
		t.Fatalf("%+v, %v", images, err)
	}
	return images[0].Facts
}

func TestPlatformAsksOnceForAnImageAndComparesItWithAYardstick(t *testing.T) {
	r := newPlatform(t, "ecs.c8i")
	for range 3 {
		f := r.look(t, "m-1")
		if f.Offered != "ecs.g6 ecs.g7" || f.Refused != "ecs.c8i ecs.g8i" {
			t.Fatalf("offered on %q and refused on %q", f.Offered, f.Refused)
		}
	}
	if r.cloud.offered["m-1"] != 1 || r.cloud.offered[newestImage] != 1 || r.cloud.calls() != 2 || r.cloud.listings != 1 {
		t.Errorf("asked %v and listed public images %d times; want one call for the image, one for the newest public one", r.cloud.offered, r.cloud.listings)
	}
	if gone := r.look(t, "gone-1"); gone.Offered != "" || r.cloud.offered["gone-1"] != 0 {
		t.Error("an image that is gone was asked about")
	}
	for id, want := range map[string]event.EvidenceItem{ // the yardstick is found by a call, and asked about by another
		"m-1":              {Asked: r.now, Types: "ecs.g6=2 ecs.g7=2", Calls: 1},
		"yardstick x86_64": {Asked: r.now, Types: "ecs.c8i=2 ecs.g6=2 ecs.g7=2 ecs.g8i=2", Image: newestImage, Calls: 2},
	} {
		want.ID = id
		if diff := cmp.Diff(want, r.memory.items[scope.String()+event.EvidencePlatform+id]); diff != "" {
			t.Errorf("(-want +announced)\n%s", diff)
		}
	}
}

// An image that is gone, in front of others, leaves them what the platform says.
func TestPlatformSaysOfImagesBesideOneThatIsGone(t *testing.T) {
	r := newPlatform(t)
	images, err := r.Images(t.Context(), scope, []string{"gone-1", "m-1"})
	if err != nil || images[1].Facts.Offered != "ecs.g6 ecs.g7" || images[1].Facts.Refused != "ecs.g8i" {
		t.Errorf("%+v, %v", images, err)
	}
}

// A process remembers a yardstick for an hour: what it announced may not be kept yet when
// the next page needs it.
func TestPlatformRemembersAYardstickForAnHour(t *testing.T) {
	r := newPlatform(t)
	for minutes, calls := range []int{0: 1, 59: 1, 60: 2, 61: 2} {
		if calls == 0 {
			continue
		}
		r.now = time.Date(2026, 11, 1, 3, minutes, 0, 0, time.UTC)
		delete(r.memory.items, scope.String()+event.EvidencePlatform+"yardstick x86_64")
		if f := r.look(t, fmt.Sprint("m-", minutes)); f.Refused == "" || r.cloud.offered[newestImage] != calls {
			t.Errorf("after %d minutes it is refused on %q, and the yardstick was asked about %d times", minutes, f.Refused, r.cloud.offered[newestImage])
		}
	}
}

// The first image is asked about alone, since what refuses that refuses all; then eight are
// side by side.
func TestPlatformAsksAboutImagesSideBySide(t *testing.T) {
	for name, tt := range map[string]struct {
		refuse error
		calls  int
		takes  time.Duration
	}{
		"answered": {nil, 17, 3 * time.Second},
		"refused":  {&ecs.Error{Class: ecs.Permission, Err: errors.New("no")}, 1, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newPlatform(t)
			r.look(t, "m-0") // with the yardstick
			r.cloud.refuse, r.cloud.takes = tt.refuse, time.Second
			began, before := time.Now(), r.cloud.calls()
			if _, err := r.Images(t.Context(), scope, ids(1, 18)); err != nil {
				t.Error(err)
			}
			if calls, took := r.cloud.calls()-before, time.Since(began); calls != tt.calls || took != tt.takes {
				t.Errorf("%s: %d calls in %s, want %d in %s", name, calls, took, tt.calls, tt.takes)
			}
		})
	}
}

// The yardstick is the newest public image of a system that every family takes. With an
// older one, what the platform refuses an image would pass for what is not sold.
func TestPlatformComparesWithTheNewestOfTheSurestSystem(t *testing.T) {
	surest := [][]string{
		{"Alibaba Cloud Linux  3.2104 LTS 64位"},
		{"Ubuntu  22.04 64位", "Debian  12.6 64位"},
		{"Anolis OS  8.9 ANCK 64位", "Rocky Linux  9.4 64位", "AlmaLinux  9.4 64位"},
		{"Aliyun Linux  17.1 64位", "Alibaba Cloud Linux  2.1903 LTS 64位", "Ubuntu  20.04 64位", "Debian  11.9 64位", "Anolis OS  7.9 ANCK 64位", "Rocky Linux  8.9 64位", "AlmaLinux  8.9 64位", "CentOS Stream  9 64位", "Windows Server  2022 数据中心版 64位中文版", "openSUSE  42.3 64位", "Fedora  34 64位"},
	}
	image := func(id, os string) ecs.Image {
		return ecs.Image{ID: id, Facts: rules.ImageFacts{Presence: rules.ImageFound, OSName: os, Architecture: "x86_64"}}
	}
	yardstick := func(system ...ecs.Image) string {
		r := newPlatform(t)
		r.cloud.system = system
		r.look(t, "m-1")
		return r.memory.items[scope.String()+event.EvidencePlatform+"yardstick x86_64"].Image
	}
	for rank, names := range surest {
		for _, name := range names {
			want := "b"
			if rank == len(surest)-1 {
				want = ""
			}
			if got := yardstick(image("a", name), image("b", name)); got != want {
				t.Errorf("of two of %s it is %q, want %q", name, got, want)
			}
			if got := yardstick(image("b", name), image("a", name)); got != want {
				t.Errorf("of two of %s, the newer one first, it is %q, want %q", name, got, want)
			}
			for _, less := range slices.Concat(surest[rank:]...)[len(names):] {
				if got := yardstick(image("b", less), image("a", name), image("c", less)); got != "a" {
					t.Errorf("beside %s it is not %s", less, name)
				}
			}
		}
	}
}

func TestPlatformKeepsOfEachClassWhatTargetsNeed(t *testing.T) {
	r := newPlatform(t)
	r.cloud.families["m-1"] = []string{"ecs.c6", "ecs.g6", "ecs.r6", "ecs.r7", "ecs.c7", "ecs.a99x", "ecs.i4", "ecs.u1"}
	r.cloud.families[newestImage] = []string{"ecs.c6", "ecs.g6", "ecs.g7", "ecs.g8i", "ecs.r8i"}
	// ecs.i4 and ecs.u1 speak for no class, ecs.a99x is known to nobody.
	if f := r.look(t, "m-1"); f.Offered != "ecs.c7 ecs.g6" || f.Refused != "ecs.g7 ecs.g8i" {
		t.Errorf("offered on %q and refused on %q", f.Offered, f.Refused)
	}
	r.cloud.families["m-2"] = []string{"ecs.gn4", "ecs.i4", "ecs.r7"} // ecs.gn4 is sold no more
	if f := r.look(t, "m-2"); f.Offered != "ecs.r7" {
		t.Errorf("offered on %q", f.Offered)
	}
}

func TestPlatformFamilyOfWhichSomeTypesAreOfferedIsNeither(t *testing.T) {
	r := newPlatform(t, "ecs.g7")
	r.cloud.families["m-1"] = []string{"ecs.g6", "ecs.g7:large"}
	if f := r.look(t, "m-1"); f.Offered != "ecs.g6" || f.Refused != "ecs.g8i" {
		t.Errorf("offered on %q and refused on %q", f.Offered, f.Refused)
	}
}

func TestPlatformRefusesNothingWithoutAYardstick(t *testing.T) {
	r := newPlatform(t)
	r.cloud.system = r.cloud.system[2:] // CentOS 6 is of no use
	if f := r.look(t, "m-1"); f.Offered != "ecs.g6 ecs.g7" || f.Refused != "" {
		t.Errorf("offered on %q and refused on %q", f.Offered, f.Refused)
	}
	if cause := r.memory.cause("yardstick x86_64"); !strings.Contains(cause, "no current public image for x86_64") {
		t.Errorf("the cause is %q", cause)
	}
}

func TestPlatformAnswersAreRenewedByThirtieths(t *testing.T) {
	r := newPlatform(t)
	const images, days = 600, 90
	ids := make([]string, images)
	for i := range ids {
		ids[i] = fmt.Sprintf("m-%d", i)
	}
	for day := range days {
		before := r.cloud.calls()
		if _, err := r.Images(t.Context(), scope, ids); err != nil {
			t.Fatal(err)
		}
		asked := r.cloud.calls() - before
		if day > 0 && asked > 2*images/30 {
			t.Errorf("day %d: %d calls for %d images; a thirtieth is %d", day, asked, images, images/30)
		}
		for _, id := range ids {
			if age := r.now.Sub(r.memory.items[scope.String()+event.EvidencePlatform+id].Asked); age >= 30*24*time.Hour {
				t.Fatalf("day %d: the answer for %s is %s old", day, id, age)
			}
		}
		r.now = r.now.Add(24 * time.Hour)
	}
	for _, id := range ids { // once at first, and once in each 30 days
		if n := r.cloud.offered[id]; n < 3 || n > 4 {
			t.Errorf("%s was asked about %d times in %d days", id, n, days)
		}
	}
}

func TestPlatformThatMayNotBeAskedIsAskedOnce(t *testing.T) {
	for name, refusal := range map[string]*ecs.Error{
		"denied":          {Action: "DescribeImageSupportInstanceTypes", Class: ecs.Permission, Code: "Forbidden.RAM", Mend: "grant it", Err: errors.New("no")},
		"unknown_action":  {Action: "DescribeImageSupportInstanceTypes", Class: ecs.BadRequest, Code: "InvalidAction.NotFound", Err: errors.New("no")},
		"unknown_version": {Action: "DescribeImageSupportInstanceTypes", Class: ecs.BadRequest, Code: "InvalidVersion", Err: errors.New("no")},
		"unsupported":     {Action: "DescribeImageSupportInstanceTypes", Class: ecs.BadRequest, Code: "UnsupportedOperation", Err: errors.New("no")},
		"no_region":       {Action: "DescribeImageSupportInstanceTypes", Class: ecs.RegionClosed, Code: "RegionId.ApiNotSupported", Err: errors.New("no")},
		"no_key":          {Action: "DescribeImageSupportInstanceTypes", Class: ecs.Credentials, Code: "InvalidAccessKeyId.NotFound", Err: errors.New("no")},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPlatform(t)
			r.cloud.refuse = refusal
			ids := []string{"m-1", "m-2", "m-3", "m-4"}
			for range 5 {
				images, err := r.Images(t.Context(), scope, ids)
				if err != nil {
					t.Fatal(err)
				}
				for _, img := range images {
					if img.Facts.Offered != "" || img.Facts.Refused != "" || img.Facts.Presence != rules.ImageFound {
						t.Errorf("%+v", img.Facts)
					}
				}
			}
			if n := r.cloud.calls(); n != 1 {
				t.Errorf("%d calls; want one", n)
			}
			for _, id := range ids {
				if cause := r.memory.cause(id); !strings.Contains(cause, refusal.Code) {
					t.Errorf("the cause for %s is %q", id, cause)
				}
			}
			r.cloud.refuse = nil // permitted since
			r.now = r.now.Add(2 * time.Hour)
			if f := r.look(t, "m-1"); f.Offered == "" || f.Refused == "" {
				t.Error("it, or the yardstick, is not asked again")
			}
		})
	}
}

// A question whose answer is the same each time is not put again before its day; one that
// failed by chance is. Neither keeps others from being put.
func TestPlatformQuestionsThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		times int
		cause string
	}{
		"contradicts_itself": {&ecs.Error{Class: ecs.Contradicted, Err: errors.New("it names no instance type at all")}, 1, "names no instance type"},
		"not_understood":     {&ecs.Error{Class: ecs.BadRequest, Code: "InvalidImageId.NotFound", Err: errors.New("no")}, 1, "InvalidImageId.NotFound"},
		"out_of_reach":       {&ecs.Error{Class: ecs.Transient, Err: errors.New("down")}, 3, "transient"},
		"garbled":            {&ecs.Error{Class: ecs.BadAnswer, Err: errors.New("no JSON")}, 3, "bad-answer"},
		"unknown":            {errors.New("by chance"), 3, "by chance"},
	} {
		r := newPlatform(t)
		r.cloud.broken["m-1"] = tt.err
		for i := range 3 {
			if f := r.look(t, "m-1"); f.Offered != "" || f.Refused != "" {
				t.Errorf("%s: %+v", name, f)
			}
			if f := r.look(t, fmt.Sprint("m-other-", i)); f.Offered == "" {
				t.Errorf("%s: another image is not asked about", name)
			}
		}
		if n := r.cloud.offered["m-1"]; n != tt.times {
			t.Errorf("%s: asked %d times, want %d", name, n, tt.times)
		}
		if cause := r.memory.cause("m-1"); !strings.Contains(cause, tt.cause) {
			t.Errorf("%s: the cause is %q", name, cause)
		}
	}
}

// An answer that is of a time to come, by a clock that was wrong, is asked for anew.
func TestPlatformAnswerOfATimeToComeIsAskedForAnew(t *testing.T) {
	r := newPlatform(t)
	for ahead, calls := range map[time.Duration]int{time.Hour: 0, 2 * time.Hour: 1} {
		id := fmt.Sprint("m-", ahead)
		r.memory.items[scope.String()+event.EvidencePlatform+id] = event.EvidenceItem{ID: id, Asked: r.now.Add(ahead), Types: "ecs.g8i=2"}
		if r.look(t, id); r.cloud.offered[id] != calls {
			t.Errorf("an answer of %s from now: %d calls", ahead, r.cloud.offered[id])
		}
	}
}

// How old an answer of a time to come is nobody knows, so that it counts no longer where
// it cannot be renewed.
func TestPlatformAnswerOfATimeToComeDoesNotStandIn(t *testing.T) {
	r := newPlatform(t)
	id := "m-1"
	r.memory.items[scope.String()+event.EvidencePlatform+id] = event.EvidenceItem{ID: id, Asked: r.now.AddDate(1, 0, 0), Types: "ecs.g8i=2"}
	r.cloud.broken[id] = &ecs.Error{Action: "DescribeImageSupportInstanceTypes", Class: ecs.Transient, Err: errors.New("down")}
	if f := r.look(t, id); f.Offered != "" {
		t.Errorf("it is offered on %q by an answer of next year", f.Offered)
	}
}

func TestPlatformAnswerCountsWhileItCannotBeRenewed(t *testing.T) {
	r := newPlatform(t)
	r.look(t, "m-1")
	r.cloud.broken["m-1"] = &ecs.Error{Action: "DescribeImageSupportInstanceTypes", Class: ecs.Transient, Err: errors.New("down")}
	asked := r.now
	for range 60 {
		r.now = r.now.Add(24 * time.Hour)
		f := r.look(t, "m-1")
		if young := r.now.Sub(asked) < 30*24*time.Hour; young != (f.Offered != "") {
			t.Fatalf("after %s it is offered on %q", r.now.Sub(asked), f.Offered)
		}
	}
}

func TestPlatformIsNotAskedWhereWhatIsKeptCannotBeRead(t *testing.T) {
	r := newPlatform(t)
	r.memory.err = errors.New("no sink answers")
	images, err := r.Images(t.Context(), scope, []string{"m-1"})
	if err == nil || len(images) != 1 || images[0].Facts.Offered != "" || images[0].Facts.Presence != rules.ImageFound {
		t.Errorf("%+v, %v", images, err)
	}
	if n := r.cloud.calls(); n != 0 {
		t.Errorf("%d calls; what is known would be asked for again and again", n)
	}
}

func TestPlatformYardstickIsAskedForOnceByLookupsSideBySide(t *testing.T) {
	r := newPlatform(t)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if _, err := r.Images(t.Context(), scope, []string{fmt.Sprintf("m-%d", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if r.cloud.offered[newestImage] != 1 || r.cloud.calls() != 21 {
		t.Errorf("the yardstick was asked about %d times in %d calls", r.cloud.offered[newestImage], r.cloud.calls())
	}
}

// The fleet wins over the platform: where an instance of the image runs on
// machines of a class that the platform refuses, its answer counts for nothing.
func TestPlatformAnswerThatTheFleetContradictsIsNotBelieved(t *testing.T) {
	r := newPlatform(t)
	r.cloud.families["m-1"] = []string{"ecs.g5"}
	r.cloud.families["m-2"] = []string{"ecs.g5"}
	r.cloud.families["m-3"] = []string{"ecs.g5"}
	r.cloud.families[newestImage] = []string{"ecs.g5", "ecs.g6", "ecs.g7"}
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return r.now }
	cache := workers.NewImageCache(r, nil, 1000, time.Hour, now, slog.New(slog.DiscardHandler))
	w := workers.New(rs.NewClassifier(rules.DefaultTargets()), cache, r.memory, nobody{})
	w.Platform = r.Platform
	page := &event.InstancesListed{Walk: event.Walk{ScanID: "s-1", Kind: event.KindScan, Scope: scope, Lane: "l", Walk: "w"}}
	page.SetInstances([]ecs.Instance{
		{ID: "i-4", OSName: "CentOS  7.4 64位", Type: "ecs.g6.large", Family: "ecs.g6", Status: "Running"},
		{ID: "i-5", ImageID: "m-3", OSName: "CentOS  7.4 64位", Type: "ecs.g5.large", Family: "ecs.g5", Status: "Running"},
		{ID: "i-1", ImageID: "m-1", OSName: "CentOS  7.4 64位", Type: "ecs.g6.large", Family: "ecs.g6", Status: "Running"},
		{ID: "i-2", ImageID: "m-2", OSName: "CentOS  7.4 64位", Type: "ecs.g6.large", Family: "ecs.g6", Status: "Stopped"},
		{ID: "i-3", ImageID: "m-1", OSName: "CentOS  7.4 64位", Type: "ecs.g5.large", Family: "ecs.g5", Status: "Running"},
	})
	for range 2 {
		if err := w.HandlePage(t.Context(), page, r.now); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range r.memory.other {
		out, ok := m.(*event.InstancesClassified)
		if !ok {
			t.Fatalf("%T was published", m)
		}
		for _, p := range out.Profiles {
			f := out.Software[p.Software]
			if believed := f.Image.Refused != ""; believed != (f.ImageID == "m-2" || f.ImageID == "m-3") {
				t.Errorf("image %s is refused on %q", f.ImageID, f.Image.Refused)
			}
		}
	}
	if cause := r.memory.cause("m-1"); !strings.Contains(cause, "not believed") || !strings.Contains(cause, "ecs.g6.large") {
		t.Errorf("the cause for m-1 is %q", cause)
	}
	for _, id := range []string{"m-2", "m-3"} {
		if cause := r.memory.cause(id); cause != "" {
			t.Errorf("the cause for %s is %q; a stopped instance proves nothing, nor does one on what is offered", id, cause)
		}
	}
	if n := r.cloud.offered["m-1"]; n != 1 {
		t.Errorf("m-1 was asked about %d times", n)
	}
}

// doubting takes back what the platform said.
type doubting struct{ golden }

func (d *doubting) Doubt(context.Context, ecs.Scope, string, rules.ImageFacts) *workers.Image {
	return &workers.Image{}
}

// A page is judged also where an image is refused on what it runs on and nobody can take
// that back: another process may have asked the platform, and images may be of a file.
func TestPlatformAnswerThatNobodyCanTakeBack(t *testing.T) {
	rs, err := ruleset()
	if err != nil {
		t.Fatal(err)
	}
	refused := rules.ImageFacts{Presence: rules.ImageFound, Refused: "ecs.g6"}
	for name, tt := range map[string]struct {
		images   workers.Images
		platform *workers.Platform
	}{
		"no_platform": {&doubting{golden{workers.Image{Facts: refused}}}, nil},
		"no_doubter":  {&golden{workers.Image{Facts: refused}}, newPlatform(t).Platform},
	} {
		var out last
		w := workers.New(rs.NewClassifier(nil), tt.images, &out, deaf{})
		w.Platform = tt.platform
		page := &event.InstancesListed{Walk: event.Walk{ScanID: "s-1", Kind: event.KindScan, Scope: scope, Lane: "l", Walk: "w"}}
		page.SetInstances([]ecs.Instance{{ID: "i-1", ImageID: "m-1", OSName: "CentOS  7.4 64位", Type: "ecs.g6.large", Family: "ecs.g6", Status: "Running"}})
		if err := w.HandlePage(t.Context(), page, time.Now()); err != nil || out.m == nil {
			t.Errorf("%s: %v, %v", name, out.m, err)
		}
	}
}

type nobody struct{}

func (nobody) Classified(int) {}
