package ecssim

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"sync"
	"time"
)

// fleet is everything the simulator holds. Instances are not in it: instance
// i of a scope is computed from the seed and i whenever it is asked for. What
// is kept is the table of images (one slot for each distinct image of a
// scope) and what churn changed.
type fleet struct {
	data   *data
	seed   uint64
	ids    *bijection
	scopes []*scope // account-major
	byName map[scopeName]*scope
	guests guestOptions
	asked  bool // the platform answers what it is asked about images
	// wrongNames is the share of machines whose names do not tell what runs there.
	wrongNames float64
}

type scopeName struct{ account, region string }

// scope is one account in one region.
type scope struct {
	fleet   *fleet
	index   int
	account Account
	region  regionRow
	n       int // instances of the seed; churn adds behind them
	zones   []string
	slots   []*slot
	images  map[string]*slot
	frag    scopeFragments

	mu   sync.RWMutex // of what follows and of images
	born []int64      // creation minute of instance n+k
	gone []int        // sorted
	over map[int]override
}

// override is what churn changed of one instance.
type override struct {
	slot   *slot
	typ    *instanceType
	status instanceStatus // statusNone: as generated
}

// newFleet lays out the scopes and their images.
func newFleet(data *data, options Options) *fleet {
	built := &fleet{data: data, seed: options.Seed, ids: newBijection(options.Seed), byName: map[scopeName]*scope{}, guests: guestOptions{options.OfflineAgents, options.OddAnswers, options.FailedStarts}, asked: !options.NoPlatform, wrongNames: options.WrongNames}
	for _, account := range options.Keys {
		for r := range options.Regions {
			sc := &scope{fleet: built, index: len(built.scopes), account: account, region: data.regions[r], over: map[int]override{}, images: map[string]*slot{}}
			sc.zones = zonesOf(sc.region.id)
			built.scopes = append(built.scopes, sc)
			built.byName[scopeName{account.ID, sc.region.id}] = sc
		}
	}
	sizes := skewed(options.Instances, options.Accounts, options.Regions, nil)
	images := skewed(options.Images, options.Accounts, options.Regions, sizes)
	built.buildSlots(sizes, images, options.Images)
	return built
}

// skewed splits total over accounts and regions, larger first (1/rank for
// regions, 1/sqrt(rank) for accounts), every part at least one while total
// lasts and none above its limit.
func skewed(total, accounts, regions int, limit []int) []int {
	count := accounts * regions
	weight := make([]float64, count)
	sum := 0.0
	for i := range weight {
		weight[i] = 1 / float64(i%regions+1) / math.Sqrt(float64(i/regions+1))
		sum += weight[i]
	}
	out := make([]int, count)
	left := total
	for i := range out {
		if left > 0 && (limit == nil || limit[i] > 0) {
			out[i] = 1
			left--
		}
	}
	spread := left
	for i := range out {
		add := int(float64(spread) * weight[i] / sum)
		if limit != nil {
			add = min(add, limit[i]-out[i])
		}
		out[i] += max(add, 0)
		left -= max(add, 0)
	}
	for left > 0 {
		before := left
		for i := range out {
			if left > 0 && (limit == nil || out[i] < limit[i]) {
				out[i]++
				left--
			}
		}
		if left == before {
			break
		}
	}
	return out
}

// zonesOf names the zones of a region in the API's two styles.
func zonesOf(region string) []string {
	sep := ""
	if len(region) > 2 && region[:3] == "cn-" {
		sep = "-"
	}
	letters := []string{"a", "b", "c"}
	if sep != "" {
		letters = []string{"b", "g", "h", "i"}
	}
	for i, l := range letters {
		letters[i] = region + sep + l
	}
	return letters
}

// buildSlots gives every scope its images, the operating systems spread over
// the whole fleet in proportion to their weights.
func (f *fleet) buildSlots(sizes, images []int, total int) {
	drawn := f.drawKinds(total)
	at := 0
	for i, sc := range f.scopes {
		sc.n = sizes[i]
		for k := range images[i] {
			s := sc.newSlot(drawn[at], k)
			sc.slots = append(sc.slots, s)
			sc.images[s.imageID] = s
			at++
		}
		sc.buildFragments()
	}
}

// drawKinds deals out count operating systems: a stratified sample of the weights
// in random order.
func (f *fleet) drawKinds(count int) []*osKind {
	sum := 0
	for _, k := range f.data.kinds {
		sum += k.weight
	}
	out := make([]*osKind, count)
	cum, at := 0, 0
	for index := range out {
		want := (float64(index) + 0.5) / float64(count) * float64(sum)
		for float64(cum+f.data.kinds[at].weight) < want {
			cum += f.data.kinds[at].weight
			at++
		}
		out[index] = f.data.kinds[at]
	}
	type keyed struct {
		key uint64
		k   *osKind
	}
	order := make([]keyed, count)
	for i, k := range out {
		order[i] = keyed{hash(f.seed, 'd', uint64(i)), k}
	}
	slices.SortFunc(order, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	for i := range order {
		out[i] = order[i].k
	}
	return out
}

// Epoch of the fleet: instances of the seed were created in this span.
var (
	fleetStart = time.Date(2013, 6, 1, 0, 0, 0, 0, time.UTC).Unix() / 60
	fleetEnd   = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC).Unix() / 60
)

// perLaunch is how many neighbouring instances were launched together and
// share their creation minute.
const perLaunch = 4

// minute is the creation minute (since 1970) of instance i; it never falls as
// i rises. The caller holds mu when i is a born instance.
func (sc *scope) minute(i int) int64 {
	if i >= sc.n {
		return sc.born[i-sc.n]
	}
	launches := int64((sc.n + perLaunch - 1) / perLaunch)
	l := int64(i / perLaunch)
	span := fleetEnd - fleetStart
	from, to := l*span/launches, (l+1)*span/launches
	m := fleetStart + from
	if to > from {
		m += int64(hash(sc.fleet.seed, 't', uint64(sc.index), uint64(l)) % uint64(to-from))
	}
	return m
}

// count is the number of indexes in use, gone ones included.
func (sc *scope) count() int { return sc.n + len(sc.born) }

// firstAt is the first index created at or after minute m.
func (sc *scope) firstAt(m int64) int {
	return sort.Search(sc.count(), func(i int) bool { return sc.minute(i) >= m })
}

// isGone says whether instance i was released.
func (sc *scope) isGone(i int) bool {
	_, ok := slices.BinarySearch(sc.gone, i)
	return ok
}

// goneBetween counts released instances of [from,to).
func (sc *scope) goneBetween(from, to int) int {
	a, _ := slices.BinarySearch(sc.gone, from)
	b, _ := slices.BinarySearch(sc.gone, to)
	return b - a
}
