package cloudevents_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/producer/cloudevents"
)

const (
	secret  = "0123456789abcdef0123456789abcdef"
	second  = "fedcba9876543210fedcba9876543210"
	account = "1547353256850001"
)

// requester stores rescans, or refuses to.
type requester struct {
	mu      sync.Mutex
	asked   []cloudevents.Request
	err     error
	entered chan struct{} // told of each call, where not nil
	release chan struct{} // each call waits for it, where not nil
}

func (d *requester) Rescan(ctx context.Context, r cloudevents.Request) (string, error) {
	if d.entered != nil {
		d.entered <- struct{}{}
	}
	if d.release != nil {
		select {
		case <-d.release:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return "", d.err
	}
	d.asked = append(d.asked, r)
	return fmt.Sprintf("r-%d", len(d.asked)), nil
}

func (d *requester) requests() []cloudevents.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

func (d *requester) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// endpoint is a handler behind a real server.
type endpoint struct {
	url       string
	requester *requester
	registry  *prometheus.Registry
}

func serve(t *testing.T, change func(*cloudevents.Options)) *endpoint {
	t.Helper()
	secrets, err := cloudevents.ParseSecrets(secret + "\n" + second + "\n")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{requester: &requester{}, registry: prometheus.NewPedanticRegistry()}
	o := cloudevents.DefaultOptions()
	o.Secrets, o.Rescanner, o.Gather = secrets, e.requester, 0
	o.Account = func(_ context.Context, id string) bool { return id == account }
	o.Log = slog.New(slog.DiscardHandler)
	if change != nil {
		change(&o)
	}
	h, err := cloudevents.New(o, e.registry)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	e.url = srv.URL
	return e
}

type reply struct {
	Status  int
	Detail  string
	Results []cloudevents.Result
	header  http.Header
}

// send posts a body with the secret and the headers given, by name and value.
func (e *endpoint) send(t *testing.T, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	req.Header.Set("x-eventbridge-signature-token", secret)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := reply{header: resp.Header}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("%d %q: %v", resp.StatusCode, text, err)
	}
	if r.Status != 0 && r.Status != resp.StatusCode {
		t.Errorf("status %d, and %d in the body", resp.StatusCode, r.Status)
	}
	r.Status = resp.StatusCode
	return r
}

func (e *endpoint) counted(t *testing.T, outcome cloudevents.Outcome) int {
	t.Helper()
	families, err := e.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == string(outcome) {
			return int(m.GetCounter().GetValue())
		}
	}
	t.Fatalf("no outcome %s", outcome)
	return 0
}

func recorded(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestRecordedEvents(t *testing.T) {
	rescan := func(region, reason string, ids ...string) *cloudevents.Request {
		return &cloudevents.Request{Scope: ecs.Scope{Account: account, Region: region}, InstanceIDs: ids, Reason: reason}
	}
	for name, c := range map[string]struct {
		want   *cloudevents.Request // nil: there is nothing to do
		detail string
	}{
		"meeting.json":              {nil, "aliyuncvc:MeetingEvent:MemberOperate"},
		"delete-disk.json":          {nil, `"DeleteDisk" changes nothing`},
		"stop-instance.json":        {rescan("cn-beijing", "event: StopInstance", "i-2zeip56clb391fpf0001"), ""},
		"state-change.json":         {rescan("cn-hangzhou", "event: StateChange", "i-bp1ecr000000005go2go"), ""},
		"system-event.json":         {rescan("cn-hangzhou", "event: SystemMaintenance.Reboot", "i-bp1ecr000000005go2go"), ""},
		"replace-system-disk.json":  {rescan("cn-beijing", "event: ReplaceSystemDisk", "i-2zeip56clb391fpf0001"), ""},
		"modify-instance-spec.json": {rescan("cn-shanghai", "event: ModifyInstanceSpec", "i-uf60000000000000abcd"), ""},
		"run-instances.json":        {rescan("cn-hangzhou", "event: RunInstances", "i-bp10000000000000aaa1", "i-bp10000000000000aaa2", "i-bp10000000000000aaa3"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, nil)
			got := e.send(t, recorded(t, name))
			if got.Status != http.StatusOK || len(got.Results) != 1 {
				t.Fatalf("%+v", got)
			}
			var want []cloudevents.Request
			outcome := cloudevents.OutcomeIgnored
			if c.want != nil {
				want, outcome = []cloudevents.Request{*c.want}, cloudevents.OutcomeRescan
				if got.Results[0].ScanID != "r-1" || got.Results[0].Instances != len(c.want.InstanceIDs) {
					t.Errorf("%+v", got.Results[0])
				}
			}
			if diff := cmp.Diff(want, e.requester.requests()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if r := got.Results[0]; r.Outcome != outcome || !strings.Contains(r.Detail, c.detail) {
				t.Errorf("%+v", r)
			}
			if n := e.counted(t, outcome); n != 1 {
				t.Errorf("%d counted as %s", n, outcome)
			}
		})
	}
}

func TestEveryModeOfTheBindingIsRead(t *testing.T) {
	whole := recorded(t, "state-change.json")
	var parts struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(whole), &parts); err != nil {
		t.Fatal(err)
	}
	inBase64 := strings.Replace(whole, string(parts.Data), `"`+base64.StdEncoding.EncodeToString(parts.Data)+`"`, 1)
	inBase64 = strings.Replace(inBase64, `"data"`, `"data_base64"`, 1)
	binary := []string{
		"Ce-Specversion", "1.0", "Ce-Id", "9435", "Ce-Source", "acs.ecs", "Ce-Type", "ecs:Instance:StateChange",
		"Ce-Aliyunaccountid", account, "Ce-Aliyunregionid", "cn%2Dhangzhou",
	}
	for name, c := range map[string]struct {
		body    string
		headers []string
		events  int
	}{
		"structured":                {whole, nil, 1},
		"structured_with_charset":   {whole, []string{"Content-Type", "application/cloudevents+json; charset=UTF-8"}, 1},
		"structured_as_plain_json":  {whole, []string{"Content-Type", "application/json"}, 1},
		"data_in_base64":            {inBase64, nil, 1},
		"batch":                     {"[" + whole + "," + recorded(t, "run-instances.json") + "]", []string{"Content-Type", "application/cloudevents-batch+json"}, 2},
		"batch_as_plain_json":       {" [" + whole + "]", []string{"Content-Type", "application/json"}, 1},
		"empty_batch":               {"[]", []string{"Content-Type", "application/cloudevents-batch+json"}, 0},
		"binary":                    {string(parts.Data), append(binary, "Content-Type", "application/json"), 1},
		"secret_as_bearer":          {whole, []string{"X-Eventbridge-Signature-Token", "", "Authorization", "bearer " + secret}, 1},
		"second_secret_of_rotation": {whole, []string{"X-Eventbridge-Signature-Token", second}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, nil)
			got := e.send(t, c.body, c.headers...)
			if got.Status != http.StatusOK || len(got.Results) != c.events {
				t.Fatalf("%+v", got)
			}
			if c.events == 0 {
				return
			}
			want := cloudevents.Request{Scope: ecs.Scope{Account: account, Region: "cn-hangzhou"}}
			asked := e.requester.requests()
			if len(asked) != 1 || asked[0].Scope != want.Scope || !slices.Contains(asked[0].InstanceIDs, "i-bp1ecr000000005go2go") {
				t.Errorf("asked %+v", asked)
			}
		})
	}
}

func TestWithoutTheSecretNothingIsRead(t *testing.T) {
	e := serve(t, nil)
	for name, headers := range map[string][]string{
		"none":            {"X-Eventbridge-Signature-Token", ""},
		"wrong":           {"X-Eventbridge-Signature-Token", strings.Repeat("x", 32)},
		"a_prefix":        {"X-Eventbridge-Signature-Token", secret[:31]},
		"with_more":       {"X-Eventbridge-Signature-Token", secret + "0"},
		"wrong_as_bearer": {"X-Eventbridge-Signature-Token", "", "Authorization", "Bearer " + second[1:]},
		"as_basic":        {"X-Eventbridge-Signature-Token", "", "Authorization", "Basic " + secret},
		"two_at_once":     {"X-Eventbridge-Signature-Token", secret + " " + second},
	} {
		t.Run(name, func(t *testing.T) {
			got := e.send(t, "{not even JSON", headers...)
			if got.Status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" || strings.Contains(got.Detail, secret) {
				t.Errorf("%+v", got)
			}
		})
	}
	if n := len(e.requester.requests()); n != 0 {
		t.Errorf("%d rescans", n)
	}
	if n := e.counted(t, cloudevents.OutcomeUnauthorized); n != 7 {
		t.Errorf("%d counted", n)
	}
}

func TestSecretsAreRefusedOrHidden(t *testing.T) {
	for name, text := range map[string]string{
		"empty": " \n", "short": "hunter2", "three": secret + " " + second + " " + secret, "binary": strings.Repeat("\x00", 30),
		"not_ascii": strings.Repeat("é", 30), "huge": strings.Repeat("a", 300), "second_is_short": secret + " short",
	} {
		_, err := cloudevents.ParseSecrets(text)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for word := range strings.FieldsSeq(text) {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error shows the secret: %v", name, err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := cloudevents.ReadSecrets(path)
	if err != nil || s.Empty() {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("started", "secrets", s)
	if shown := fmt.Sprintf("%v %+v %s", s, s, s) + log.String(); strings.Contains(shown, secret) || strings.Count(shown, "<secret>") != 4 {
		t.Errorf("printed as %s", shown)
	}
	if _, err := cloudevents.New(cloudevents.DefaultOptions(), prometheus.NewRegistry()); err == nil {
		t.Error("an endpoint without a secret")
	}
}

func TestWhatCannotBeStoredIsSentAgain(t *testing.T) {
	e := serve(t, nil)
	e.requester.fail(errors.New("nats: no responders at 10.0.0.7"))
	body := recorded(t, "replace-system-disk.json")
	got := e.send(t, body)
	if got.Status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "10" || strings.Contains(got.Results[0].Detail, "10.0.0.7") {
		t.Errorf("%+v", got)
	}
	e.requester.fail(nil)
	if got := e.send(t, body); got.Status != http.StatusOK || got.Results[0].Outcome != cloudevents.OutcomeRescan {
		t.Errorf("sent again: %+v", got)
	}
	if a, b := e.counted(t, cloudevents.OutcomeUnavailable), e.counted(t, cloudevents.OutcomeRescan); a != 1 || b != 1 {
		t.Errorf("counted %d unavailable, %d rescans", a, b)
	}
}

func TestNoAnswerBeforeTheRescanIsStored(t *testing.T) {
	e := serve(t, nil)
	e.requester.entered, e.requester.release = make(chan struct{}), make(chan struct{})
	answered := make(chan reply, 1)
	go func() { answered <- e.send(t, recorded(t, "run-instances.json")) }()
	<-e.requester.entered
	select {
	case got := <-answered:
		t.Fatalf("answered before: %+v", got)
	default:
	}
	close(e.requester.release)
	if got := <-answered; got.Status != http.StatusOK {
		t.Errorf("%+v", got)
	}
}

func TestTwoHundredRepeatsAreOneRescan(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var clock sync.Mutex
	e := serve(t, func(o *cloudevents.Options) {
		o.Gather = 20 * time.Millisecond
		o.Now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now }
	})
	body := recorded(t, "replace-system-disk.json")
	if got := e.send(t, body); got.Status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	var wait sync.WaitGroup
	for range 199 {
		wait.Go(func() {
			if got := e.send(t, body); got.Status != http.StatusOK || got.Results[0].Outcome != cloudevents.OutcomeRepeated || got.Results[0].ScanID != "r-1" {
				t.Errorf("%+v", got)
			}
		})
	}
	wait.Wait()
	if n := len(e.requester.requests()); n != 1 {
		t.Errorf("%d rescans", n)
	}
	// Another event of the same instance is none, and much later nor is the same.
	if got := e.send(t, strings.ReplaceAll(body, "0D5B0A9F0001", "0D5B0A9F0009")); got.Results[0].ScanID != "r-2" {
		t.Errorf("%+v", got)
	}
	for _, later := range []struct {
		by   time.Duration
		scan string
	}{{15 * time.Minute, "r-1"}, {time.Hour, "r-3"}} {
		clock.Lock()
		now = now.Add(later.by)
		clock.Unlock()
		if got := e.send(t, body); got.Results[0].ScanID != later.scan {
			t.Errorf("%s later: %+v, want %s", later.by, got, later.scan)
		}
	}
}

func TestWhoeverJoinsWaitsForTheRescan(t *testing.T) {
	e := serve(t, func(o *cloudevents.Options) { o.Gather = 20 * time.Millisecond })
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Go(func() {
			body := strings.NewReplacer("i-bp1ecr000000005go2go", fmt.Sprintf("i-bp1ecr00000000%04d", i), "3A0000000077", fmt.Sprint(i)).Replace(recorded(t, "state-change.json"))
			if got := e.send(t, body); got.Status != http.StatusOK || got.Results[0].ScanID == "" {
				t.Errorf("%+v", got)
			}
		})
	}
	wait.Wait()
	stored := map[string]bool{}
	for _, r := range e.requester.requests() {
		for _, id := range r.InstanceIDs {
			if stored[id] {
				t.Errorf("%s is stored twice", id)
			}
			stored[id] = true
		}
	}
	if len(stored) != 40 {
		t.Errorf("%d instances stored", len(stored))
	}
}

func TestEventsOfOneMomentAreOneRescan(t *testing.T) {
	e := serve(t, func(o *cloudevents.Options) { o.SourceBurst = 10_000 })
	e.requester.entered, e.requester.release = make(chan struct{}, 1000), make(chan struct{})
	event := func(i int) string {
		return strings.NewReplacer("i-bp1ecr000000005go2go", fmt.Sprintf("i-bp1ecr00000000%04d", i), "3A0000000077", fmt.Sprint(i)).Replace(recorded(t, "state-change.json"))
	}
	// One request is held; what comes as a batch meanwhile is one more rescan.
	var wait sync.WaitGroup
	wait.Go(func() { e.send(t, event(0)) })
	<-e.requester.entered
	var batch []string
	for i := range 100 {
		batch = append(batch, event(i))
	}
	wait.Go(func() {
		if got := e.send(t, "["+strings.Join(batch, ",")+"]", "Content-Type", "application/cloudevents-batch+json"); got.Status != http.StatusOK || len(got.Results) != 100 {
			t.Errorf("%+v", got)
		}
	})
	<-e.requester.entered
	close(e.requester.release)
	wait.Wait()
	asked := e.requester.requests()
	if len(asked) != 2 || max(len(asked[0].InstanceIDs), len(asked[1].InstanceIDs)) != 100 {
		t.Errorf("%d rescans", len(asked))
	}
}

func TestMetricIsSound(t *testing.T) {
	e := serve(t, nil)
	e.send(t, recorded(t, "meeting.json"))
	if problems, err := testutil.GatherAndLint(e.registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	var want strings.Builder
	want.WriteString("# HELP shenscan_cloud_events_total Events that the cloud sent to /events, by what became of them; a request that could not be read counts as one.\n# TYPE shenscan_cloud_events_total counter\n")
	outcomes := cloudevents.Outcomes()
	slices.Sort(outcomes)
	for _, o := range outcomes {
		n := 0
		if o == cloudevents.OutcomeIgnored {
			n = 1
		}
		fmt.Fprintf(&want, "shenscan_cloud_events_total{outcome=%q} %d\n", o, n)
	}
	if err := testutil.GatherAndCompare(e.registry, strings.NewReader(want.String())); err != nil {
		t.Error(err)
	}
}
