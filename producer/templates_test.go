package producer_test

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
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/rules"
)

// templateCloud is a cloud with launch templates in memory.
type templateCloud struct {
	mu      sync.Mutex
	list    []ecs.LaunchTemplate
	counted int
	images  map[string]map[int64]string // by template and version
	broken  map[string]error            // by template; "" is the list, "images" the images
	asked   map[string]int              // calls, by template
}

func (c *templateCloud) called(what string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[what]++
	return c.broken[what]
}

func (c *templateCloud) LaunchTemplates(context.Context, ecs.Scope) (*ecs.LaunchTemplates, error) {
	if err := c.called(""); err != nil {
		return nil, err
	}
	return &ecs.LaunchTemplates{List: c.list, Counted: max(c.counted, len(c.list)), Calls: 1}, nil
}

func (c *templateCloud) TemplateVersions(_ context.Context, _ ecs.Scope, id string, numbers []int64) ([]ecs.TemplateVersion, error) {
	if err := c.called(id); err != nil {
		return nil, err
	}
	var out []ecs.TemplateVersion
	for _, n := range numbers {
		out = append(out, ecs.TemplateVersion{Number: n, Image: c.images[id][n]})
	}
	return out, nil
}

func (c *templateCloud) Images(_ context.Context, _ ecs.Scope, ids []string) ([]ecs.Image, error) {
	if err := c.called("images"); err != nil {
		return nil, err
	}
	var out []ecs.Image
	for _, id := range ids {
		out = append(out, ecs.Image{ID: id, Facts: rules.ImageFacts{Presence: rules.ImageFound, OSName: "system of " + id}})
	}
	return out, nil
}

// memory keeps what was announced, as a sink does.
type memory struct {
	journal
	broken error
	passed time.Duration
}

func (m *memory) Evidence(_ context.Context, _ ecs.Scope, source string, ids []string) (map[string]event.EvidenceItem, error) {
	if m.broken != nil {
		return nil, m.broken
	}
	out := map[string]event.EvidenceItem{}
	for _, read := range of[*event.EvidenceRead](&m.journal) {
		for _, item := range read.Items {
			if read.Source == source && slices.Contains(ids, item.ID) {
				out[item.ID] = item
			}
		}
	}
	return out, nil
}

// readTemplates reads them once and returns what was announced, by id.
func readTemplates(t *testing.T, cloud *templateCloud, m *memory) (map[string]event.EvidenceItem, []string) {
	t.Helper()
	before := len(of[*event.EvidenceRead](&m.journal))
	reader := producer.NewTemplates(cloud, m, &m.journal, func() time.Time { return time.Date(2026, 11, 29, 8, 0, before, 0, time.UTC).Add(m.passed) }, slog.New(slog.DiscardHandler))
	if err := reader.Read(t.Context(), scope); err != nil {
		t.Fatal(err)
	}
	out, order := map[string]event.EvidenceItem{}, []string{}
	for _, read := range of[*event.EvidenceRead](&m.journal)[before:] {
		if read.Source != event.EvidenceTemplates || read.Scope != scope || len(read.Items) > event.MaxEvidence {
			t.Errorf("%s of %s with %d items", read.Source, read.Scope, len(read.Items))
		}
		for _, item := range read.Items {
			out[item.ID] = item
			order = append(order, item.ID)
		}
	}
	return out, order
}

func threeTemplates() *templateCloud {
	return &templateCloud{
		list:   []ecs.LaunchTemplate{{ID: "lt-1", Name: "web", Default: 2, Latest: 2}, {ID: "lt-2", Default: 1, Latest: 4}, {ID: "lt-3", Default: 1, Latest: 1}},
		images: map[string]map[int64]string{"lt-1": {2: "m-a"}, "lt-2": {1: "m-a", 4: "m-b", 5: "m-c"}, "lt-3": {1: ""}},
		broken: map[string]error{}, asked: map[string]int{},
	}
}

// Each version is asked for once: it never changes. What it starts is looked up
// once a week, since an image may be deprecated or deleted.
func TestVersionsOfLaunchTemplatesAreAskedForOnce(t *testing.T) {
	cloud, m := threeTemplates(), &memory{}
	got, order := readTemplates(t, cloud, m)
	facts := func(id string) rules.ImageFacts {
		return rules.ImageFacts{Presence: rules.ImageFound, OSName: "system of " + id}
	}
	want := map[string]*event.Template{
		"lt-1": {Name: "web", Versions: []event.TemplateVersion{{Number: 2, Default: true, Latest: true, Image: "m-a", Facts: facts("m-a")}}},
		"lt-2": {Versions: []event.TemplateVersion{{Number: 1, Default: true, Image: "m-a", Facts: facts("m-a")}, {Number: 4, Latest: true, Image: "m-b", Facts: facts("m-b")}}},
		"lt-3": {Versions: []event.TemplateVersion{{Number: 1, Default: true, Latest: true}}},
	}
	for id, template := range want {
		if diff := cmp.Diff(template, got[id].Template); diff != "" || got[id].Cause != "" || got[id].Asked.IsZero() {
			t.Errorf("%s: %+v\n%s", id, got[id], diff)
		}
	}
	if order[len(order)-1] != event.ListingID || got[event.ListingID].Cause != "" || got[event.UnreadID].Cause != "" {
		t.Errorf("%v: %+v", order, got[event.ListingID])
	}
	if diff := cmp.Diff(map[string]int{"": 1, "lt-1": 1, "lt-2": 1, "lt-3": 1, "images": 1}, cloud.asked); diff != "" {
		t.Errorf("cold: %s", diff)
	}
	cloud.asked = map[string]int{}
	readTemplates(t, cloud, m)
	if diff := cmp.Diff(map[string]int{"": 1}, cloud.asked); diff != "" {
		t.Errorf("warm: %s", diff)
	}
	cloud.asked, m.passed = map[string]int{}, 8*24*time.Hour
	if readTemplates(t, cloud, m); cmp.Diff(map[string]int{"": 1, "images": 1}, cloud.asked) != "" {
		t.Errorf("a week later: %v", cloud.asked)
	}
	cloud.asked = map[string]int{}
	cloud.list[1].Latest = 5
	got, _ = readTemplates(t, cloud, m)
	if diff := cmp.Diff(map[string]int{"": 1, "lt-2": 1, "images": 1}, cloud.asked); diff != "" {
		t.Errorf("after a new version: %s", diff)
	}
	if versions := got["lt-2"].Template.Versions; len(versions) != 2 || versions[0].Image != "m-a" || versions[1].Image != "m-c" {
		t.Errorf("%+v", versions)
	}
	m.broken, cloud.asked = errors.New("no sink answers"), map[string]int{}
	if readTemplates(t, cloud, m); cloud.asked["lt-1"] != 1 {
		t.Errorf("with nothing kept: %v", cloud.asked)
	}
}

// What cannot be read is named with its cause, and nothing of it is taken for
// known.
func TestLaunchTemplatesThatAreNotReadAreNamed(t *testing.T) {
	denied := &ecs.Error{Action: "DescribeLaunchTemplates", Class: ecs.Permission, Code: "Forbidden.RAM", Mend: "grant ecs:DescribeLaunchTemplates"}
	cloud, m := threeTemplates(), &memory{}
	cloud.broken[""] = denied
	got, order := readTemplates(t, cloud, m)
	if len(order) != 1 || !strings.Contains(got[event.UnreadID].Cause, "Forbidden.RAM") || got[event.UnreadID].Mend != denied.Mend {
		t.Errorf("the list is refused: %+v", got)
	}

	cloud = threeTemplates()
	cloud.broken["lt-2"] = &ecs.Error{Action: "DescribeLaunchTemplateVersions", Class: ecs.Contradicted, Err: errors.New("the answer is not believed: it is about another")}
	got, _ = readTemplates(t, cloud, &memory{})
	if item := got["lt-2"]; !strings.Contains(item.Cause, "not believed") || len(item.Template.Versions) != 0 || !item.Asked.IsZero() {
		t.Errorf("the versions of one: %+v", item)
	}
	if got["lt-1"].Cause != "" || got[event.ListingID].Asked.IsZero() {
		t.Errorf("and of others: %+v", got)
	}

	cloud = threeTemplates()
	cloud.broken["images"] = &ecs.Error{Action: "DescribeImages", Class: ecs.Transient, Code: "InternalError"}
	got, _ = readTemplates(t, cloud, &memory{})
	if item := got["lt-1"]; !strings.Contains(item.Cause, "InternalError") || item.Template.Versions[0].Image != "m-a" || item.Template.Versions[0].Facts != (rules.ImageFacts{}) {
		t.Errorf("the images: %+v", item)
	}
	if got["lt-3"].Cause != "" {
		t.Errorf("one without an image: %+v", got["lt-3"])
	}

	cloud = threeTemplates()
	cloud.counted = 9
	got, _ = readTemplates(t, cloud, &memory{})
	if item := got[event.ListingID]; item.Unlisted != 6 || !strings.Contains(item.Cause, "9 launch templates are counted and 3 listed") {
		t.Errorf("a list that was cut: %+v", item)
	}
}

// Where answers do not come, the rest is not asked for, and named all the same.
func TestLaunchTemplatesAreGivenUpAfterAFewFailures(t *testing.T) {
	cloud := &templateCloud{broken: map[string]error{}, asked: map[string]int{}}
	for i := range ecs.MaxTemplates {
		id := fmt.Sprintf("lt-%03d", i)
		cloud.list = append(cloud.list, ecs.LaunchTemplate{ID: id, Default: 1, Latest: 1})
		cloud.broken[id] = &ecs.Error{Action: "DescribeLaunchTemplateVersions", Class: ecs.Permission, Code: "Forbidden.RAM"}
	}
	cloud.counted = 900
	got, order := readTemplates(t, cloud, &memory{})
	calls := 0
	for what, n := range cloud.asked {
		if what != "" {
			calls += n
		}
	}
	if calls > 8 {
		t.Errorf("%d calls were refused", calls)
	}
	for _, template := range cloud.list {
		if item := got[template.ID]; !strings.Contains(item.Cause, "Forbidden.RAM") || item.Template == nil {
			t.Errorf("%s: %+v", template.ID, item)
		}
	}
	if len(order) != ecs.MaxTemplates+2 || order[len(order)-1] != event.ListingID || got[event.ListingID].Unlisted != 700 || !strings.Contains(got[event.ListingID].Cause, "only the first 200") {
		t.Errorf("%d items, the last %+v", len(order), got[event.ListingID])
	}
}

// A scope is announced after its launch templates, so that no scan ends without
// what is known of them, and a failure of theirs is none of the scope.
func TestAScopeIsAnnouncedAfterItsLaunchTemplates(t *testing.T) {
	for name, broken := range map[string]error{"read": nil, "refused": &ecs.Error{Action: "DescribeLaunchTemplates", Class: ecs.Permission}} {
		t.Run(name, func(t *testing.T) {
			templates, m := threeTemplates(), &memory{}
			templates.broken[""] = broken
			c := &cloud{regions: []string{scope.Region}, instances: fleet(30, time.Hour), pageSize: 100}
			o := options()
			o.Templates = producer.NewTemplates(templates, m, &m.journal, time.Now, slog.New(slog.DiscardHandler))
			p := producer.New(o, c, accounts(c, scope.Account), &m.journal, nil)
			scan(t, p, &m.journal)
			read, planned := -1, -1
			for i, message := range m.journal.msgs {
				switch message.(type) {
				case *event.EvidenceRead:
					read = i
				case *event.ScopePlanned:
					planned = i
				case *event.ScopeFailed:
					t.Errorf("%+v", message)
				}
			}
			if read < 0 || planned < read {
				t.Errorf("launch templates are message %d, the scope's announcement %d", read, planned)
			}
			if len(seen(&m.journal)) != 30 {
				t.Errorf("%d instances", len(seen(&m.journal)))
			}
		})
	}
}

// What is known of an image counts for a week, and for an hour where it is of a time
// to come, since clocks differ; a version that is asked for anew has its image looked
// up. When it was asked for is told.
func TestWhatIsKnownOfTemplatesHasAnAge(t *testing.T) {
	began := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		later  time.Duration
		latest int64
		asked  map[string]int
		fresh  bool // it is of the first time
	}{
		"within the week":            {7*24*time.Hour - 1, 4, map[string]int{"": 1}, true},
		"after it":                   {7 * 24 * time.Hour, 4, map[string]int{"": 1, "images": 1}, false},
		"by a clock that is behind":  {1 - time.Hour, 4, map[string]int{"": 1}, true},
		"by one that is far behind":  {-time.Hour, 4, map[string]int{"": 1, "images": 1}, false},
		"another version, in a week": {time.Hour, 5, map[string]int{"": 1, "lt-2": 1, "images": 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, m, now := threeTemplates(), &memory{}, began
			cloud.list = cloud.list[1:2]
			reader := producer.NewTemplates(cloud, m, &m.journal, func() time.Time { return now }, slog.New(slog.DiscardHandler))
			if err := reader.Read(t.Context(), scope); err != nil {
				t.Fatal(err)
			}
			now, cloud.asked, cloud.list[0].Latest = began.Add(tc.later), map[string]int{}, tc.latest
			if err := reader.Read(t.Context(), scope); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.asked, cloud.asked); diff != "" {
				t.Error(diff)
			}
			kept, err := m.Evidence(t.Context(), scope, event.EvidenceTemplates, []string{"lt-2"})
			if err != nil {
				t.Fatal(err)
			}
			item := kept["lt-2"]
			if item.Asked.Equal(began) != tc.fresh || !tc.fresh && !item.Asked.Equal(now) {
				t.Errorf("asked at %s, now it is %s", item.Asked, now)
			}
			for _, version := range item.Template.Versions {
				if version.Facts.OSName != "system of "+version.Image {
					t.Errorf("version %d of image %s: %+v", version.Number, version.Image, version.Facts)
				}
			}
		})
	}
}

// patient is a cloud that takes a second to tell a version.
type patient struct{ *templateCloud }

func (p patient) TemplateVersions(ctx context.Context, s ecs.Scope, id string, numbers []int64) ([]ecs.TemplateVersion, error) {
	out, err := p.templateCloud.TemplateVersions(ctx, s, id, numbers)
	time.Sleep(time.Second)
	return out, err
}

// After three templates that cannot be read the rest is not asked for: it is named
// with the same cause.
func TestTemplatesAreGivenUpAfterThree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, m := &templateCloud{images: map[string]map[int64]string{}, broken: map[string]error{}, asked: map[string]int{}}, &memory{}
		for i := range 20 {
			id := fmt.Sprintf("lt-%02d", i)
			cloud.list = append(cloud.list, ecs.LaunchTemplate{ID: id, Default: 1, Latest: 1})
			if i < 3 {
				cloud.broken[id] = errors.New("refused")
			}
		}
		reader := producer.NewTemplates(patient{cloud}, m, &m.journal, time.Now, slog.New(slog.DiscardHandler))
		if err := reader.Read(t.Context(), scope); err != nil {
			t.Fatal(err)
		}
		named := 0
		for _, read := range of[*event.EvidenceRead](&m.journal) {
			for _, item := range read.Items {
				if item.Cause == "refused" {
					named++
				}
			}
		}
		// Four are under way when three of them are refused, and some begin meanwhile.
		if asked := len(cloud.asked) - 1; asked > 8 || named < 15 || named != 20-(asked-3) {
			t.Errorf("of 20 templates %d were asked for and %d named as refused", asked, named)
		}
	})
}
