// Package exporter shows the store's totals to Prometheus. It exports counts
// and times, never an instance: labels are accounts, regions, targets,
// verdicts, waves, the largest owners, and OS families and versions, each of
// which is bounded in number. Figures are those of the last published snapshot;
// a scrape reads of the store's file which scans run, and nothing else, so that
// it makes no commit wait.
package exporter

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

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

// The metrics that have few series.
var (
	waivedInstances    = desc("waived_instances", "Instances whose verdict for the target is waived, by what it was.", "target", "verdict")
	confidences        = desc("confidence_instances", "Instances by verdict for a target and how firmly it is carried.", "target", "verdict", "confidence")
	unknownInstances   = desc("unknown_instances", "Instances whose verdict for the target is unknown, by the cheapest check that settles it.", "target", "question")
	ownerOpen          = desc("owner_open_instances", "Instances of the owner that still needed work before the target when progress was last counted; the fifty owners with most instances, the others together.", "owner", "target")
	movedInstances     = desc("moved_instances", "Instances that were seen to have moved to the class, by what was said of it before and how it went.", "target", "verdict", "result")
	scanLastCompletion = desc("scan_last_completion_timestamp_seconds", "When the last complete scan of the scope ended.", "account", "region")
	scanComplete       = desc("scan_complete", "Whether the last scan of the scope was whole.", "account", "region")
	scanInstances      = desc("scan_instances", "Instances that each stage of the last ended scan of the scope had in hand; where they differ, it is not complete.", "account", "region", "stage")
	unlistedScopes     = desc("unlisted_scopes", "Regions of the account that are not named any more by those who list them, or whose account is not; what is known of them is from before, until somebody settles it.", "account")
	scanDuration       = desc("scan_duration_seconds", "How long the last ended scan of the account took.", "account")
	scanFailedRegions  = desc("scan_failed_regions", "Regions that the last ended scan of the account could not read, or not to the end.", "account")
	verdictChanges     = desc("verdict_changes_total", "Verdicts that changed, since this process started.", "target", "from", "to")
	commitDuration     = desc("store_commit_duration_seconds", "Time that commits to the store took, sync to disk included.")
	storeSize          = desc("store_size_bytes", "Size of the store's file.")
	storeSizeLimit     = desc("store_size_limit_bytes", "Size that the store's file may grow to, by its limit or by what the disk has left.")
	storeInstances     = desc("store_instances", "Instances in the store, those that are gone not counted.")
	storeGone          = desc("store_gone_instances", "Instances that complete scans no longer found and that are still remembered.")
	unknownRatio       = desc("unknown_ratio", "Part of the instances whose verdict for the target is unknown.", "target")
	lastObservation    = desc("store_last_observation_timestamp_seconds", "Broker time of the newest result in the store.")
	scansInProgress    = desc("scans_in_progress", "Scans that run now; rescans are not counted.")
	scanRegions        = desc("scan_regions", "Regions of the account in the scans that run now, by how they stand.", "account", "state")
	scanPlanning       = desc("scan_account_planning", "1 while a scan that runs waits to hear which regions the account has; absent while none does.", "account")
	caughtUp           = desc("caught_up", "Whether the store holds all that the results stream held when this process started.")
	pagesJudgedAnew    = desc("pages_judged_anew_total", "Pages that the store judged by its own rule set although a worker had judged them, since this process started: by another rule set or for other targets, or not as a rule set can.", "reason")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("shenscan_"+name, help, labels, nil)
}

// Collector makes metrics of the figures of a store; Handler shows them.
type Collector struct {
	o   Options
	src Source

	mu                       sync.Mutex
	of                       *record.Summary  // that instances and legacy were made from
	standing                 *store.Standings // that waves was made from
	instances, legacy, waves *dto.MetricFamily
}

// New returns a Collector over src.
func New(src Source, options Options) *Collector {
	if options.MaxSeries <= 0 {
		options.MaxSeries = DefaultOptions().MaxSeries
	}
	return &Collector{o: options, src: src}
}

// scrape is a prometheus.Collector of everything but the counts of the fleet, which
// are many, at one moment.
type scrape struct {
	*Collector
	figures *store.Figures
}

var _ prometheus.Collector = scrape{}

// Describe implements prometheus.Collector. It names none: which there are depends on
// what is known, and a scrape has a registry of its own.
func (scrape) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c scrape) Collect(ch chan<- prometheus.Metric) {
	totals(c.figures.Summary, ch)
	standings(c.figures.Standings, ch)
	outcomes(c.figures.Outcomes, ch)
	stats(&c.figures.Stats, ch)
	if c.o.Running != nil {
		c.inProgress(ch)
	}
	if c.o.CaughtUp != nil {
		held := 0.0
		if c.o.CaughtUp() {
			held = 1
		}
		ch <- gauge(caughtUp, held)
	}
}

// inProgress shows how far the scans that run are with each account.
func (c *Collector) inProgress(ch chan<- prometheus.Metric) {
	list, err := c.o.Running()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(scansInProgress, err)
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
	ch <- gauge(scansInProgress, float64(n))
	for k, v := range regions {
		ch <- gauge(scanRegions, v, k[0], k[1])
	}
	for account, waits := range planning {
		if waits {
			ch <- gauge(scanPlanning, 1, account)
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
func totals(summary *record.Summary, ch chan<- prometheus.Metric) {
	scopes(summary.Scopes, ch)
	for _, t := range summary.Targets {
		if summary.Instances > 0 {
			ch <- gauge(unknownRatio, float64(summary.Verdicts[t][rules.Unknown.String()])/float64(summary.Instances), label(t))
		}
	}
	for target, questions := range summary.UnknownByQuestion {
		for check, n := range questions {
			ch <- gauge(unknownInstances, float64(n), label(target), label(check))
		}
	}
	for target, verdicts := range summary.Confidence {
		for verdict, sure := range verdicts {
			for confidence, n := range sure {
				if n > 0 {
					ch <- gauge(confidences, float64(n), label(target), verdict, confidence)
				}
			}
		}
	}
	ch <- gauge(storeInstances, float64(summary.Instances))
	ch <- gauge(storeGone, float64(summary.Gone))
}

// mostOwners bounds the series of owners, whose names are tags.
const mostOwners = 50

// standings are the metrics of what a plan makes of the verdicts that have few
// series.
func standings(counted *store.Standings, ch chan<- prometheus.Metric) {
	for k, n := range counted.Waived {
		ch <- gauge(waivedInstances, float64(n), label(k.Target), k.Verdict)
	}
	for k, n := range ownersOf(counted.Owners) {
		ch <- gauge(ownerOpen, float64(n), k.owner, k.target)
	}
}

// outcomes shows the score of moves. What may never happen is shown as 0 for each
// class, so that the first time is seen to be one.
func outcomes(scores []record.MoveScore, ch chan<- prometheus.Metric) {
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
		ch <- gauge(movedInstances, n, k.target, k.verdict, k.result)
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

func scopes(scopes []record.ScopeStatus, ch chan<- prometheus.Metric) {
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
		k := key{label(cmp.Or(scopeStatus.Account, scopeStatus.AccountName, unidentified)), label(scopeStatus.Region)}
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
	for k, v := range complete {
		ch <- gauge(scanComplete, v, k[0], k[1])
	}
	for account, n := range unlisted {
		ch <- gauge(unlistedScopes, n, account)
	}
	for k, v := range last {
		ch <- gauge(scanLastCompletion, v, k[0], k[1])
	}
	for k, n := range numbers {
		if n.Counted != nil {
			ch <- gauge(scanInstances, float64(*n.Counted), k[0], k[1], "counted")
		}
		for stage, v := range map[string]int{"listed": n.Listed, "published": n.Published, "classified": n.Classified, "stored": n.Stored} {
			ch <- gauge(scanInstances, float64(v), k[0], k[1], stage)
		}
	}
}

func stats(counted *store.Stats, ch chan<- prometheus.Metric) {
	seconds, failed := map[string]float64{}, map[string]float64{}
	for account, accountStatus := range counted.Accounts {
		account = label(account)
		seconds[account] = max(seconds[account], accountStatus.Duration.Seconds())
		failed[account] += float64(accountStatus.FailedRegions)
	}
	for account, v := range seconds {
		ch <- gauge(scanDuration, v, account)
		ch <- gauge(scanFailedRegions, failed[account], account)
	}
	changes := map[store.ChangeKey]float64{}
	for k, n := range counted.Changes {
		changes[store.ChangeKey{Target: label(k.Target), From: label(k.From), To: label(k.To)}] += float64(n)
	}
	for k, n := range changes {
		ch <- counter(verdictChanges, n, k.Target, k.From, k.To)
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
		ch <- counter(pagesJudgedAnew, float64(n), reason)
	}
	ch <- prometheus.MustNewConstHistogram(commitDuration, counted.Commits, counted.CommitSeconds, counted.CommitBuckets)
	ch <- gauge(storeSize, float64(counted.Size))
	if counted.SizeLimit > 0 {
		ch <- gauge(storeSizeLimit, float64(counted.SizeLimit))
	}
	if !counted.Observed.IsZero() {
		ch <- gauge(lastObservation, float64(counted.Observed.UnixMilli())/1e3)
	}
}

// unidentified is the account of what failed before it was known of which account, and
// which has no name either, such as a list of accounts. Without a series of its own an
// account that was never identified would be missing from what is counted and alerted on.
const unidentified = "unknown"

// maxLabel bounds a label's length in bytes.
const maxLabel = 120

// label makes a label value of a string that came from outside: one that is
// not UTF-8 would spoil the whole scrape.
func label(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxLabel)], "\uFFFD")
}
