package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// What changed is a page: the gravest first, each with the page of its instance,
// and what cannot be compared is said.
func TestChangesPage(t *testing.T) {
	var w *world
	w = newWorld(t, 200, func(o *httpapi.Options) { o.Answers = &later{&w} })
	page := w.get("/changes?since=7d")
	for _, want := range []string{"1 verdict change", `href="/instances/i-1?account=1&amp;region=cn-hangzhou"`, "kvm: compatible -&gt; unknown", "/api/v1/changes?since="} {
		if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), want) {
			t.Errorf("%d: %q is missing", page.Code, want)
		}
	}
	if bad := w.get("/changes?since=7d&region=cn-hangzuo"); bad.Code != http.StatusBadRequest || !strings.Contains(bad.Body.String(), "did you mean") {
		t.Errorf("%d: a region that is not there is not named", bad.Code)
	}
}

// The overview says beside each system what mends most of it, with the split, and
// not while a scan runs: each of its commits would count anew.
func TestOverviewNamesFirstRemedies(t *testing.T) {
	var w *world
	w = newWorld(t, 2000, func(o *httpapi.Options) { o.Answers = &later{&w} })
	if page := w.get("/").Body.String(); strings.Contains(page, "first remedy") {
		t.Error("remedies are counted while a scan runs")
	}
	ended := w.fleet.Scan
	ended.ID = "20261123T012900Z-running"
	w.store.PutScan(ended)
	if page := w.get("/").Body.String(); !strings.Contains(page, "first remedy") || !strings.Contains(page, "minor-upgrade to 5.11") {
		t.Error("no first remedies on the overview")
	}
}

// The overview lists what starts new machines with the image that it starts and
// where that boots, as the report does, and says where all of it is; not while a
// scan runs, which it says.
func TestOverviewListsWhatStartsNewMachines(t *testing.T) {
	var w *world
	w = newWorld(t, 600, func(o *httpapi.Options) { o.Answers = &later{&w} })
	if page := w.get("/").Body.String(); strings.Contains(page, `id="groups"`) || !strings.Contains(page, "are listed again when the scan has ended") {
		t.Error("groups are counted while a scan runs, or their absence is not said")
	}
	ended := w.fleet.Scan
	ended.ID = "20261123T012900Z-running"
	w.store.PutScan(ended)
	groups := w.fleet.Started()
	page := w.get("/").Body.String()
	for _, want := range []string{`id="groups"`, "launch template lt-000000000001 (web)", "scaling group", "node pool", groups.Groups[0].Images[0].ImageID, "its older instances are of 1 other image", "grant ecs:DescribeLaunchTemplates"} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview does not say %q", want)
		}
	}
	if strings.Contains(page, "<script>alert") {
		t.Error("the name of a group is not escaped")
	}
	var all record.StartGroups
	if rec := w.get("/api/v1/start-groups"); rec.Code != http.StatusOK || json.Unmarshal(rec.Body.Bytes(), &all) != nil || len(all.Groups) != len(groups.Groups) {
		t.Errorf("%d: %d of %d groups", rec.Code, len(all.Groups), len(groups.Groups))
	}
}
