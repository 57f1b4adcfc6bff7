package cloudevents

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Outcome is what became of an event, or of a request whose events could not
// be read.
type Outcome string

// The outcomes, and all of them: they are the values of a metric's label.
const (
	OutcomeRescan         Outcome = "rescan"          // a rescan was stored
	OutcomeRepeated       Outcome = "repeated"        // its rescan was stored a moment ago
	OutcomeIgnored        Outcome = "ignored"         // it changes nothing that shenscan looks at
	OutcomeUnknownAccount Outcome = "unknown_account" // of an account that is not scanned
	OutcomeRefused        Outcome = "refused"         // not a CloudEvent, or it does not say where to look
	OutcomeUnauthorized   Outcome = "unauthorized"    // without the secret
	OutcomeThrottled      Outcome = "throttled"       // too many requests from one address
	OutcomeUnavailable    Outcome = "unavailable"     // the rescan could not be stored; to be sent again
)

// Outcomes lists them.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeRescan, OutcomeRepeated, OutcomeIgnored, OutcomeUnknownAccount,
		OutcomeRefused, OutcomeUnauthorized, OutcomeThrottled, OutcomeUnavailable,
	}
}

func newMetrics(reg prometheus.Registerer) *prometheus.CounterVec {
	events := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "shenscan_cloud_events_total",
		Help: "Events that the cloud sent to /events, by what became of them; a request that could not be read counts as one.",
	}, []string{"outcome"})
	for _, o := range Outcomes() {
		events.WithLabelValues(string(o)) // a counter that is absent until its first event hides that event from rate()
	}
	return events
}
