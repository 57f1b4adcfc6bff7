package app

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer/prober"
)

// probing is what asking machines comes to in this process.
type probing struct {
	mu    sync.Mutex
	state record.ProbeState

	machines *prometheus.GaugeVec
	runs     *prometheus.CounterVec
	last     prometheus.Gauge
}

// maxProbeErrors bounds the errors that are shown of one run.
const maxProbeErrors = 20

// newProbing begins with nothing, and registers the metrics of a process that
// asks machines.
func newProbing(reg prometheus.Registerer, on bool) *probing {
	if !on {
		reg = nil // which registers nothing
	}
	made := promauto.With(reg)
	p := &probing{
		state: record.ProbeState{State: record.ProbeOff, Evidence: []record.Evidence{}, Errors: []string{}},
		machines: made.NewGaugeVec(prometheus.GaugeOpts{
			Name: "shenscan_probe_machines", Help: "Machines of the last run of --probe, or of the one that goes on: planned, kept (asked lately), skipped (they do not run, or run no known system), asked, answered, silent (no evidence, for a cause), refused by the cloud, waiting for an answer.",
		}, []string{"result"}),
		runs: made.NewCounterVec(prometheus.CounterOpts{
			Name: "shenscan_probe_runs_total", Help: "Runs of --probe that ended: ok, or error where some could not be asked or did not answer in time, or the filter names nobody.",
		}, []string{"outcome"}),
		last: made.NewGauge(prometheus.GaugeOpts{
			Name: "shenscan_probe_last_run_timestamp_seconds", Help: "When the last run of --probe ended, 0 before the first.",
		}),
	}
	if on {
		p.state.State = record.ProbeIdle
		for _, outcome := range []string{"ok", "error"} {
			p.runs.WithLabelValues(outcome)
		}
		p.show()
	}
	return p
}

// show puts the numbers into the metrics. The caller holds mu, or nobody else
// has p yet.
func (p *probing) show() {
	state := &p.state
	for result, n := range map[string]int{
		"planned": state.Planned, "kept": state.Kept, "skipped": state.Skipped, "asked": state.Asked,
		"answered": state.Answered, "silent": state.Silent, "refused": state.Refused, "waiting": state.Waiting,
	} {
		p.machines.WithLabelValues(result).Set(float64(n))
	}
}

// State is what asking comes to by now.
func (p *probing) State() record.ProbeState {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.state
	out.Evidence, out.Errors = slices.Clone(out.Evidence), slices.Clone(out.Errors)
	return out
}

// standby notes that another process asks.
func (p *probing) standby() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.State = record.ProbeStandby
}

// began begins a run.
func (p *probing) began(scan string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at = at.UTC()
	p.state = record.ProbeState{State: record.ProbeAsking, ScanID: scan, StartedAt: &at, Evidence: []record.Evidence{}, Errors: []string{}}
	p.show()
}

// went takes the numbers of the run.
func (p *probing) went(counts prober.Counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := &p.state
	state.Planned, state.Kept, state.Skipped, state.Asked = counts.Planned, counts.Kept, counts.Not, counts.Asked
	state.Answered, state.Silent, state.Refused, state.Waiting = counts.Answered, counts.Silent, counts.Refused, counts.Waiting
	p.show()
}

// ended ends a run.
func (p *probing) ended(out *prober.Outcome, err error, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at = at.UTC()
	state := &p.state
	state.State, state.EndedAt = record.ProbeIdle, &at
	if out != nil {
		state.Evidence = ProbeEvidence(out, at)
		for _, n := range out.Calls {
			state.Calls += n
		}
		for _, e := range out.Errors[:min(len(out.Errors), maxProbeErrors)] {
			state.Errors = append(state.Errors, e.Error())
		}
	}
	if err != nil {
		state.Errors = append(state.Errors, err.Error())
	}
	outcome := "ok"
	if len(state.Errors) > 0 {
		outcome = "error"
	}
	p.runs.WithLabelValues(outcome).Inc()
	p.last.Set(float64(at.Unix()))
}
