package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// Every command that reads a store gives the answer of a store at rest while a
// process holds it, found beside the store or named by --server.
func TestBesideARunningService(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 300, Regions: 3, Seed: 12})
	store := t.TempDir()
	scanned := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "jsonl")
	if scanned.code != 0 {
		t.Fatalf("exit %d", scanned.code)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(overlay, []byte(overlayOfTests), 0o600); err != nil {
		t.Fatal(err)
	}
	id := records(t, scanned.stdout)[0].InstanceID
	asked := map[string][]string{
		"report":          {"report", "--output", "json"},
		"report by rules": {"report", "--output", "csv", "--rules", overlay, "--fail-on", "incompatible"},
		"report narrowed": {"report", "--output", "jsonl", "--target", "shenlong-8", "--verdict", "incompatible"},
		"since":           {"report", "--output", "csv", "--since", "2026-01-01"},
		"scans":           {"report", "--scans"},
		"plan":            {"plan", "--output", "csv", "--target", "shenlong-8"},
		"explain":         {"rules", "explain", id, "--output", "json"},
		"preview":         {"rules", "preview", overlay},
	}
	ask := func(more ...string) map[string]string {
		out := map[string]string{}
		for name, args := range asked {
			r := run(t, env(), append(args, more...)...)
			if r.code != 0 && r.code != 3 {
				t.Errorf("%s: exit %d: %s", name, r.code, r.stderr)
			}
			out[name] = fmt.Sprintf("exit %d\n%s", r.code, r.stdout)
		}
		return out
	}
	rest := ask("--store", store)

	port := freePort(t)
	p := start(t, env(), shenscan, "serve", "--endpoint", sim.URL, "--store", store, "--listen", fmt.Sprintf("127.0.0.1:%d", port))
	page := fmt.Sprintf("http://127.0.0.1:%d", port)
	eventually(t, "serve is ready", func() bool { return status(page+"/readyz") == http.StatusOK })
	file := filepath.Join(store, "server.json")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file beside the store: %v, %v", info, err)
	}
	if diff := cmp.Diff(rest, ask("--store", store)); diff != "" {
		t.Errorf("beside the store (-at rest +running): %.3000s", diff)
	}
	if diff := cmp.Diff(rest, ask("--store", t.TempDir(), "--server", page)); diff != "" {
		t.Errorf("by --server (-at rest +running): %.3000s", diff)
	}
	check := run(t, env("SHENSCAN_SERVER="+page), "store", "check", "--store", t.TempDir())
	if check.code != 0 || !strings.Contains(check.stdout, "sound; 300 instances") {
		t.Errorf("check: exit %d: %s", check.code, check.stdout)
	}
	backup := filepath.Join(t.TempDir(), "store.db")
	if r := run(t, env(), "store", "backup", backup, "--store", store); r.code != 0 {
		t.Errorf("backup: exit %d", r.code)
	}
	if r := run(t, env(), "report", "--store", filepath.Dir(backup), "--output", "json"); "exit 0\n"+r.stdout != rest["report"] {
		t.Error("the report of the backup is another one")
	}
	if r := run(t, env(), "store", "compact", "--store", store); r.code != 1 {
		t.Errorf("compact beside a running service: exit %d", r.code)
	}
	if got := status(page + "/readyz"); got != http.StatusOK {
		t.Errorf("after copies /readyz answers %d", got)
	}

	// The API gives the same whole answers.
	body200 := func(path string) string {
		resp, err := http.Get(page + path) //nolint:gosec // an address of this test
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, %v: %.300s", path, resp.StatusCode, err, b)
		}
		return string(b)
	}
	csvOf := run(t, env(), "report", "--store", store, "--output", "csv", "--target", "shenlong-8", "--verdict", "incompatible")
	if got := body200("/api/v1/instances.csv?target=shenlong-8&verdict=incompatible"); got != csvOf.stdout || strings.Count(got, "\n") < 3 {
		t.Errorf("instances.csv is not the report's: %s", cmp.Diff(csvOf.stdout, got))
	}
	planned := run(t, env(), "plan", "--store", store, "--output", "json", "--target", "shenlong-8")
	made := regexp.MustCompile(`"made_at":"[^"]*"`)
	if got := body200("/api/v1/plan?target=shenlong-8"); made.ReplaceAllString(got, "") != made.ReplaceAllString(planned.stdout, "") {
		t.Errorf("the plan is another one: %.2000s", cmp.Diff(planned.stdout, got))
	}
	var explained, told map[string]any
	if err := errors.Join(json.Unmarshal([]byte(body200("/api/v1/explain/"+id)), &explained), json.Unmarshal([]byte(strings.TrimPrefix(rest["explain"], "exit 0\n")), &told)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(told, explained); diff != "" {
		t.Errorf("explained otherwise: %s", diff)
	}
	explains(t, records(t, scanned.stdout), func(id string) []byte { return []byte(body200("/api/v1/explain/" + id)) })
	var changes struct {
		New     int
		Changes []any
	}
	if err := json.Unmarshal([]byte(body200("/api/v1/changes?since=2026-01-01")), &changes); err != nil || changes.New != 300 {
		t.Errorf("changes: %+v, %v", changes, err)
	}
	for path, want := range map[string]int{"/api/v1/changes?since=nonsense": 400, "/api/v1/plan?target=shenlong-5": 400, "/api/v1/explain/i-nobody": 404, "/api/v1/plan?region=cn-hangzou": 400} {
		if got := status(page + path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}

	// The door opens only to those who know its key, and only for reading.
	var d struct{ URL, Key string }
	body, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(body, &d) != nil || !regexp.MustCompile(`^http://127\.0\.0\.1:\d+$`).MatchString(d.URL) || len(d.Key) < 20 {
		t.Fatalf("%s, %v", body, err)
	}
	for key, want := range map[string]int{"": 401, "Bearer ": 401, "Bearer x" + d.Key: 401, "Bearer " + d.Key: 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+"/api/v1/snapshot", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != want || want == 200 && (err != nil || n != resp.ContentLength) {
			t.Errorf("with %q: %d, %d of %d bytes, %v", key, resp.StatusCode, n, resp.ContentLength, err)
		}
		resp.Body.Close()
	}
	p.stop()
	left, err := filepath.Glob(filepath.Join(store, ".s*"))
	if _, gone := os.Stat(file); err != nil || len(left) > 0 || !os.IsNotExist(gone) {
		t.Errorf("left behind: %v, %v, %v", left, gone, err)
	}
	if diff := cmp.Diff(rest, ask("--store", store)); diff != "" {
		t.Errorf("at rest again: %.3000s", diff)
	}
}

// status is the status of a GET, 0 where nobody answers.
func status(url string) int {
	resp, err := http.Get(url) //nolint:gosec // an address of this test
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// explains says that explanations are of the records: the same verdicts, and what
// a verdict's rule rests on is in hand and decides.
func explains(t *testing.T, recs []record.Record, explain func(id string) []byte) {
	t.Helper()
	rests := map[string]string{"observed.fleet": "fleet", "observed.fleet-kernel": "fleet", "platform.offered": "platform", "platform.refuses": "platform", "observed.up": "up", "observed.failed": "up"}
	seen := map[string]int{}
	for i := range recs {
		rec := &recs[i]
		rare := seen[rec.OS.Family] < 3
		for j := range rec.Verdicts {
			rare = rare || rests[rec.Verdicts[j].Rule] != "" && seen[rec.Verdicts[j].Rule] < 5
			seen[rec.Verdicts[j].Rule]++
		}
		if seen[rec.OS.Family]++; !rare {
			continue
		}
		var explained record.Explained
		if err := json.Unmarshal(explain(rec.InstanceID), &explained); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&rec.Classification, explained.Classification); diff != "" {
			t.Errorf("%s is explained otherwise than its record: %s", rec.InstanceID, diff)
		}
		held := map[string]rules.Held{}
		for _, h := range explained.Evidence {
			held[h.Source] = h
			if h.Identity != (h.Source == rec.OS.Evidence.String() || h.Source == "machine" && rec.OS.Evidence == rules.EvidenceGuest) {
				t.Errorf("%s is known by %s, and %+v", rec.InstanceID, rec.OS.Evidence, h)
			}
		}
		for j := range rec.Verdicts {
			v := &rec.Verdicts[j]
			if source := rests[v.Rule]; source != "" && !slices.Contains(held[source].Decides, v.Target) {
				t.Errorf("%s on %s is judged by %s, and %+v", rec.InstanceID, v.Target, v.Rule, held[source])
			}
		}
		heard := slices.ContainsFunc(explained.GuestEvidence, func(e record.GuestEvidence) bool { return e.Heard != nil && e.Cause == "" })
		if up := held["up"]; up.Held && !heard {
			t.Errorf("%s was heard of, and by nothing that is shown: %+v", rec.InstanceID, explained.GuestEvidence)
		}
	}
	if seen["observed.up"]+seen["observed.fleet"]+seen["platform.offered"] == 0 {
		t.Error("nothing of the fleet rests on evidence beyond the listing")
	}
}
