package producer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// A walk agrees with what was counted before and after it, give or take what was
// created meanwhile, and with no counts that lie far apart themselves.
func TestAWalkIsHeldAgainstTheCounts(t *testing.T) {
	no := ecs.NoCount
	for _, c := range []struct {
		before, after, read, created, foreign int
		agrees                                bool
		says                                  string
	}{
		{before: 1000, after: 1000, read: 1000, agrees: true},
		{before: 1000, after: 1000, read: 999, says: "1000 instances are counted before and 1000 after a listing of 999, of which 0 are new"},
		{before: 1000, after: 1000, read: 1001},
		{before: 1000, after: 1010, read: 1010, created: 10, agrees: true},
		{before: 1000, after: 1000, read: 1003, created: 3, agrees: true},
		{before: 1000, after: 1000, read: 1004, created: 3},
		{before: 1000, after: 1000, read: 997, created: 3, agrees: true},
		{before: 1000, after: 1000, read: 996, created: 3},
		// What was created accounts for counts that differ.
		{before: 100, after: 200, read: 150, created: 100, agrees: true},
		// A whole answer, or half of the lane, could be missing between the counts.
		{before: 1000, after: 1099, read: 1050, agrees: true},
		{before: 1000, after: 1100, read: 1050},
		{before: 1100, after: 1000, read: 1050},
		{before: 11, after: 20, read: 15, agrees: true},
		{before: 10, after: 20, read: 15},
		// What was not asked for is in no count.
		{before: 10, after: 10, read: 13, foreign: 3, agrees: true},
		{before: 10, after: 10, read: 12, foreign: 3, says: "10 instances are counted before and 10 after a listing of 9, of which 0 are new, and 3 more that were not created in the time that was asked for"},
		// One count is enough to disagree; none is nothing to disagree with.
		{before: no, after: 10, read: 10, agrees: true},
		{before: no, after: 10, read: 9},
		{before: 10, after: no, read: 9},
		{before: no, after: no, read: 9, agrees: true},
	} {
		l := &lane{job: &event.LaneJob{}, before: c.before, after: c.after}
		err := l.doubt(&walk{read: c.read, created: c.created, foreign: c.foreign})
		if (err == nil) != c.agrees || c.says != "" && !strings.HasSuffix(strings.SplitN(err.Error(), ";", 2)[0], c.says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// pages is a cloud that does not count, and whose list by page numbers reaches so far.
type pages struct {
	Cloud
	count, reaches int
	err            error
	asked          int // the instance whose page was asked for
	counts         int
}

func (p *pages) CountInstances(context.Context, ecs.Scope, ecs.Query) (int, error) {
	p.counts++
	return p.count, nil
}

func (p *pages) ListsUpTo(_ context.Context, _ ecs.Scope, n int) (int, error) {
	p.asked = n
	return p.reaches, p.err
}

// A region that the cloud does not count is held against its list by page numbers: one
// that reaches further, or ends before the last whole page, speaks against the walk.
func TestAWalkWithoutCountsIsHeldAgainstPages(t *testing.T) {
	from := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		cloud         pages
		job           event.LaneJob
		before        int
		read          int
		doubted       bool
		asked, counts int
		err           bool
	}{
		"as far":                         {cloud: pages{reaches: 250}, read: 250, asked: 251, counts: 1},
		"as far, a whole page":           {cloud: pages{reaches: 200}, read: 200, asked: 201, counts: 1},
		"further":                        {cloud: pages{reaches: 251}, read: 250, asked: 251, counts: 1, doubted: true},
		"a few have gone":                {cloud: pages{reaches: 201}, read: 250, asked: 251, counts: 1},
		"to the page before":             {cloud: pages{reaches: 200}, read: 250, asked: 251, counts: 1, doubted: true},
		"less than pages before":         {cloud: pages{reaches: 3}, read: 250, asked: 251, counts: 1, doubted: true},
		"nobody knows":                   {cloud: pages{reaches: ecs.NoCount}, read: 250, asked: 251, counts: 1},
		"it cannot be read":              {cloud: pages{reaches: 9, err: errors.New("down")}, read: 250, asked: 251, counts: 1, err: true},
		"it counts after all":            {cloud: pages{count: 250}, read: 250, counts: 1},
		"it counts otherwise":            {cloud: pages{count: 249}, read: 250, counts: 1, doubted: true},
		"it counted before":              {cloud: pages{reaches: 3}, before: 250, read: 250},
		"a part that begins":             {cloud: pages{reaches: 3}, job: event.LaneJob{From: from}, read: 250, counts: 1},
		"a part that ends":               {cloud: pages{reaches: 3}, job: event.LaneJob{To: from}, read: 250, counts: 1},
		"nothing is there and is listed": {cloud: pages{reaches: 0}, read: 0, asked: 1, counts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := &c.cloud
			if cloud.count == 0 {
				cloud.count = ecs.NoCount
			}
			before := ecs.NoCount
			if c.before > 0 {
				before = c.before
			}
			p := New(DefaultOptions(), cloud, nil, nil, nil)
			l := &lane{p: p, job: &c.job, spent: p.spendings.of(&c.job), before: before, after: ecs.NoCount}
			doubt, err := l.more(t.Context(), &walk{read: c.read})
			if (doubt != nil) != c.doubted || (err != nil) != c.err || cloud.asked != c.asked || cloud.counts != c.counts {
				t.Errorf("doubt %v, error %v; the page of %d was asked for, want %d; %d counts", doubt, err, cloud.asked, c.asked, cloud.counts)
			}
		})
	}
}

// Answers are counted by what they bring: each instance once, those of the lane's own
// time as its own, those of a time that was not asked for apart.
func TestWhatAnAnswerBringsIsCountedOnce(t *testing.T) {
	at := func(clock string) string { return "2020-01-01T" + clock + "Z" }
	day := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	o := DefaultOptions()
	o.Now = func() time.Time { return day.Add(20*time.Hour - sinceBegun) }
	job := &event.LaneJob{From: day.Add(10 * time.Hour), To: day.Add(21 * time.Hour), Epoch: day.Add(19 * time.Hour)}
	p := New(o, nil, nil, nil, nil)
	w := &walk{p: p, job: job, query: query(job), known: idSet{}}
	w.bounds()
	list := func(times ...string) (out []ecs.Instance) {
		for _, clock := range times {
			out = append(out, ecs.Instance{ID: "i-" + clock, CreationTime: at(clock)})
		}
		return out
	}
	for i, c := range []struct {
		answer                               []ecs.Instance
		kept                                 string
		read, listed, created, foreign, idle int
	}{
		{list("09:58", "09:59", "10:00", "20:59", "21:00", "21:01", "21:02"), "10:00 20:59", 7, 2, 0, 2, 0},
		{list("10:00", "11:00", "10:00", "12:00"), "11:00 12:00", 9, 4, 0, 2, 0},
		{list("10:00", "11:00"), "", 9, 4, 0, 2, 1},
		{nil, "", 9, 4, 0, 2, 2},
		{list("18:59", "19:00", "20:00", "20:01"), "18:59 19:00 20:00 20:01", 13, 8, 2, 2, 0}, // new from the request on, and not in the time to come
		{[]ecs.Instance{{ID: "i-when", CreationTime: "soon"}}, "when", 14, 9, 2, 2, 0},
	} {
		var kept []string
		for _, x := range w.fresh(c.answer) {
			kept = append(kept, strings.TrimPrefix(x.ID, "i-"))
		}
		if got := strings.Join(kept, " "); got != c.kept || w.read != c.read || w.listed != c.listed || w.created != c.created || w.foreign != c.foreign || w.idle != c.idle {
			t.Errorf("answer %d: kept %q; read %d, listed %d, created %d, foreign %d, idle %d; want %+v", i, got, w.read, w.listed, w.created, w.foreign, w.idle, c)
		}
	}
}

// An instance that comes twice is the same where all is the same that a verdict rests
// on.
func TestWhatIsJudgedTellsInstancesApart(t *testing.T) {
	is := ecs.Instance{ID: "i-1", ImageID: "m-a", OSName: "os-a", OSNameEn: "en-a", OSType: "linux", Type: "ecs.g5.large"}
	for name, change := range map[string]func(*ecs.Instance){
		"image": func(x *ecs.Instance) { x.ImageID = "m-b" }, "system": func(x *ecs.Instance) { x.OSName = "os-b" }, "its English name": func(x *ecs.Instance) { x.OSNameEn = "en-b" },
		"kind": func(x *ecs.Instance) { x.OSType = "linuy" }, "type": func(x *ecs.Instance) { x.Type = "ecs.g6.large" },
	} {
		other := is
		change(&other)
		if judgedBy(&other) == judgedBy(&is) {
			t.Errorf("another %s is taken for the same", name)
		}
	}
	renamed := is
	renamed.Name, renamed.Status = "web", "Stopped"
	if judgedBy(&renamed) != judgedBy(&is) {
		t.Error("one that was renamed and stopped is taken for another")
	}
}
