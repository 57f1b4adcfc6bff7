package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
)

const eventsSecret = "c3ab8ff13720e8ad9047dd39466b3c8974e592c2"

// sendEvent posts an ActionTrail event of a call as EventBridge does.
func sendEvent(t *testing.T, page, secret, id, call string, rec *record.Record) (status int, body string) {
	t.Helper()
	event := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"acs.actiontrail","type":"actiontrail:ActionTrail:ApiCall",
		"time":"2026-08-04T06:11:36Z","aliyunaccountid":%q,"aliyunregionid":%q,"aliyuneventbusname":"default",
		"data":{"eventName":%q,"eventRW":"Write","serviceName":"Ecs","acsRegion":%q,
			"requestParameters":{"InstanceId":%q},"referencedResources":{"ACS::ECS::Instance":[%q]}}}`,
		id, rec.Account, rec.Region, call, rec.Region, rec.InstanceID, rec.InstanceID)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page+"/events", strings.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("x-eventbridge-signature-token", secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// lookups counts how often the simulator was asked for instances.
func lookups(sim *ecssim.Server) int { return callsOf(sim, "DescribeInstances") }

func TestACloudEventChangesTheRecord(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 400, Regions: 4, Seed: 5})
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(eventsSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	natsPort, httpPort := freePort(t), freePort(t)
	natsURL, page := fmt.Sprintf("nats://127.0.0.1:%d", natsPort), fmt.Sprintf("http://127.0.0.1:%d", httpPort)
	p := start(t, env(), shenscan, "serve", "--endpoint", sim.URL, "--store", t.TempDir(), "--events-secret-file", secretFile,
		"--nats-listen", fmt.Sprintf("127.0.0.1:%d", natsPort), "--listen", fmt.Sprintf("127.0.0.1:%d", httpPort), "--log-level", "debug")
	eventually(t, "a scan is complete", func() bool { return run(t, env(), "rescan", "--all", "--nats-url", natsURL).code == 0 })

	var victim record.Record
	for _, rec := range instances(t, page) {
		if rec.OS.Family == "centos" && rec.Virtualization == "kvm" && rec.Verdicts[1].Level.String() == "compatible" {
			victim = rec
		}
	}
	if victim.InstanceID == "" {
		t.Fatal("no modern CentOS on KVM in the fleet")
	}
	events := make(chan *natsgo.Msg, 300)
	nc, err := natsgo.Connect(natsURL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.ChanSubscribe("shenscan.events.verdict.>", events); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	change := `{"image_id":"centos5u8_64_20G_aliaegis_20131231.vhd","os_name":"CentOS  5.8 64位"}`
	resp, err := http.Post(sim.URL+"/_sim/instances/"+victim.InstanceID, "application/json", strings.NewReader(change))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("change the instance: %v %v", resp, err)
	}
	_ = resp.Body.Close()

	if status, body := sendEvent(t, page, "c3ab8ff13720e8ad9047dd39466b3c89", "e1", "ReplaceSystemDisk", &victim); status != http.StatusUnauthorized {
		t.Errorf("wrong secret: %d %s", status, body)
	}
	if status, body := sendEvent(t, page, eventsSecret, "e1", "ReplaceSystemDisk", &victim); status != http.StatusOK || !strings.Contains(body, `"scan_id":"r-`) {
		t.Fatalf("%d %s", status, body)
	}
	var got struct {
		Data struct{ Before, After record.Record }
	}
	select {
	case m := <-events:
		if err := json.Unmarshal(m.Data, &got); err != nil || got.Data.After.InstanceID != victim.InstanceID || got.Data.After.OS.Version != "5.8" {
			t.Errorf("event %s on %s", m.Data, m.Subject)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("no verdict changed")
	}
	eventually(t, "the record has changed", func() bool {
		for _, rec := range instances(t, page) {
			if rec.InstanceID == victim.InstanceID {
				return rec.OS.Version == "5.8" && rec.Verdicts[1].Level.String() == "incompatible"
			}
		}
		return false
	})

	// Two hundred repeats and another event of the same: nothing moves, and the
	// cloud is asked once more at most.
	calls := lookups(sim)
	var wait sync.WaitGroup
	for range 200 {
		wait.Go(func() {
			if status, body := sendEvent(t, page, eventsSecret, "e1", "ReplaceSystemDisk", &victim); status != http.StatusOK {
				t.Errorf("repeat: %d %s", status, body)
			}
		})
	}
	wait.Wait()
	if status, body := sendEvent(t, page, eventsSecret, "e2", "StartInstance", &victim); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	eventually(t, "the last event is done", func() bool { return lookups(sim) > calls })
	if n := lookups(sim) - calls; n != 1 {
		t.Errorf("%d calls of the cloud for 200 repeats and one event", n)
	}
	if status, body := sendEvent(t, page, eventsSecret, "e3", "TagResources", &victim); status != http.StatusOK || !strings.Contains(body, `"ignored"`) {
		t.Errorf("%d %s", status, body)
	}
	other := victim
	other.Account = "1999999999999999"
	if status, body := sendEvent(t, page, eventsSecret, "e4", "RunInstances", &other); status != http.StatusOK || !strings.Contains(body, `"unknown_account"`) {
		t.Errorf("%d %s", status, body)
	}
	metrics := scrape(t, page)
	for outcome, want := range map[string]int{"rescan": 2, "repeated": 200, "ignored": 1, "unknown_account": 1, "unauthorized": 1, "refused": 0, "unavailable": 0} {
		if line := fmt.Sprintf("shenscan_cloud_events_total{outcome=%q} %d\n", outcome, want); !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	p.stop()
	if len(events) != 0 {
		t.Errorf("%d events too many", len(events))
	}
	if strings.Contains(p.output(), eventsSecret) {
		t.Error("the secret is in the log")
	}
}

func TestEventsNeedASecretThatIsOne(t *testing.T) {
	t.Parallel()
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ []string
		args    []string
		says    string
	}{
		"short":          {nil, []string{"serve", "--events-secret-file", short}, "has 7 characters"},
		"missing_file":   {nil, []string{"serve", "--events-secret-file", short + ".not"}, "no such file"},
		"short_in_env":   {[]string{"SHENSCAN_EVENTS_SECRET=hunter2"}, []string{"serve"}, "SHENSCAN_EVENTS_SECRET: secret 1 has 7"},
		"nowhere_to_be":  {[]string{"SHENSCAN_EVENTS_SECRET=" + eventsSecret}, []string{"producer", "--nats-url", "nats://127.0.0.1:1"}, "name one with --listen"},
		"no_flag_for_it": {nil, []string{"serve", "--events-secret", eventsSecret}, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, env(c.environ...), c.args...)
			if got.code != 2 || !strings.Contains(got.stderr, c.says) || strings.Contains(got.stderr, "hunter2") {
				t.Errorf("exit %d: %s", got.code, got.stderr)
			}
		})
	}
}

func TestWithoutASecretThereAreNoEvents(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 20, Regions: 1, Seed: 5})
	port := freePort(t)
	page := fmt.Sprintf("http://127.0.0.1:%d", port)
	p := start(t, env(), shenscan, "serve", "--endpoint", sim.URL, "--store", t.TempDir(), "--listen", fmt.Sprintf("127.0.0.1:%d", port))
	eventually(t, "the page is up", func() bool {
		resp, err := http.Get(page + "/healthz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if status, body := sendEvent(t, page, eventsSecret, "e1", "RunInstances", &record.Record{}); status != http.StatusNotFound {
		t.Errorf("%d %s", status, body)
	}
	if strings.Contains(scrape(t, page), "shenscan_cloud_events_total") {
		t.Error("events are counted where none are taken")
	}
	p.stop()
}
