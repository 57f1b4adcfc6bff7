package producer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer"
)

// claims is producer.Running in memory.
type claims struct {
	mu   sync.Mutex
	held map[string]string
}

func (c *claims) Claim(_ context.Context, key, id string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held, ok := c.held[key]; ok {
		return held, nil
	}
	c.held[key] = id
	return id, nil
}

func requests(t *testing.T, j *journal, change func(*producer.RequestOptions)) *producer.Requests {
	t.Helper()
	o := producer.DefaultRequestOptions()
	if change != nil {
		change(&o)
	}
	d := producer.NewRequests(o, accounts(&cloud{regions: []string{"a", "b", "cn-x"}}, "1"), j, &claims{held: map[string]string{}}, "test")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestScanOfARunningScopeIsTheSameScan(t *testing.T) {
	j := &journal{}
	d := requests(t, j, nil)
	first, err := d.Scan(t.Context(), []byte(`{"regions":["b","a"]}`))
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.Scan(t.Context(), []byte(`{"regions":["a","b","a"],"reason":"again"}`))
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.Scan(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if first.ScanID != second.ScanID || other.ScanID == first.ScanID || len(j.msgs) != 2 {
		t.Errorf("scans %q %q %q, %d requests stored", first.ScanID, second.ScanID, other.ScanID, len(j.msgs))
	}
}

// unanswered is a producer.Running of which no sink says whether the scan of before
// still runs, until it was asked some times.
type unanswered struct {
	claims
	after int
}

func (u *unanswered) Claim(ctx context.Context, key, id string) (string, error) {
	u.mu.Lock()
	u.after--
	left := u.after
	u.mu.Unlock()
	if left >= 0 {
		return "", &producer.UnknownError{ScanID: "s-before"}
	}
	return u.claims.Claim(ctx, key, id)
}

// Nobody is given the id of a scan that may have ended long ago, whose report would
// pass for what there is now, and no tick is given up because a sink was busy.
func TestAScanThatMayHaveEndedIsNotJoined(t *testing.T) {
	for _, c := range []struct {
		after int
		tick  producer.Tick
		want  string
	}{{2, producer.TickStarted, ""}, {1 << 30, producer.TickJoined, "503"}} {
		synctest.Test(t, func(t *testing.T) {
			o := producer.DefaultRequestOptions()
			ticks := []producer.Tick{}
			o.Ticked = func(_ string, tick producer.Tick) { ticks = append(ticks, tick) }
			again := func() (*producer.Requests, *journal) {
				j := &journal{}
				return producer.NewRequests(o, accounts(&cloud{regions: []string{"a"}}, "1"), j, &unanswered{claims{held: map[string]string{}}, c.after}, "test"), j
			}
			d, _ := again()
			if err := d.HandleTick(t.Context(), &event.ScanRequested{Kind: event.KindScan}, "daily", time.Unix(100, 0)); err != nil || !slices.Equal(ticks, []producer.Tick{c.tick}) {
				t.Errorf("tick: %v, %v, want %s", ticks, err, c.tick)
			}
			d, j := again()
			reply, err := d.Scan(t.Context(), nil)
			var refused *producer.RequestError
			switch {
			case c.want == "" && (err != nil || reply.ScanID == "s-before" || len(j.msgs) != 1):
				t.Errorf("once a sink answers: %+v, %v, %d requests stored", reply, err, len(j.msgs))
			case c.want != "" && (!errors.As(err, &refused) || refused.Code != c.want || len(j.msgs) != 0):
				t.Errorf("while none does: %+v, %v, %d requests stored", reply, err, len(j.msgs))
			}
		})
	}
}

func TestRescansThatArriveTogetherAreMerged(t *testing.T) {
	j := &journal{}
	d := requests(t, j, func(o *producer.RequestOptions) { o.Gather = 50 * time.Millisecond })
	var callers sync.WaitGroup
	var mu sync.Mutex
	scans := map[string]int{}
	for i := range 200 {
		callers.Go(func() {
			body := fmt.Sprintf(`{"instance_ids":["i-same000001","i-%08d"]}`, i%20)
			reply, err := d.Rescan(t.Context(), []byte(body), fmt.Sprint(i))
			if err != nil || reply.Accepted != 2 {
				t.Errorf("reply %+v, %v", reply, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			scans[reply.ScanID]++
		})
	}
	callers.Wait()
	stored := of[*event.ScanRequested](j)
	if len(stored) > 20 || len(stored) != len(scans) {
		t.Errorf("%d requests stored for 200 callers, %d scan ids told", len(stored), len(scans))
	}
	ids := map[string]bool{}
	for _, m := range stored {
		once := map[string]bool{}
		for _, id := range m.InstanceIDs {
			if once[id] {
				t.Errorf("%s twice in one request", id)
			}
			once[id], ids[id] = true, true
		}
		if scans[m.ScanID] == 0 {
			t.Errorf("stored scan %s was told to nobody", m.ScanID)
		}
	}
	if len(ids) != 21 {
		t.Errorf("%d instances asked for, want 21", len(ids))
	}
}

func TestRescanNamesWhatItRejects(t *testing.T) {
	d := requests(t, &journal{}, nil)
	body, err := json.Marshal(map[string]any{"instance_ids": []string{"i-good0001", "", "x", "i-.>*", strings.Repeat("i-a", 1000)}})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := d.Rescan(t.Context(), body, "c")
	if err != nil || reply.Accepted != 1 || len(reply.Rejected) != 4 || reply.ScanID == "" {
		t.Errorf("reply %+v, %v", reply, err)
	}
}

func TestRequestsAreReadStrictly(t *testing.T) {
	d := requests(t, &journal{}, nil)
	for _, body := range []string{`{"instance_id":"i-good0001"}`, `[]`, `{"instance_ids":[]}`, `{"instance_ids":["i-good0001"]} x`, "\xff", ``} {
		_, err := d.Rescan(t.Context(), []byte(body), "c")
		if re, ok := errors.AsType[*producer.RequestError](err); !ok || re.Code != "400" {
			t.Errorf("%q: %v", body, err)
		}
	}
	if _, err := d.Scan(t.Context(), []byte(`{"region":"cn-x"}`)); err == nil {
		t.Error("a misspelt key widened the scan to everything")
	}
}

func TestOneCallerCannotAskForEver(t *testing.T) {
	now := time.Unix(0, 0)
	d := requests(t, &journal{}, func(o *producer.RequestOptions) {
		o.CallerRate, o.CallerBurst, o.Now = 1, 3, func() time.Time { return now }
	})
	var refused int
	for range 5 {
		if _, err := d.Rescan(t.Context(), []byte(`{"instance_ids":["i-good0001"]}`), "greedy"); err != nil {
			refused++
		}
	}
	if _, err := d.Rescan(t.Context(), []byte(`{"instance_ids":["i-good0001"]}`), "modest"); err != nil {
		t.Errorf("another caller was refused: %v", err)
	}
	if refused != 2 {
		t.Errorf("%d of 5 refused, want 2", refused)
	}
}

func TestRequestThatCannotBeStoredIsNotAnswered(t *testing.T) {
	d := requests(t, &journal{err: errors.New("no broker")}, nil)
	if _, err := d.Rescan(t.Context(), []byte(`{"instance_ids":["i-good0001"]}`), "c"); err == nil {
		t.Error("answered without being stored")
	}
	if _, err := d.Scan(t.Context(), nil); err == nil {
		t.Error("answered without being stored")
	}
}

func TestTickIsOneScanHoweverManyHearOfIt(t *testing.T) {
	j := &journal{}
	d := requests(t, j, nil)
	tick := time.Unix(1_700_000_000, 0)
	for range 3 {
		if err := d.HandleTick(t.Context(), &event.ScanRequested{Kind: event.KindScan, Reason: "schedule x"}, "x", tick); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]bool{}
	for _, m := range of[*event.ScanRequested](j) {
		ids[m.ScanID] = true
	}
	if len(ids) != 1 {
		t.Errorf("one tick made %d scans", len(ids))
	}
	if err := d.HandleTick(t.Context(), &event.ScanRequested{}, "x", tick); !event.IsTerminal(err) {
		t.Errorf("a tick without a scan request: %v", err)
	}
}

func TestEveryTickIsToldOf(t *testing.T) {
	j, c := &journal{}, &claims{held: map[string]string{}}
	var told []string
	o := producer.DefaultRequestOptions()
	o.Ticked = func(schedule string, what producer.Tick) { told = append(told, schedule+" "+string(what)) }
	d := producer.NewRequests(o, accounts(&cloud{regions: []string{"cn-x"}}, "1"), j, c, "test")
	tick := func(schedule string, at int64, accounts ...string) {
		t.Helper()
		if err := d.HandleTick(t.Context(), &event.ScanRequested{Kind: event.KindScan, Accounts: accounts}, schedule, time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	tick("daily", 100)
	tick("daily", 200) // the scan of the first still runs
	if _, err := d.Scan(t.Context(), []byte(`{"accounts":["1"]}`)); err != nil {
		t.Fatal(err)
	}
	tick("shop", 300, "name-of-1") // by name, the same as by id
	if want := []string{"daily started", "daily skipped", "shop joined"}; !slices.Equal(told, want) || len(of[*event.ScanRequested](j)) != 2 {
		t.Errorf("%q with %d scans", told, len(of[*event.ScanRequested](j)))
	}
}

// What cannot be a request is refused before the cloud is asked, and what just can
// be is not.
func TestAScanRequestIsHeldToItsBounds(t *testing.T) {
	ids := func(n int) []string { return slices.Repeat([]string{"i-good0001"}, n) }
	for _, c := range []struct {
		name string
		req  event.ScanRequested
		ok   bool
	}{
		{"without an id", event.ScanRequested{Kind: event.KindScan}, false},
		{"with the longest id", event.ScanRequested{ScanID: strings.Repeat("s", 64), Kind: event.KindScan}, true},
		{"with too long an id", event.ScanRequested{ScanID: strings.Repeat("s", 65), Kind: event.KindScan}, false},
		{"of another kind", event.ScanRequested{ScanID: "s", Kind: "census"}, false},
		{"without an instance to look at again", event.ScanRequested{ScanID: "s", Kind: event.KindRescan}, false},
		{"with as many instances as may be", event.ScanRequested{ScanID: "s", Kind: event.KindRescan, InstanceIDs: ids(10_000)}, true},
		{"with one too many", event.ScanRequested{ScanID: "s", Kind: event.KindRescan, InstanceIDs: ids(10_001)}, false},
	} {
		k := &cloud{regions: []string{"cn-x"}, pageSize: 10}
		j := &journal{}
		p := producer.New(options(), k, accounts(k, "1"), j, nil)
		err := p.HandleScan(t.Context(), &c.req, time.Unix(100, 0))
		if c.req.Kind != event.KindScan {
			err = p.HandleRescan(t.Context(), &c.req, time.Unix(100, 0), "1")
		}
		if event.IsTerminal(err) == c.ok || c.ok && err != nil || !c.ok && len(j.msgs) > 0 {
			t.Errorf("a request %s: %v, %d messages", c.name, err, len(j.msgs))
		}
	}
}

// fleetIDs are so many ids of instances.
func fleetIDs(from, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("i-%08d", from+i)
	}
	return ids
}

// One caller's rescan takes 10,000 instances, and names each one that it leaves out.
func TestARescanTakesTenThousandInstances(t *testing.T) {
	j := &journal{}
	d := requests(t, j, nil)
	ask := func(ids []string) *record.RescanReply {
		t.Helper()
		body, err := json.Marshal(map[string]any{"instance_ids": ids})
		if err != nil {
			t.Fatal(err)
		}
		reply, err := d.Rescan(t.Context(), body, "c")
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	if reply := ask(fleetIDs(0, 10_000)); reply.Accepted != 10_000 || len(reply.Rejected) != 0 {
		t.Errorf("of 10,000 %d are taken, %d not", reply.Accepted, len(reply.Rejected))
	}
	if reply := ask(fleetIDs(0, 10_002)); reply.Accepted != 10_000 || len(reply.Rejected) != 2 || reply.Rejected[1].InstanceID != "i-00010001" {
		t.Errorf("of 10,002 %d are taken, %+v not", reply.Accepted, reply.Rejected)
	}
	if reply := ask([]string{"i-good0001", "i-good0002", "i-good0001"}); reply.Accepted != 2 || len(reply.Rejected) != 0 {
		t.Errorf("of one instance that is named twice and another: %+v", reply)
	}
	if reply := ask([]string{"nothing"}); reply.Accepted != 0 || reply.ScanID != "" || len(reply.Rejected) != 1 {
		t.Errorf("of no instance at all: %+v", reply)
	}
	for _, m := range of[*event.ScanRequested](j) {
		if len(m.InstanceIDs) > 10_000 {
			t.Errorf("%d instances in one request", len(m.InstanceIDs))
		}
	}
}

// Rescans that are stored together stay within what one request may hold, and those
// that are narrowed otherwise stay apart: an instance is looked for where its caller
// said that it is.
func TestMergedRescansStayWithinTheirBoundsAndNarrowing(t *testing.T) {
	j := &journal{}
	d := requests(t, j, func(o *producer.RequestOptions) { o.Gather = 100 * time.Millisecond })
	var callers sync.WaitGroup
	scans := make([]string, 5)
	for i, c := range []struct {
		ids             []string
		account, region string
	}{{ids: fleetIDs(0, 2000)}, {ids: fleetIDs(2000, 2000)}, {ids: fleetIDs(0, 9000)}, {ids: fleetIDs(7, 1), account: "name-of-1"}, {ids: fleetIDs(7, 1), account: "1", region: "b"}} {
		callers.Go(func() {
			body, err := json.Marshal(record.RescanRequest{InstanceIDs: c.ids, Account: c.account, Region: c.region, Reason: strings.Repeat("r", 300)})
			if err != nil {
				t.Error(err)
				return
			}
			reply, err := d.Rescan(t.Context(), body, "c")
			if err != nil || reply.Accepted != len(c.ids) {
				t.Errorf("%+v, %v", reply, err)
				return
			}
			scans[i] = reply.ScanID
		})
	}
	callers.Wait()
	of, all := of[*event.ScanRequested](j), 0
	for _, m := range of {
		all += len(m.InstanceIDs)
		narrowed := m.ScanID == scans[3] || m.ScanID == scans[4]
		if len(m.InstanceIDs) > 10_000 || len(m.Reason) != 200 || narrowed != (len(m.Accounts) == 1) || narrowed && (m.Accounts[0] != "1" || len(m.InstanceIDs) != 1) || (m.ScanID == scans[4]) != slices.Equal(m.Regions, []string{"b"}) {
			t.Errorf("request %s for %d instances, of accounts %q and regions %q, with a reason of %d bytes", m.ScanID, len(m.InstanceIDs), m.Accounts, m.Regions, len(m.Reason))
		}
	}
	if scans[3] == scans[4] || scans[3] == scans[0] || all < 9002 {
		t.Errorf("scans %q, %d instances", scans, all)
	}
}

// Callers are forgotten rather than refused where there are more than are remembered.
func TestCallersAreForgottenRatherThanRefused(t *testing.T) {
	d := requests(t, &journal{}, func(o *producer.RequestOptions) {
		o.CallerRate, o.CallerBurst, o.MaxCallers, o.Now = 1, 1, 2, func() time.Time { return time.Unix(0, 0) }
	})
	var taken []string
	for _, caller := range []string{"a", "b", "a", "c", "a", "c"} {
		if _, err := d.Rescan(t.Context(), []byte(`{"instance_ids":["i-good0001"]}`), caller); err == nil {
			taken = append(taken, caller)
		}
	}
	if want := []string{"a", "b", "c", "a"}; !slices.Equal(taken, want) { // c is one too many: a and b are forgotten
		t.Errorf("%q were taken, want %q", taken, want)
	}
}
