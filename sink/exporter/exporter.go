// Package exporter shows the store's totals to Prometheus. It exports counts
// and times, never an instance: labels are accounts, regions, targets,
// verdicts, and OS families and versions, whose number is bounded. A scrape
// reads the last published snapshot and opens no file, so that it neither waits
// for a commit nor makes one wait.
package exporter

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// Source is where the figures come from; *store.DB is one. What it returns is
// shared and not changed.
type Source interface {
	// Figures are of one moment: what a scrape shows can be added up and compared.
	Figures() store.Figures
}

// Options bound what is exported.
type Options struct {
	// MaxSeries bounds shenscan_instances, shenscan_legacy_os_instances and
	// shenscan_wave_instances, each; the last loses its region and account. Beyond it the smallest groups lose their os_version, and if need be
	// their os_family, to "other"; totals stay true.
	MaxSeries int
	// CaughtUp says whether the store holds all that was on the results stream
	// when the process started. nil: shenscan_caught_up is not exported.
	CaughtUp func() bool
	// Running lists the scans that run; nil: they are not shown.
	Running func() ([]record.Scan, error)
}

// DefaultOptions keep a scrape small enough for the default scrape timeout.
func DefaultOptions() Options { return Options{MaxSeries: 10_000} }

const other = "other"

// Collector makes metrics of the figures of a store; Handler shows them.
type Collector struct {
	o   Options
	src Source

	completed, complete, unlisted, stages, duration, failed, changes *prometheus.Desc
	commits, size, limit, held, gone, unknown, observed, caughtUp    *prometheus.Desc
	running, regions, planning, anew                                 *prometheus.Desc
	waived, confidence, owned, asked, moved                          *prometheus.Desc

	mu                sync.Mutex
	of                *record.Summary // that instances and legacy were made from
	instances, legacy groups
	standing          *store.Standings // that waves was made from
	waves             groups
}

// scrape is a prometheus.Collector of everything but the counts of the fleet, which
// are many, at one moment.
type scrape struct {
	*Collector
	figures *store.Figures
}

var _ prometheus.Collector = scrape{}

// New returns a Collector over src.
func New(src Source, options Options) *Collector {
	if options.MaxSeries <= 0 {
		options.MaxSeries = DefaultOptions().MaxSeries
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("shenscan_"+name, help, labels, nil)
	}
	return &Collector{
		o: options, src: src,
		instances:  newGroups("shenscan_instances", "Instances by verdict for a target; one that the cloud no longer lists is not counted.", "account", "os_family", "os_version", "region", "target", "verdict"),
		legacy:     newGroups("shenscan_legacy_os_instances", "Instances whose operating system is on the list of legacy ones.", "account", "os_family", "os_version", "region"),
		waves:      newGroups("shenscan_wave_instances", "Instances by the wave of a plan for a target: what is to be done before they can move.", "account", "region", "target", "wave"),
		waived:     desc("waived_instances", "Instances whose verdict for the target is waived, by what it was.", "target", "verdict"),
		confidence: desc("confidence_instances", "Instances by verdict for a target and how firmly it is carried.", "target", "verdict", "confidence"),
		asked:      desc("unknown_instances", "Instances whose verdict for the target is unknown, by the cheapest check that settles it.", "target", "question"),
		owned:      desc("owner_open_instances", "Instances of the owner that still needed work before the target when progress was last counted; the fifty owners with most instances, the others together.", "owner", "target"),
		moved:      desc("moved_instances", "Instances that were seen to have moved to the class, by what was said of it before and how it went.", "target", "verdict", "result"),
		completed:  desc("scan_last_completion_timestamp_seconds", "When the last complete scan of the scope ended.", "account", "region"),
		complete:   desc("scan_complete", "Whether the last scan of the scope was whole.", "account", "region"),
		stages:     desc("scan_instances", "Instances that each stage of the last ended scan of the scope had in hand; where they differ, it is not complete.", "account", "region", "stage"),
		unlisted:   desc("unlisted_scopes", "Regions of the account that are not named any more by those who list them, or whose account is not; what is known of them is from before, until somebody settles it.", "account"),
		duration:   desc("scan_duration_seconds", "How long the last ended scan of the account took.", "account"),
		failed:     desc("scan_failed_regions", "Regions that the last ended scan of the account could not read, or not to the end.", "account"),
		changes:    desc("verdict_changes_total", "Verdicts that changed, since this process started.", "target", "from", "to"),
		commits:    desc("store_commit_duration_seconds", "Time that commits to the store took, sync to disk included."),
		size:       desc("store_size_bytes", "Size of the store's file."),
		limit:      desc("store_size_limit_bytes", "Size that the store's file may grow to, by its limit or by what the disk has left."),
		held:       desc("store_instances", "Instances in the store, those that are gone not counted."),
		gone:       desc("store_gone_instances", "Instances that complete scans no longer found and that are still remembered."),
		unknown:    desc("unknown_ratio", "Part of the instances whose verdict for the target is unknown.", "target"),
		observed:   desc("store_last_observation_timestamp_seconds", "Broker time of the newest result in the store."),
		running:    desc("scans_in_progress", "Scans that run now; rescans are not counted."),
		regions:    desc("scan_regions", "Regions of the account in the scans that run now, by how they stand.", "account", "state"),
		planning:   desc("scan_account_planning", "1 while a scan that runs waits to hear which regions the account has; absent while none does.", "account"),
		caughtUp:   desc("caught_up", "Whether the store holds all that the results stream held when this process started."),
		anew:       desc("pages_judged_anew_total", "Pages that the store judged by its own rule set although a worker had judged them, since this process started: by another rule set or for other targets, or not as a rule set can.", "reason"),
	}
}

// Describe implements prometheus.Collector.
func (c scrape) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		c.completed, c.complete, c.unlisted, c.stages, c.duration, c.failed, c.changes,
		c.commits, c.size, c.limit, c.held, c.gone, c.unknown, c.observed, c.waived, c.confidence, c.owned, c.asked, c.moved, c.anew,
		c.completed, c.complete, c.unlisted, c.stages, c.duration, c.failed, c.changes, c.anew,
	} {
		ch <- desc
	}
	if c.o.CaughtUp != nil {
		ch <- c.caughtUp
	}
	if c.o.Running != nil {
		ch <- c.running
		ch <- c.regions
		ch <- c.planning
	}
}

// Collect implements prometheus.Collector.
func (c scrape) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.totals(c.figures.Summary) {
		ch <- m
	}
	c.standings(c.figures.Standings, ch)
	c.outcomes(c.figures.Outcomes, ch)
	c.stats(&c.figures.Stats, ch)
	if c.o.Running != nil {
		c.inProgress(ch)
	}
	if c.o.CaughtUp != nil {
		v := 0.0
		if c.o.CaughtUp() {
			v = 1
		}
		ch <- gauge(c.caughtUp, v)
	}
}

// inProgress shows how far the scans that run are with each account.
func (c *Collector) inProgress(ch chan<- prometheus.Metric) {
	list, err := c.o.Running()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.running, err)
		return
	}
	n := 0
	regions, planning := map[[2]string]float64{}, map[string]bool{}
	for i := range list {
		if list[i].Kind != "scan" {
			continue
		}
		n++
		for _, scanAccount := range list[i].Accounts {
			account := label(scanAccount.Account)
			planning[account] = planning[account] || scanAccount.Planning
			for state, k := range map[record.Completeness]int{
				record.ScopePending: scanAccount.Regions - scanAccount.Complete - scanAccount.Partial - scanAccount.Failed, record.ScopeComplete: scanAccount.Complete,
				record.ScopePartial: scanAccount.Partial, record.ScopeFailed: scanAccount.Failed,
			} {
				regions[[2]string{account, string(state)}] += float64(k)
			}
		}
	}
	ch <- gauge(c.running, float64(n))
	for k, v := range regions {
		ch <- gauge(c.regions, v, k[0], k[1])
	}
	for account, waits := range planning {
		if waits {
			ch <- gauge(c.planning, 1, account)
		}
	}
}

func gauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

// totals are the metrics of a summary that have few series.
func (c *Collector) totals(summary *record.Summary) []prometheus.Metric {
	out := c.scopes(summary.Scopes)
	for _, t := range summary.Targets {
		if summary.Instances > 0 {
			out = append(out, gauge(c.unknown, float64(summary.Verdicts[t][rules.Unknown.String()])/float64(summary.Instances), label(t)))
		}
	}
	for target, questions := range summary.UnknownByQuestion {
		for check, n := range questions {
			out = append(out, gauge(c.asked, float64(n), label(target), label(check)))
		}
	}
	return append(out, gauge(c.held, float64(summary.Instances)), gauge(c.gone, float64(summary.Gone)))
}

// mostOwners bounds the series of owners, whose names are tags.
const mostOwners = 50

// standings are the metrics of what a plan makes of the verdicts that have few
// series.
func (c *Collector) standings(counted *store.Standings, ch chan<- prometheus.Metric) {
	for k, n := range counted.Waived {
		ch <- gauge(c.waived, float64(n), label(k.Target), k.Verdict)
	}
	for k, n := range counted.Confidence {
		ch <- gauge(c.confidence, float64(n), label(k.Target), k.Verdict, k.Confidence)
	}
	for k, n := range ownersOf(counted.Owners) {
		ch <- gauge(c.owned, float64(n), k.owner, k.target)
	}
}

// outcomes shows the score of moves. What may never happen is shown as 0 for each
// class, so that the first time is seen to be one.
func (c *Collector) outcomes(scores []record.MoveScore, ch chan<- prometheus.Metric) {
	type key struct{ target, verdict, result string }
	counts := map[key]float64{}
	for _, class := range rules.Classes() {
		counts[key{class, rules.Compatible.String(), string(record.MoveNotUp)}] = 0
	}
	for i := range scores {
		s := &scores[i]
		counts[key{label(s.Target), label(s.Verdict), label(string(s.Result))}] += float64(s.Instances)
	}
	for k, n := range counts {
		ch <- gauge(c.moved, n, k.target, k.verdict, k.result)
	}
}

type ownerKey struct{ owner, target string }

// ownersOf are the open instances of the largest owners and of the others.
func ownersOf(shares *record.Shares) map[ownerKey]int {
	out := map[ownerKey]int{}
	if shares == nil {
		return out
	}
	add := func(name string, share *record.Share) {
		for target, st := range share.Targets {
			out[ownerKey{label(name), label(target)}] += st.Open
		}
	}
	order := make([]*record.Share, len(shares.Largest))
	for i := range shares.Largest {
		order[i] = &shares.Largest[i]
	}
	slices.SortStableFunc(order, func(a, b *record.Share) int { return b.Instances - a.Instances })
	for i, share := range order {
		name := share.Name
		switch {
		case i >= mostOwners:
			name = other
		case name == "":
			name = "none"
		}
		add(name, share)
	}
	if shares.Rest != nil {
		add(other, shares.Rest)
	}
	return out
}

func (c *Collector) scopes(scopes []record.ScopeStatus) []prometheus.Metric {
	type key [2]string
	complete, last := map[key]float64{}, map[key]float64{}
	numbers := map[key]*record.Numbers{}
	unlisted := map[string]float64{}
	for i := range scopes {
		scopeStatus := &scopes[i]
		if scopeStatus.Account != "" {
			unlisted[label(scopeStatus.Account)] += 0
		}
		if scopeStatus.Unlisted != nil { // one alert of the account says so, and none of each region
			unlisted[label(scopeStatus.Account)]++
			continue
		}
		k := key{label(scopeStatus.Account), label(scopeStatus.Region)}
		if scopeStatus.LastEnd != nil {
			complete[k] = 0
			if scopeStatus.Completeness == record.ScopeComplete {
				complete[k] = 1
			}
		}
		if scopeStatus.Numbers != nil && (scopeStatus.Completeness == record.ScopeComplete || scopeStatus.Completeness == record.ScopePartial) {
			numbers[k] = scopeStatus.Numbers
		}
		if scopeStatus.LastComplete != nil {
			last[k] = float64(scopeStatus.LastComplete.UnixMilli()) / 1e3
		}
	}
	var out []prometheus.Metric
	for k, v := range complete {
		out = append(out, gauge(c.complete, v, k[0], k[1]))
	}
	for account, n := range unlisted {
		out = append(out, gauge(c.unlisted, n, account))
	}
	for k, v := range last {
		out = append(out, gauge(c.completed, v, k[0], k[1]))
	}
	for k, n := range numbers {
		if n.Counted != nil {
			out = append(out, gauge(c.stages, float64(*n.Counted), k[0], k[1], "counted"))
		}
		for stage, v := range map[string]int{"listed": n.Listed, "published": n.Published, "classified": n.Classified, "stored": n.Stored} {
			out = append(out, gauge(c.stages, float64(v), k[0], k[1], stage))
		}
	}
	return out
}

func (c *Collector) stats(counted *store.Stats, ch chan<- prometheus.Metric) {
	seconds, failed := map[string]float64{}, map[string]float64{}
	for account, accountStatus := range counted.Accounts {
		account = label(account)
		seconds[account] = max(seconds[account], accountStatus.Duration.Seconds())
		failed[account] += float64(accountStatus.FailedRegions)
	}
	for account, v := range seconds {
		ch <- gauge(c.duration, v, account)
		ch <- gauge(c.failed, failed[account], account)
	}
	changes := map[store.ChangeKey]float64{}
	for k, n := range counted.Changes {
		changes[store.ChangeKey{Target: label(k.Target), From: label(k.From), To: label(k.To)}] += float64(n)
	}
	for k, n := range changes {
		ch <- counter(c.changes, n, k.Target, k.From, k.To)
	}
	anew := map[string]int{"ruleset": 0, "unsound": 0}
	for i := range counted.JudgedAnew {
		reason := "ruleset"
		if counted.JudgedAnew[i].Unsound {
			reason = "unsound"
		}
		anew[reason] += counted.JudgedAnew[i].Pages
	}
	for reason, n := range anew {
		ch <- counter(c.anew, float64(n), reason)
	}
	ch <- prometheus.MustNewConstHistogram(c.commits, counted.Commits, counted.CommitSeconds, counted.CommitBuckets)
	ch <- gauge(c.size, float64(counted.Size))
	if counted.SizeLimit > 0 {
		ch <- gauge(c.limit, float64(counted.SizeLimit))
	}
	if !counted.Observed.IsZero() {
		ch <- gauge(c.observed, float64(counted.Observed.UnixMilli())/1e3)
	}
}

// maxLabel bounds a label's length in bytes.
const maxLabel = 120

// label makes a label value of a string that came from outside: one that is
// not UTF-8 would spoil the whole scrape.
func label(text string) string {
	if len(text) > maxLabel {
		text = text[:maxLabel]
	}
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
