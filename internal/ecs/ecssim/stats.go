package ecssim

import (
	"cmp"
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
	mu             sync.Mutex
	calls          map[CallCount]int
	total, refused int
	inFlight, peak int
	imageIDs       map[string]int
	imagesAsked    int
	offeredIDs     map[string]int
	offeredAsked   int
	filtered       int
	windows        map[quotaKey]*statWindow
	seconds        map[string][]Seconds
}

type statWindow struct {
	start         time.Time
	asked, served int
	peak          Peak
}

func (b *statsBox) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight++
	b.peak = max(b.peak, b.inFlight)
}

func (b *statsBox) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inFlight--
}

// images counts the ids of a DescribeImages call.
func (b *statsBox) images(account, region, ids string) {
	if ids == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.imageIDs == nil {
		b.imageIDs = map[string]int{}
	}
	for id := range strings.SplitSeq(ids, ",") {
		b.imagesAsked++
		if len(b.imageIDs) < maxStatImages {
			b.imageIDs[account+"/"+region+"/"+strings.Clone(id)]++
		}
	}
}

// offered counts a call that asks for the types of an image.
func (b *statsBox) offered(account, region, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.offeredIDs == nil {
		b.offeredIDs = map[string]int{}
	}
	b.offeredAsked++
	if len(b.offeredIDs) < maxStatImages {
		b.offeredIDs[account+"/"+region+"/"+strings.Clone(id)]++
	}
}

// record counts an answer.
func (s *Simulator) record(c *call, a *answer) {
	b, now := &s.stats, s.opt.Now()
	k := CallCount{Region: c.params.get("RegionId"), Action: c.action, Code: a.code, Status: a.status}
	if c.caller != nil {
		k.Account = c.caller.account.ID
	} else {
		k.Region, k.Action = "", "" // not signed: anybody's text, which is not kept
	}
	if s.fleet.byName[scopeName{k.Account, k.Region}] == nil {
		k.Region = ""
	}
	if a.fault != nil {
		k.Fault = a.fault.Kind
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls == nil {
		b.calls, b.windows, b.seconds = map[CallCount]int{}, map[quotaKey]*statWindow{}, map[string][]Seconds{}
	}
	b.calls[k]++
	b.total++
	if c.params.get("Filter.1.Key") != "" {
		b.filtered++
	}
	if a.throttled {
		b.refused++
	}
	if k.Account == "" || k.Action == "AssumeRole" || k.Action == "GetCallerIdentity" {
		return
	}
	b.window(quotaKey{k.Account, k.Region, k.Action}, time.Duration(s.quota.window()), now, a.throttled)
	b.second(k.Account, now.Unix(), a.throttled)
}

func (b *quotaBox) window() Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.q.Window
}

func (b *statsBox) window(k quotaKey, length time.Duration, now time.Time, throttled bool) {
	w := b.windows[k]
	if w == nil {
		w = &statWindow{peak: Peak{Account: k.account, Region: k.region, Action: k.action}}
		b.windows[k] = w
	}
	if start := now.Truncate(length); !start.Equal(w.start) {
		w.start, w.asked, w.served = start, 0, 0
	}
	w.asked++
	if !throttled {
		w.served++
	}
	w.peak.Asked, w.peak.Served = max(w.peak.Asked, w.asked), max(w.peak.Served, w.served)
}

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
	b, commands := &s.stats, s.commandStats()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := Stats{Total: b.total, Throttled: b.refused, Filtered: b.filtered, InFlight: b.inFlight, PeakInFlight: b.peak, ImagesAsked: b.imagesAsked, ImagesDistinct: len(b.imageIDs), OfferedAsked: b.offeredAsked, OfferedDistinct: len(b.offeredIDs), Calls: []CallCount{}, Peaks: []Peak{}, Seconds: map[string][]Seconds{}, Commands: commands}
	for k, n := range b.calls {
		k.Calls = n
		out.Calls = append(out.Calls, k)
	}
	slices.SortFunc(out.Calls, func(x, y CallCount) int {
		return cmp.Or(strings.Compare(x.Account, y.Account), strings.Compare(x.Region, y.Region), strings.Compare(x.Action, y.Action), strings.Compare(x.Code, y.Code), strings.Compare(x.Fault, y.Fault))
	})
	for _, n := range b.imageIDs {
		out.ImagesMostAsked = max(out.ImagesMostAsked, n)
	}
	for _, w := range b.windows {
		out.Peaks = append(out.Peaks, w.peak)
	}
	slices.SortFunc(out.Peaks, func(x, y Peak) int {
		return cmp.Or(strings.Compare(x.Account, y.Account), strings.Compare(x.Region, y.Region), strings.Compare(x.Action, y.Action))
	})
	for k, v := range b.seconds {
		out.Seconds[k] = slices.Clone(v)
	}
	return out
}

// ResetStats forgets what was counted.
func (s *Simulator) ResetStats() {
	b := &s.stats
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls, b.total, b.refused, b.filtered, b.peak, b.imageIDs, b.imagesAsked, b.offeredIDs, b.offeredAsked, b.windows, b.seconds = nil, 0, 0, 0, b.inFlight, nil, 0, nil, 0, nil, nil
}
