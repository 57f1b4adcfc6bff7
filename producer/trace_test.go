package producer_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/trace"
	"github.com/shenscan/shenscan/internal/trace/tracetest"
	"github.com/shenscan/shenscan/producer"
)

// What is stored once for several callers is in the trace of one of them and
// linked with all.
func TestMergedRescansAreLinkedWithTheirRequests(t *testing.T) {
	c := tracetest.Start()
	defer c.Close()
	tr, err := trace.Open(t.Context(), trace.Options{Endpoint: c.URL, Ratio: 1, Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	d := requests(t, &journal{}, func(o *producer.RequestOptions) { o.Gather = time.Hour }) // until 5,000 instances are together
	var callers sync.WaitGroup
	for caller := range 2 {
		callers.Go(func() {
			request := record.RescanRequest{}
			for i := range 2500 {
				request.InstanceIDs = append(request.InstanceIDs, fmt.Sprintf("i-%d%08d", caller, i))
			}
			body, err := json.Marshal(request)
			if err != nil {
				t.Error(err)
				return
			}
			ctx, span := tr.Begin(t.Context(), trace.Server, "answer")
			_, err = d.Rescan(ctx, body, fmt.Sprint(caller))
			span.End(err)
			if err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	tr.Close(t.Context())
	var requests []string
	var stored tracetest.Span
	for _, s := range c.Spans() {
		if s.Name == "answer" {
			requests = append(requests, s.ID)
		} else {
			stored = s
		}
	}
	slices.Sort(requests)
	slices.Sort(stored.Links)
	if stored.Name != "store rescans" || !slices.Equal(stored.Links, requests) || !slices.Contains(requests, stored.Parent) || stored.Attrs["shenscan.instances"] != "5000" {
		t.Errorf("requests %q, stored %+v", requests, stored)
	}
}
