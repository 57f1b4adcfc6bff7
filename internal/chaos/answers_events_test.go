//go:build soak

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// told is an event as the stream has it.
type told struct {
	ID, Subject string
	Data        json.RawMessage
	on          string // NATS subject
	size        int
}

// eventsFrom reads the events from a sequence of the stream on.
func (r *rig) eventsFrom(first uint64) (out []told, next uint64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	stream, err := r.js.Stream(ctx, bus.StreamEvents)
	if err != nil {
		r.t.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	for seq := first; seq <= last; seq++ {
		raw, err := stream.GetMsg(ctx, seq)
		if err != nil {
			r.t.Fatal(err)
		}
		one := told{on: raw.Subject, size: len(raw.Data)}
		if err := json.Unmarshal(raw.Data, &one); err != nil {
			r.t.Fatal(err)
		}
		out = append(out, one)
	}
	return out, last + 1
}

// simulate posts to the simulator's own door.
func (r *rig) simulate(method, path, body string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.sim+"/_sim/"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode/100 != 2 {
		r.t.Fatalf("%s %s: %v %v", method, path, resp, err)
	}
	_ = resp.Body.Close()
}

// eventsUnderLoad is point 5 while scans and rescans go on. An instance goes
// A, B, A, B: each change is an event with an id of its own, which goes on from
// the one before. A scan that fails everywhere ends in an event that fits and
// says what the API says. An event that is refused however often it is published
// is set aside with its cause, and those behind it go on.
func eventsUnderLoad(t *testing.T, r *rig, page string, victim *record.Record) {
	read := func() (rec struct {
		record.Record
		History []record.Change `json:"history"`
	},
	) {
		body, err := fetch(page + "/api/v1/instances/" + victim.InstanceID)
		if err == nil {
			_ = json.Unmarshal(body, &rec) // nothing then
		}
		return rec
	}
	becomes := func(system string) {
		t.Helper()
		r.simulate(http.MethodPost, "instances/"+victim.InstanceID, fmt.Sprintf(`{"os":%q}`, system))
		within(t, 2*time.Minute, victim.InstanceID+" is "+system, func() bool { now := read(); return now.OS.Family+" "+now.OS.Version == system })
	}
	const a, b = "centos 5.8", "centos 7.9"
	becomes(b)
	_, from := r.eventsFrom(1)
	for _, system := range []string{a, b, a, b} {
		becomes(system)
	}
	var ids, systems []string
	within(t, time.Minute, "four events of A, B, A, B", func() bool {
		ids, systems = nil, nil
		var before string
		events, _ := r.eventsFrom(from)
		for i := range events {
			if events[i].Subject != victim.InstanceID || !strings.HasPrefix(events[i].on, event.SubjectVerdictEvents+".") {
				continue
			}
			var change record.VerdictChanged
			if err := json.Unmarshal(events[i].Data, &change); err != nil || change.Before == nil || change.After == nil {
				t.Fatalf("event %s: %v", events[i].ID, err)
			}
			if before == "" && change.After.OS.Family+" "+change.After.OS.Version != a {
				continue // what it was before is told late
			}
			if before != "" && levels(change.Before) != before {
				t.Fatalf("event %s goes on from %s, the one before ended with %s", events[i].ID, levels(change.Before), before)
			}
			before = levels(change.After)
			if slices.Contains(ids, events[i].ID) {
				t.Fatalf("event %s stands twice", events[i].ID)
			}
			ids = append(ids, events[i].ID)
			if change.Before.OS.Version != change.After.OS.Version {
				systems = append(systems, change.After.OS.Family+" "+change.After.OS.Version)
			}
		}
		return len(systems) >= 4
	})
	if !slices.Equal(systems, []string{a, b, a, b}) {
		t.Errorf("the events say %v", systems)
	}
	t.Logf("5 events: %d of %s, %v", len(ids), victim.InstanceID, ids)

	// A scan that fails in every region.
	_, from = r.eventsFrom(from)
	r.simulate(http.MethodPost, "faults", `{"kind":"forbidden","action":"DescribeInstances"}`)
	var failed told
	within(t, 2*time.Minute, "a scan that failed everywhere ended", func() bool {
		events, _ := r.eventsFrom(from)
		for i := range events {
			var brief record.ScanBrief
			if events[i].on == event.SubjectScanEvents+".partial" && json.Unmarshal(events[i].Data, &brief) == nil && brief.Kind == "scan" && failedScopes(brief.Scopes) == 12 {
				failed = events[i]
				return true
			}
		}
		return false
	})
	r.simulate(http.MethodDelete, "faults", "")
	var said record.ScanBrief
	var shown record.Scan
	body, err := fetch(page + "/api/v1/scans/" + failed.Subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(failed.Data, &said); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &shown); err != nil {
		t.Fatal(err)
	}
	if said.State != shown.State || failedScopes(shown.Scopes) != 12 || said.ScopesLeftOut != 0 || failed.size > 512<<10 {
		t.Errorf("the event of %d bytes says %s with %d failed scopes, the API %s with %d", failed.size, said.State, failedScopes(said.Scopes), shown.State, failedScopes(shown.Scopes))
	}

	// Events that the stream takes no more, for they are too large.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	stream, err := r.js.Stream(ctx, bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	set := func(most int32) {
		t.Helper()
		config := stream.CachedInfo().Config
		config.MaxMsgSize = most
		if stream, err = r.js.UpdateStream(ctx, config); err != nil {
			t.Fatal(err)
		}
	}
	usual := stream.CachedInfo().Config.MaxMsgSize
	dead, err := r.js.Stream(ctx, bus.StreamDead)
	if err != nil {
		t.Fatal(err)
	}
	begin := dead.CachedInfo().State.LastSeq + 1
	set(1000)
	becomes(a)
	within(t, time.Minute, "the event that is too large is set aside", func() bool { return setAside(ctx, t, dead, begin, victim.InstanceID) })
	set(usual)
	_, from = r.eventsFrom(from)
	becomes(b)
	within(t, time.Minute, "the event behind it comes", func() bool {
		events, _ := r.eventsFrom(from)
		return slices.ContainsFunc(events, func(e told) bool { return e.Subject == victim.InstanceID })
	})
}

func failedScopes(scopes []record.ScanScope) (n int) {
	for i := range scopes {
		if scopes[i].Completeness == record.ScopeFailed {
			n++
		}
	}
	return n
}

// setAside says whether the dead letters from a sequence on hold an event about
// the instance, with its cause.
func setAside(ctx context.Context, t *testing.T, dead jetstream.Stream, from uint64, id string) bool {
	t.Helper()
	info, err := dead.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for seq := from; seq <= info.State.LastSeq; seq++ {
		raw, err := dead.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		var letter bus.DeadLetter
		if err := json.Unmarshal(raw.Data, &letter); err != nil {
			t.Fatal(err)
		}
		if letter.Stream == bus.StreamEvents && bytes.Contains(letter.Payload, []byte(id)) {
			if !strings.Contains(letter.Cause, "maximum") {
				t.Errorf("the event is set aside because of %q", letter.Cause)
			}
			return true
		}
	}
	return false
}

// reloadsUnderLoad is point 10 while scans and rescans go on: a configuration
// that is wrong is refused as a whole and changes nothing, a right one is taken
// as a whole, by POST and by SIGHUP.
func reloadsUnderLoad(t *testing.T, page string, serve *member, write func(path, text string), config, rules, waiver string) {
	right, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	metric := func(line string) bool {
		body, err := fetch(page + "/metrics")
		return err == nil && strings.Contains(string(body), line)
	}
	post := func(want int, says string) {
		t.Helper()
		resp, err := http.Post(page+"/-/reload", "", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil || resp.StatusCode != want || !strings.Contains(body.String(), says) {
			t.Errorf("reload: %d, want %d: %s %v", resp.StatusCode, want, &body, err)
		}
	}
	write(rules, waiver)
	post(http.StatusOK, "waivers added: load")
	counts := `shenscan_waiver_end_timestamp_seconds{waiver="load"}`
	if !metric(counts) || !metric("shenscan_reload_success 1\n") {
		t.Error("the waiver does not count after a reload")
	}
	for what, wrong := range map[string]struct{ config, rules, says string }{
		"a key that nothing knows":  {string(right) + "stroe: x\n", "version: 1\n", "stroe"},
		"rules that cannot be read": {string(right), "version: 1\nwaivers: [{id: broken}]\n", "broken"},
		"a cron that none is":       {strings.Replace(string(right), "*/3", "99", 1), "version: 1\n", "load"},
	} {
		write(config, wrong.config)
		write(rules, wrong.rules)
		post(http.StatusUnprocessableEntity, wrong.says)
		if !metric(counts) || !metric("shenscan_reload_success 0\n") {
			t.Errorf("%s: it changed something, or is not shown", what)
		}
	}
	write(config, strings.Replace(string(right), "*/3", "*/4", 1))
	write(rules, waiver)
	serve.signal(syscall.SIGHUP)
	within(t, time.Minute, "SIGHUP takes the right configuration", func() bool { return metric("shenscan_reload_success 1\n") })
	write(config, string(right))
	post(http.StatusOK, "load")
}
