//go:build chaos

package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/record"
)

// TestMistakesAreFound holds the harness itself to account: with each mistake
// in the product, what the fault tests look at must go wrong.
func TestMistakesAreFound(t *testing.T) {
	t.Run("a page is acknowledged before its work", func(t *testing.T) {
		bin := mutate(t, patch{"internal/bus/consume.go", "\t\tbeat := b.heartbeat(ctx, msg, consumer.AckWait/3)\n", "\t\t_ = msg.Ack()\n\t\tbeat := b.heartbeat(ctx, msg, consumer.AckWait/3)\n"})
		r := newRig(t, seed(t), setup{bin: bin, instances: 5_000, latency: 150 * time.Millisecond, lanes: 2, workers: 2, idle: "20s"})
		r.start()
		r.slow()
		id := r.request()
		within(t, time.Minute, "pages flow", func() bool { return r.flow().results > 4 })
		for _, m := range r.roles {
			if strings.HasPrefix(m.name, "producer") || strings.HasPrefix(m.name, "worker") {
				m.kill()
			}
		}
		if s, ok := r.await(id, 90*time.Second); ok && s.State == record.ScanComplete {
			t.Error("the scan was complete though its jobs were acknowledged and lost")
		}
	})
	t.Run("the position is committed before the rows", func(t *testing.T) {
		const begin = "\tapplier := db.begin()\n\tif len(batch) == 0 {\n\t\treturn applier.out, nil\n\t}\n"
		bin := mutate(t, patch{"sink/store/apply.go", begin, begin + `
	was := db.meta
	db.meta.Stream, db.meta.Seq = batch[len(batch)-1].Stream, batch[len(batch)-1].Seq
	for range 150 { // long enough to be killed in
		if err := db.update(func(*bbolt.Tx) error { return nil }); err != nil {
			return nil, err
		}
	}
	db.meta.Stream, db.meta.Seq = was.Stream, was.Seq
`})
		r := newRig(t, seed(t), setup{bin: bin, instances: 10_000, latency: 80 * time.Millisecond, lanes: 1, workers: 1, idle: "15s"})
		r.start()
		r.slow()
		id := r.request()
		within(t, time.Minute, "results flow", func() bool { return r.flow().results > 4 })
		for range 8 {
			time.Sleep(700 * time.Millisecond)
			r.sinks[0].kill()
		}
		if s, ok := r.await(id, 90*time.Second); ok && s.State == record.ScanComplete {
			t.Error("the scan was complete though the position ran ahead of the rows")
		}
	})
	t.Run("an older observation overwrites a newer one", func(t *testing.T) {
		bin := mutate(t, patch{"sink/store/page.go", "case p.order < had:", "case p.order < had && p.order == 0:"})
		r := newRig(t, seed(t), setup{bin: bin, instances: 2_000, lanes: 8, workers: 1})
		before := r.faultless()
		r.start()
		same, err := r.repeated(before)
		if err == nil && same {
			t.Error("the store was the same though old pages overwrote newer ones")
		}
	})
	t.Run("a repeat is as new as a fast clock says", func(t *testing.T) {
		bin := mutate(t, wrongClock, patch{"sink/store/page.go", "p.order = min(p.order, a.ended(classified.ScanID))", "_ = a.ended"})
		r := newRig(t, seed(t), setup{bin: bin, instances: 2_000, lanes: 8, workers: 1})
		r.setClock(0, 5*time.Hour)
		before := r.faultless()
		r.start()
		same, err := r.repeated(before)
		if err == nil && same {
			t.Error("the store was the same though old pages, dated by a clock that ran ahead, counted as new")
		}
	})
}

// TestPlantedDiscardsAreFound builds products of which one stage loses
// something without a word. Nothing else goes wrong: the numbers of the scopes
// alone have to say so.
func TestPlantedDiscardsAreFound(t *testing.T) {
	for name, p := range map[string]patch{
		"the decoder drops an instance of a list": {
			"internal/ecs/ecsapi/page.go", "\t\tcase !usableID(r.machine.ID):\n",
			"\t\tcase strings.HasSuffix(r.machine.ID, \"7\"):\n\t\tcase !usableID(r.machine.ID):\n",
		},
		"the producer drops a page": {
			"producer/walk.go", "\t\tlisted := &event.InstancesListed{Walk: w.Walk, Page: w.pages, Epoch",
			"\t\tif w.pages == 1 {\n\t\t\tpage.Put(new(event.InstancesListed))\n\t\t\treturn\n\t\t}\n\t\tlisted := &event.InstancesListed{Walk: w.Walk, Page: w.pages, Epoch",
		},
		"the worker drops the instances of a profile": {
			"workers/workers.go", "\treturn out, hanging\n}",
			"\tvar kept []event.Row\n\tfor row := range page.Rows.All() {\n\t\tif row.Profile != 0 {\n\t\t\tkept = append(kept, row)\n\t\t}\n\t}\n\tout.Rows = event.RowsOf(kept)\n\treturn out, hanging\n}",
		},
		"the sink drops a row": {
			"sink/store/page.go", "\t\tp.row = p.buf[candidate.from:candidate.to]\n", "\t\tif i == 0 {\n\t\t\tcontinue\n\t\t}\n\t\tp.row = p.buf[candidate.from:candidate.to]\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, seed(t), setup{bin: mutate(t, p), instances: 10_000, lanes: 8, workers: 1})
			r.start()
			s, ok := r.await(r.request(), 2*time.Minute)
			if !ok || s.State != record.ScanPartial {
				t.Fatalf("the scan is %s", s.State)
			}
			found := 0
			for i := range s.Scopes {
				for _, f := range s.Scopes[i].Failures {
					if f.Class == "contradicted" {
						found++
						t.Log(f.Error)
					}
				}
			}
			if found == 0 {
				t.Errorf("no cause names the numbers: %+v", s.Scopes)
			}
		})
	}
}
