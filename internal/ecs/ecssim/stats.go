package ecssim

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Stats is what GET /_sim/stats answers.
type Stats struct {
	Calls           []CallCount          `json:"calls"` // by account, region, action and code
	Total           int                  `json:"total"`
	Throttled       int                  `json:"throttled"`
	Filtered        int                  `json:"filtered"` // DescribeInstances calls with creation-time filters
	InFlight        int                  `json:"in_flight"`
	PeakInFlight    int                  `json:"peak_in_flight"`
	ImagesAsked     int                  `json:"images_asked"`      // ids in DescribeImages calls
	ImagesDistinct  int                  `json:"images_distinct"`   // distinct account, region and id
	ImagesMostAsked int                  `json:"images_most_asked"` // how often the most asked one was
	OfferedAsked    int                  `json:"offered_asked"`     // calls that ask for the types of an image
	OfferedDistinct int                  `json:"offered_distinct"`  // distinct account, region and image of them
	Peaks           []Peak               `json:"peaks"`             // busiest window of every account, region and action
	Seconds         map[string][]Seconds `json:"seconds"`           // by account: calls of every second, STS apart
	Commands        CommandStats         `json:"commands"`          // what was asked of the guests; not reset
}

// CallCount is how often a call had one outcome. Code is "" for success.
type CallCount struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	Action  string `json:"action"`
	Code    string `json:"code"`
	Status  int    `json:"status"`
	Fault   string `json:"fault,omitempty"`
	Calls   int    `json:"calls"`
}

// Peak is the busiest window of one account, region and action.
type Peak struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	Action  string `json:"action"`
	Asked   int    `json:"asked"`  // calls, throttled ones included
	Served  int    `json:"served"` // calls, throttled ones apart
}

// Seconds are the calls of one account in one second.
type Seconds struct {
	At        int64 `json:"at"` // Unix seconds
	Asked     int   `json:"asked"`
	Throttled int   `json:"throttled"`
}

// Bounds of what is remembered.
const (
	maxStatImages  = 1 << 20
	maxStatSeconds = 7200
)

// statsBox counts.
type statsBox struct {
	mu       sync.Mutex
	inFlight int
	counted
}

// counted is what ResetStats forgets.
type counted struct {
	calls                          map[CallCount]int
	total, refused, peak, filtered int
	images, offered                asked
	windows                        map[quotaKey]*quotaWindow
	peaks                          map[quotaKey]Peak
	seconds                        map[string][]Seconds
}

// asked counts what is asked for by id: how often, and how often each. The ids are
// kept, so they are counted up to maxStatImages alone.
type asked struct {
	total int
	byID  map[string]int
}

// ask counts ids, which are joined by commas.
func (b *statsBox) ask(of *asked, account, region, ids string) {
	if ids == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range strings.SplitSeq(ids, ",") {
		of.total++
		if len(of.byID) < maxStatImages {
			of.byID[account+"/"+region+"/"+id]++
		}
	}
}

// flying counts the calls that are being answered.
func (b *statsBox) flying(change int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight += change
	b.peak = max(b.peak, b.inFlight)
}

// record counts an answer.
func (s *Simulator) record(call *call, answer *answer) {
	statsBox, now := &s.stats, s.opt.Now()
	callCount := CallCount{Region: call.params.get("RegionId"), Action: call.action, Code: answer.code, Status: answer.status}
	if call.caller != nil {
		callCount.Account = call.caller.account.ID
	} else {
		callCount.Region, callCount.Action = "", "" // not signed: anybody's text, which is not kept
	}
	if s.fleet.byName[scopeName{callCount.Account, callCount.Region}] == nil {
		callCount.Region = ""
	}
	if answer.fault != nil {
		callCount.Fault = answer.fault.Kind
	}
	statsBox.mu.Lock()
	defer statsBox.mu.Unlock()
	statsBox.calls[callCount]++
	statsBox.total++
	if call.params.get("Filter.1.Key") != "" {
		statsBox.filtered++
	}
	if answer.throttled {
		statsBox.refused++
	}
	if callCount.Account == "" || callCount.Action == "AssumeRole" || callCount.Action == "GetCallerIdentity" {
		return
	}
	key := quotaKey{callCount.Account, callCount.Region, callCount.Action}
	current, peak := window(statsBox.windows, key, s.quota.window(), now), statsBox.peaks[key]
	current.asked++
	if !answer.throttled {
		current.served++
	}
	statsBox.peaks[key] = Peak{key.account, key.region, key.action, max(peak.Asked, current.asked), max(peak.Served, current.served)}
	statsBox.second(callCount.Account, now.Unix(), answer.throttled)
}

func (b *quotaBox) window() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Duration(b.q.Window)
}

// second counts a request in the second, of an account, in which it came. Only
// the last maxStatSeconds of them are kept.
func (b *statsBox) second(account string, at int64, throttled bool) {
	list := b.seconds[account]
	if n := len(list); n == 0 || list[n-1].At < at {
		list = append(list, Seconds{At: at})
	}
	if len(list) > maxStatSeconds {
		list = slices.Delete(list, 0, len(list)-maxStatSeconds)
	}
	last := &list[len(list)-1]
	last.Asked++
	if throttled {
		last.Throttled++
	}
	b.seconds[account] = list
}

// Stats returns what was counted so far.
func (s *Simulator) Stats() Stats {
	statsBox, commands := &s.stats, s.commandStats()
	statsBox.mu.Lock()
	defer statsBox.mu.Unlock()
	out := Stats{Total: statsBox.total, Throttled: statsBox.refused, Filtered: statsBox.filtered, InFlight: statsBox.inFlight, PeakInFlight: statsBox.peak, ImagesAsked: statsBox.images.total, ImagesDistinct: len(statsBox.images.byID), OfferedAsked: statsBox.offered.total, OfferedDistinct: len(statsBox.offered.byID), Calls: []CallCount{}, Peaks: []Peak{}, Seconds: map[string][]Seconds{}, Commands: commands}
	for k, n := range statsBox.calls {
		k.Calls = n
		out.Calls = append(out.Calls, k)
	}
	slices.SortFunc(out.Calls, func(x, y CallCount) int {
		return cmp.Or(strings.Compare(x.Account, y.Account), strings.Compare(x.Region, y.Region), strings.Compare(x.Action, y.Action), strings.Compare(x.Code, y.Code), strings.Compare(x.Fault, y.Fault))
	})
	for _, n := range statsBox.images.byID {
		out.ImagesMostAsked = max(out.ImagesMostAsked, n)
	}
	out.Peaks = slices.AppendSeq(out.Peaks, maps.Values(statsBox.peaks))
	slices.SortFunc(out.Peaks, func(x, y Peak) int {
		return cmp.Or(strings.Compare(x.Account, y.Account), strings.Compare(x.Region, y.Region), strings.Compare(x.Action, y.Action))
	})
	for k, v := range statsBox.seconds {
		out.Seconds[k] = slices.Clone(v)
	}
	return out
}

// ResetStats forgets what was counted.
func (s *Simulator) ResetStats() {
	statsBox := &s.stats
	statsBox.mu.Lock()
	defer statsBox.mu.Unlock()
	statsBox.counted = counted{
		calls: map[CallCount]int{}, windows: map[quotaKey]*quotaWindow{}, peaks: map[quotaKey]Peak{}, seconds: map[string][]Seconds{}, peak: statsBox.inFlight,
		images: asked{byID: map[string]int{}}, offered: asked{byID: map[string]int{}},
	}
}
