package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules/waves"
)

// ask reads one answer of the page.
func ask(t *testing.T, a *app.App, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.Listening()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, resp.Status)
	}
	return resp
}

// scraped adds up the series of a metric that have all the parts, such as
// `target="kvm"`, and none of the others.
func scraped(t *testing.T, a *app.App, metric string, with, without []string) int {
	t.Helper()
	sum := 0
	lines := bufio.NewScanner(ask(t, a, "/metrics").Body)
next:
	for lines.Scan() {
		labels, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), metric+"{"), "} ")
		if !ok || !strings.HasPrefix(lines.Text(), metric+"{") {
			continue
		}
		for _, part := range with {
			if !strings.Contains(labels, part) {
				continue next
			}
		}
		for _, part := range without {
			if strings.Contains(labels, part) {
				continue next
			}
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// whole asks for a scan and waits for its end.
func whole(t *testing.T, a *app.App, why string) *record.Scan {
	t.Helper()
	id, err := a.RequestScan(t.Context(), nil, nil, why)
	if err != nil {
		t.Fatal(err)
	}
	var scan *record.Scan
	within(t, "the scan ends", func() bool {
		var err error
		scan, err = a.Scan(id)
		return err == nil && scan.EndedAt != nil
	})
	return scan
}

// foundBy holds what a scan counted against what the API lists of it.
func foundBy(t *testing.T, a *app.App, scan *record.Scan) {
	t.Helper()
	var all struct {
		New, Unlisted, Gone, Changed, Unkept int
		Changes                              []struct{ Region string }
	}
	const question = "/api/v1/changes?scan="
	if err := json.NewDecoder(ask(t, a, question+scan.ID).Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	if all.New != scan.New || all.Gone != scan.Gone || all.Changed != scan.Changed || all.Unkept != 0 {
		t.Errorf("scan %s counted %d new, %d gone, %d changed; listed are %+v", scan.ID, scan.New, scan.Gone, scan.Changed, all)
	}
	narrowed := 0
	for i := range scan.Scopes {
		var one struct {
			Unlisted int
			Narrowed bool
			Progress []string
			Changes  []struct{ Region string }
		}
		if err := json.NewDecoder(ask(t, a, question+scan.ID+"&region="+scan.Scopes[i].Region).Body).Decode(&one); err != nil {
			t.Fatal(err)
		}
		if one.Unlisted != 0 || !one.Narrowed || one.Progress != nil {
			t.Errorf("of one region it is said what only the whole fleet knows: %+v", one)
		}
		narrowed += len(one.Changes)
	}
	if narrowed != len(all.Changes) {
		t.Errorf("by region %d changes are listed, in all %d", narrowed, len(all.Changes))
	}
}

// TestAWeekOfRepairs scans a fleet seven times. Between the scans machines are
// mended, get worse, come back as others and are released, and once a region does
// not answer. What the command line, the API and the queries of the dashboard say
// of it agrees every day, with the plan and with what was done.
func TestAWeekOfRepairs(t *testing.T) {
	t.Parallel()
	sim, err := ecssim.Start(ecssim.Options{Instances: 300, Regions: 3, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	o := options(t)
	o.Cloud.Endpoint = sim.URL
	o.Cloud.Base = &ecsapi.Keys{AccessKeyID: ecsapi.NewSecret(ecssim.DemoAccessKeyID), AccessKeySecret: ecsapi.NewSecret(ecssim.DemoAccessKeySecret)}
	o.HTTP.Listen, o.OwnerTags = "127.0.0.1:0", []string{"team"}
	a := serve(t, o)

	const target = "shenlong-6"
	planned := func() map[string]waves.ID { // every instance, as the plan has it

		var p struct {
			Waves []struct {
				ID    waves.ID
				Items []struct {
					ID string `json:"instance_id"`
				}
			}
		}
		if err := json.NewDecoder(ask(t, a, "/api/v1/plan?target="+target).Body).Decode(&p); err != nil {
			t.Fatal(err)
		}
		out := map[string]waves.ID{}
		for _, w := range p.Waves {
			for _, it := range w.Items {
				out[it.ID] = w.ID
			}
		}
		return out
	}
	var now map[string]waves.ID
	mended, released, worse, first := 0, 0, 0, ""
	for day := 1; day <= 7; day++ {
		partial := day == 4
		if partial {
			if err := sim.AddFault(ecssim.Fault{Region: sim.Regions()[2], Kind: "forbidden"}); err != nil {
				t.Fatal(err)
			}
		}
		scan := whole(t, a, fmt.Sprint("day ", day))
		sim.ClearFaults()
		if day == 1 {
			first = scan.ID
		}
		if (scan.State == record.ScanPartial) != partial {
			t.Fatalf("day %d: the scan is %s", day, scan.State)
		}
		foundBy(t, a, scan)
		then, open := now, 0
		now = planned()
		for id, wave := range now {
			if wave.Open() {
				open++
			}
			if was, known := then[id]; known && was.Open() && !wave.Open() {
				mended++
			} else if known && !was.Open() && wave.Open() {
				worse++
			}
		}
		for id, was := range then {
			if _, there := now[id]; !there && was.Open() {
				released++
			}
		}

		// The command line reads a copy of the store, as beside a running service.
		db, err := app.OpenStore(t.Context(), app.Place{Server: a.Listening()}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		cli, err := app.StoreProgress(db.DB, target, first, o.Now().UTC())
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
		var api plan.Progress
		if err := json.NewDecoder(ask(t, a, "/api/v1/progress?target="+target+"&since="+first).Body).Decode(&api); err != nil {
			t.Fatal(err)
		}
		if api.Sentence != cli.Sentence || api.Now.Open != cli.Now.Open {
			t.Errorf("day %d: the API says %q, the command %q", day, api.Sentence, cli.Sentence)
		}
		if open != cli.Now.Open {
			t.Errorf("day %d: the plan has %d that still need work, the progress %d", day, open, cli.Now.Open)
		}
		// What the panels of the burn-down ask for.
		onTarget, done := []string{`target="` + target + `"`}, []string{`wave="ready"`, `wave="already-there"`}
		if n := scraped(t, a, "shenscan_wave_instances", onTarget, done); n != cli.Now.Open {
			t.Errorf("day %d: the metrics say %d open, the progress %d", day, n, cli.Now.Open)
		}
		if n := scraped(t, a, "shenscan_owner_open_instances", onTarget, nil); n != cli.Now.Open {
			t.Errorf("day %d: the metrics of owners say %d open, the progress %d", day, n, cli.Now.Open)
		}
		for _, o := range cli.Owners {
			name := o.Name
			if name == "" {
				name = "none"
			}
			if n := scraped(t, a, "shenscan_owner_open_instances", append(onTarget, `owner="`+name+`"`), nil); n != o.Open {
				t.Errorf("day %d: the metrics say %d open of %q, the progress %d", day, n, name, o.Open)
			}
		}
		for _, r := range cli.Regions {
			if n := scraped(t, a, "shenscan_wave_instances", append(onTarget, `region="`+r.Name+`"`), done); n != r.Open {
				t.Errorf("day %d: the metrics say %d open in %s, the progress %d", day, n, r.Name, r.Open)
			}
		}
		if notes := strings.Join(cli.Notes, " "); partial != strings.Contains(notes, "could not be read to the end: ") {
			t.Errorf("day %d: notes %s", day, notes)
		}
		if day > 1 {
			if m := cli.Moves; m.Closed != mended || m.Went != released || m.Opened != worse || m.ClosedByRules+m.OpenedByRules+m.Came != 0 || cli.Unexplained != 0 {
				t.Errorf("day %d: %d mended, %d released and %d worse; it says %+v, %d unexplained", day, mended, released, worse, m, cli.Unexplained)
			}
		}
		if day == 7 {
			if want := fmt.Sprintf("(%d mended, %d gone, %d worse)", mended, released, worse); !strings.Contains(cli.Sentence, want) {
				t.Errorf("%s does not say %s", cli.Sentence, want)
			}
			if t.Log(cli.Sentence); mended < 12 || released < 3 || worse < 3 {
				t.Errorf("too little was done: %d mended, %d released, %d worse", mended, released, worse)
			}
			break
		}

		// The night: four open ones are mended, one is released, one that is well
		// gets an old system.
		n := 0
		err = sim.EachTruth(func(truth *ecssim.Truth) error {
			wave := now[truth.InstanceID]
			if n == 6 || n < 5 && !wave.Open() || n == 5 && wave != waves.Ready {
				return nil
			}
			change := ecssim.Change{OS: "centos 7.9"}
			switch n {
			case 4:
				change = ecssim.Change{Gone: true}
			case 5:
				change = ecssim.Change{OS: "centos 5.8"}
			}
			if err := sim.Apply(truth.InstanceID, change); err != nil {
				return err
			}
			n++
			return nil
		})
		if err != nil || n != 6 {
			t.Fatalf("%d changes, %v", n, err)
		}
	}
}
