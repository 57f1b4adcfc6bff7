package simtest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// dice draws by name: the n-th question of the same name has the same answer
// in every run of a seed.
type dice struct {
	seed  uint64
	mu    sync.Mutex
	asked map[string]int
	off   bool
}

func newDice(seed uint64) *dice { return &dice{seed: seed, asked: map[string]int{}} }

// roll returns a generator for the next question of that name.
func (d *dice) roll(name string) *rand.Rand {
	d.mu.Lock()
	n := d.asked[name]
	d.asked[name]++
	d.mu.Unlock()
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s/%d", d.seed, name, n)
	return rand.New(rand.NewPCG(h.Sum64(), d.seed))
}

// quiet ends every fault.
func (d *dice) quiet() { d.mu.Lock(); d.off = true; d.mu.Unlock() }

// loud begins them again.
func (d *dice) loud() { d.mu.Lock(); d.off = false; d.mu.Unlock() }

// strikes reports whether a fault with that chance happens.
func (d *dice) strikes(r *rand.Rand, chance float64) bool {
	hit := r.Float64() < chance
	d.mu.Lock()
	defer d.mu.Unlock()
	return hit && !d.off
}

// fleet is a cloud in memory that pages like the API and fails as the dice say.
type fleet struct {
	dice   *dice
	mu     sync.Mutex
	scopes map[ecs.Scope][]ecs.Instance // sorted by id
	images map[string]*rules.ImageFacts
	gone   map[string]bool
	next   int
	// forgetful leaves one instance out of each page.
	forgetful bool
	// hidden are neither listed nor counted, and answer when they are asked for
	// by id: what a chain that is cut short looks like.
	hidden map[string]bool
}

var operatingSystems = []struct{ en, typ string }{
	{"CentOS  5.8 64 bit", "linux"},
	{"CentOS  7.9 64 bit", "linux"},
	{"Ubuntu  22.04 64 bit", "linux"},
	{"Windows Server 2008 R2 Enterprise Edition 64bit English", "windows"},
	{"Debian  7.5 64 bit", "linux"},
	{"Alibaba Cloud Linux  3.2104 LTS 64 bit", "linux"},
}

var instanceTypes = []struct{ typ, family string }{
	{"ecs.s1.small", "ecs.s1"}, {"ecs.g5.large", "ecs.g5"}, {"ecs.g6.large", "ecs.g6"}, {"ecs.g7.large", "ecs.g7"}, {"ecs.n1.small", "ecs.n1"},
}

func newFleet(d *dice) *fleet {
	f := &fleet{dice: d, scopes: map[ecs.Scope][]ecs.Instance{}, images: map[string]*rules.ImageFacts{}, gone: map[string]bool{}}
	r := d.roll("fleet")
	for account := range 1 + r.IntN(2) {
		for region := range 1 + r.IntN(3) {
			s := ecs.Scope{Account: fmt.Sprintf("10000000000000%02d", account), Region: fmt.Sprintf("cn-%d", region)}
			for range r.IntN(500) {
				f.add(s, r)
			}
			if f.scopes[s] == nil {
				f.scopes[s] = []ecs.Instance{}
			}
		}
	}
	return f
}

// add makes one instance. Ids grow, so the list stays sorted.
func (f *fleet) add(s ecs.Scope, r *rand.Rand) {
	f.next++
	typ := instanceTypes[r.IntN(len(instanceTypes))]
	created := time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(10*365*24*60)) * time.Minute)
	x := ecs.Instance{
		ID: fmt.Sprintf("i-sim%08d", f.next), Name: fmt.Sprintf("host-%d", f.next), Type: typ.typ, Family: typ.family,
		Status: []string{"Running", "Stopped"}[r.IntN(2)], Zone: s.Region + "-a", CreationTime: created.Format("2006-01-02T15:04Z"),
		NetworkType: "vpc", IoOptimized: rules.Yes, CPU: 2, MemoryMiB: 4096, Tags: []ecs.Tag{{Key: "n", Value: fmt.Sprint(f.next % 7)}},
	}
	f.install(&x, r)
	f.scopes[s] = append(f.scopes[s], x)
}

// install gives an instance an operating system.
func (f *fleet) install(x *ecs.Instance, r *rand.Rand) {
	n := r.IntN(len(operatingSystems))
	os := operatingSystems[n]
	x.OSNameEn, x.OSName, x.OSType = os.en, os.en, os.typ
	x.ImageID = fmt.Sprintf("m-sim%d-%d", r.IntN(3), n)
	f.images[x.ImageID] = &rules.ImageFacts{
		Presence: rules.ImageFound, Name: x.ImageID, OSName: os.en, OSNameEn: os.en, OSType: os.typ, Architecture: "x86_64",
		Owner: "self", Status: "Available", IoOptimized: rules.Yes, CheckVirtio: rules.Yes,
	}
}

// change gives some instances another system, releases some and makes some.
func (f *fleet) change(r *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.keys() {
		list := f.scopes[s]
		f.scopes[s] = slices.DeleteFunc(list, func(x ecs.Instance) bool {
			if r.IntN(30) == 0 {
				f.gone[x.ID] = true
				return true
			}
			return false
		})
		for i := range f.scopes[s] {
			if r.IntN(12) == 0 {
				f.install(&f.scopes[s][i], r)
			}
		}
		for range r.IntN(8) {
			f.add(s, r)
		}
	}
}

func (f *fleet) keys() []ecs.Scope {
	var out []ecs.Scope
	for s := range f.scopes {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b ecs.Scope) int { return compare(a.String(), b.String()) })
	return out
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (f *fleet) accounts() []string {
	var out []string
	for _, s := range f.keys() {
		if !slices.Contains(out, s.Account) {
			out = append(out, s.Account)
		}
	}
	return out
}

// Accounts implements producer.Accounts.
func (f *fleet) Accounts(context.Context) ([]ecs.Account, error) {
	var out []ecs.Account
	for _, id := range f.accounts() {
		out = append(out, ecs.Account{ID: id, Name: id})
	}
	return out, nil
}

// call takes its time and fails as the dice say.
func (f *fleet) call(ctx context.Context, action string, s ecs.Scope, what string) error {
	r := f.dice.roll("call/" + action + "/" + s.String() + "/" + what)
	wait := 5*time.Millisecond + time.Duration(r.Int64N(int64(250*time.Millisecond)))
	if f.dice.strikes(r, 0.01) {
		wait += time.Duration(r.Int64N(int64(80 * time.Second)))
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	fail := func(c ecs.Class) error {
		return &ecs.Error{Action: action, Scope: s, Class: c, Code: "Simulated", Err: errors.New("the dice say so")}
	}
	switch {
	case action == "DescribeInstances" && what != "" && f.dice.strikes(r, 0.01):
		return fail(ecs.TokenExpired)
	case f.dice.strikes(r, 0.004):
		return fail(ecs.Throttled)
	case f.dice.strikes(r, 0.002):
		return fail(ecs.Transient)
	case f.dice.strikes(r, 0.002):
		return fail(ecs.BadAnswer)
	}
	return nil
}

// Regions implements ecs.API.
func (f *fleet) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	if err := f.call(ctx, "DescribeRegions", ecs.Scope{Account: account}, ""); err != nil {
		return nil, err
	}
	var out []ecs.Region
	for _, s := range f.keys() {
		if s.Account == account {
			out = append(out, ecs.Region{ID: s.Region})
		}
	}
	return out, nil
}

// matches is inclusive at both ends, as the API may be.
func matches(x *ecs.Instance, q ecs.Query) bool {
	if len(q.InstanceIDs) > 0 {
		return slices.Contains(q.InstanceIDs, x.ID)
	}
	t, err := time.Parse("2006-01-02T15:04Z", x.CreationTime)
	return err == nil && (q.CreatedFrom.IsZero() || !t.Before(q.CreatedFrom)) && (q.CreatedTo.IsZero() || !t.After(q.CreatedTo))
}

const pageSize = 25

// Instances implements ecs.API. The token is the last id seen: a page is what
// is there when it is asked for.
func (f *fleet) Instances(ctx context.Context, s ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	if err := f.call(ctx, "DescribeInstances", s, q.NextToken); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	page := &ecs.Page{Asked: time.Now()}
	for _, x := range f.scopes[s] {
		if !matches(&x, q) || x.ID <= q.NextToken || f.hidden[x.ID] && len(q.InstanceIDs) == 0 {
			continue
		}
		if len(page.Instances) == pageSize && len(q.InstanceIDs) == 0 {
			page.NextToken = page.Instances[pageSize-1].ID
			break
		}
		page.Instances = append(page.Instances, x)
	}
	if f.forgetful && len(page.Instances) > 0 {
		page.Instances = page.Instances[1:]
	}
	return page, nil
}

// CountInstances implements ecs.API.
func (f *fleet) CountInstances(ctx context.Context, s ecs.Scope, q ecs.Query) (int, error) {
	if err := f.call(ctx, "CountInstances", s, ""); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for i := range f.scopes[s] {
		if matches(&f.scopes[s][i], q) && !f.hidden[f.scopes[s][i].ID] {
			n++
		}
	}
	return n, nil
}

// VerifyAccess implements ecs.API.
func (f *fleet) VerifyAccess(ctx context.Context, s ecs.Scope) error {
	return f.call(ctx, "VerifyAccess", s, "")
}

// Images implements ecs.API.
func (f *fleet) Images(ctx context.Context, s ecs.Scope, ids []string) ([]ecs.Image, error) {
	if err := f.call(ctx, "DescribeImages", s, ""); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []ecs.Image
	for _, id := range ids {
		facts, ok := f.images[id]
		if !ok {
			facts = &rules.ImageFacts{Presence: rules.ImageMissing}
		}
		out = append(out, ecs.Image{ID: id, Facts: *facts})
	}
	return out, nil
}

// InstanceTypes implements ecs.API.
func (f *fleet) InstanceTypes(context.Context, string) ([]ecs.InstanceType, error) { return nil, nil }

// Stock implements ecs.API.
func (f *fleet) Stock(context.Context, ecs.Scope, ecs.StockQuery) ([]ecs.ZoneStock, error) {
	return nil, nil
}
