package ecssim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Churn errors.
var (
	// ErrNoInstance is returned for an id that names no live instance.
	ErrNoInstance = errors.New("ecssim: no such instance")
	// ErrNoLabel is returned for a change whose truth would not be known.
	ErrNoLabel = errors.New("ecssim: no label for it")
)

// Change is what may be changed of one instance. The empty value of a field
// leaves it alone. The truth follows every change.
type Change struct {
	// ImageID is an image of the same account and region, or with OS or OSName
	// a new one.
	ImageID string `json:"image_id,omitempty"`
	// OS is a family and version of the data file, "centos 7.9" or
	// "sles 11 3"; a new custom image of it is made.
	OS string `json:"os,omitempty"`
	// OSName is an OSName or OSNameEn of the data file; the same.
	OSName       string `json:"os_name,omitempty"`
	InstanceType string `json:"instance_type,omitempty"`
	Status       string `json:"status,omitempty"`
	Gone         bool   `json:"gone,omitempty"`
}

// Apply changes one instance.
func (s *Simulator) Apply(id string, c Change) error {
	sc, i, ok := s.fleet.locate(id)
	if !ok {
		return fmt.Errorf("%w: %s", ErrNoInstance, id)
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if !sc.live(i) {
		return fmt.Errorf("%w: %s", ErrNoInstance, id)
	}
	o := sc.over[i]
	if err := sc.overrideImage(&o, i, c); err != nil {
		return err
	}
	if c.InstanceType != "" {
		if o.typ = s.fleet.data.byType[c.InstanceType]; o.typ == nil {
			return fmt.Errorf("%w: instance type %s is not in the catalogue", ErrNoLabel, c.InstanceType)
		}
	}
	if c.Status != "" {
		st, ok := parseStatus(c.Status)
		if !ok {
			return fmt.Errorf("%w: status %q", ErrOptions, c.Status)
		}
		o.status = st
	}
	sc.over[i] = o
	if c.Gone {
		sc.release(i)
	}
	return nil
}

// overrideImage finds or makes the image that the change names.
func (sc *scope) overrideImage(o *override, i int, c Change) error {
	if c.OS == "" && c.OSName == "" {
		if c.ImageID == "" {
			return nil
		}
		if o.slot = sc.images[c.ImageID]; o.slot == nil {
			return fmt.Errorf("%w: image %s is not in %s; give os or os_name to make it", ErrNoLabel, c.ImageID, sc.region.id)
		}
		return nil
	}
	kind := sc.fleet.data.kindOf(c)
	if kind == nil {
		return fmt.Errorf("%w: operating system %q %q is not in the data file", ErrNoLabel, c.OS, c.OSName)
	}
	s := sc.customSlot(kind, hash(sc.fleet.seed, 'o', uint64(sc.index), uint64(i), hashString(c.OS+c.OSName)))
	if c.ImageID != "" {
		s.imageID = c.ImageID
	}
	if old := sc.images[s.imageID]; old != nil && old.kind != kind {
		return fmt.Errorf("%w: image %s is of %s %s already", ErrNoLabel, s.imageID, old.kind.family, old.kind.version)
	}
	s.render()
	sc.images[s.imageID] = s
	o.slot = s
	return nil
}

// kindOf finds the row that a change names; rows without flags come first.
func (d *data) kindOf(c Change) *osKind {
	var flagged *osKind
	for _, k := range d.kinds {
		name := strings.TrimSpace(k.family + " " + k.version)
		match := c.OSName != "" && (c.OSName == k.osName || c.OSName == k.osNameEn) ||
			c.OS != "" && (c.OS == name || c.OS == name+" "+k.servicePack)
		if !match || k.flags[flagMissing] {
			continue
		}
		if k.flags[""] {
			return k
		}
		if flagged == nil {
			flagged = k
		}
	}
	return flagged
}

// release marks instance i as gone. The caller holds mu.
func (sc *scope) release(i int) {
	if at, found := slices.BinarySearch(sc.gone, i); !found {
		sc.gone = slices.Insert(sc.gone, at, i)
	}
}

// ChurnPlan says how many instances something happens to. The empty Account
// and Region mean all.
type ChurnPlan struct {
	Account  string `json:"account,omitempty"`
	Region   string `json:"region,omitempty"`
	Born     int    `json:"born,omitempty"`
	Gone     int    `json:"gone,omitempty"`
	Stopped  int    `json:"stopped,omitempty"`
	Started  int    `json:"started,omitempty"`
	Reimaged int    `json:"reimaged,omitempty"` // system disk replaced by another image
	Retyped  int    `json:"retyped,omitempty"`  // another type of the same class
}

// ChurnReport names the instances that something happened to.
type ChurnReport struct {
	Born     []string `json:"born"`
	Gone     []string `json:"gone"`
	Stopped  []string `json:"stopped"`
	Started  []string `json:"started"`
	Reimaged []string `json:"reimaged"`
	Retyped  []string `json:"retyped"`
}

// maxChurn bounds one plan.
const maxChurn = 1_000_000

// Churn lets the plan happen to instances chosen by the seed. Fewer than asked
// are changed where there are not enough.
func (s *Simulator) Churn(p ChurnPlan) (*ChurnReport, error) {
	for _, n := range []int{p.Born, p.Gone, p.Stopped, p.Started, p.Reimaged, p.Retyped} {
		if n < 0 || n > maxChurn {
			return nil, fmt.Errorf("%w: churn of %d instances", ErrOptions, n)
		}
	}
	var scopes []*scope
	for _, sc := range s.fleet.scopes {
		if (p.Account == "" || p.Account == sc.account.ID) && (p.Region == "" || p.Region == sc.region.id) {
			scopes = append(scopes, sc)
		}
	}
	if len(scopes) == 0 {
		return nil, fmt.Errorf("%w: no account %q with region %q", ErrOptions, p.Account, p.Region)
	}
	r := &ChurnReport{}
	r.Gone = s.strike(scopes, p.Gone, func(sc *scope, in *instance) bool { sc.release(in.i); return true })
	r.Stopped = s.strike(scopes, p.Stopped, func(sc *scope, in *instance) bool { return sc.restate(in, statusRunning, statusStopped) })
	r.Started = s.strike(scopes, p.Started, func(sc *scope, in *instance) bool { return sc.restate(in, statusStopped, statusRunning) })
	r.Reimaged = s.strike(scopes, p.Reimaged, func(sc *scope, in *instance) bool { return sc.reimage(in, s.serial.Add(1)) })
	r.Retyped = s.strike(scopes, p.Retyped, func(sc *scope, in *instance) bool { return sc.retype(in, s.serial.Add(1)) })
	r.Born = s.bear(scopes, p.Born)
	return r, nil
}

// bear creates instances now, round the scopes that have images.
func (s *Simulator) bear(scopes []*scope, n int) []string {
	out := []string{}
	now := s.opt.Now().Unix() / 60
	for k := range n {
		sc := scopes[k%len(scopes)]
		sc.mu.Lock()
		if len(sc.slots) > 0 {
			last := fleetEnd
			if len(sc.born) > 0 {
				last = sc.born[len(sc.born)-1]
			}
			sc.born = append(sc.born, max(now, last))
			out = append(out, string(sc.appendID(nil, sc.count()-1)))
		}
		sc.mu.Unlock()
	}
	return out
}

// strike calls fn on live instances until it said yes n times; it gives up
// when most tries find nothing.
func (s *Simulator) strike(scopes []*scope, n int, fn func(*scope, *instance) bool) []string {
	out := []string{}
	for tries := 0; len(out) < n && tries < 20*n+100; tries++ {
		r := hash(s.fleet.seed, 'c', s.serial.Add(1))
		sc := scopes[r%uint64(len(scopes))]
		sc.mu.Lock()
		if c := sc.count(); c > 0 {
			if i := int(mix(r) % uint64(c)); sc.live(i) {
				in := sc.at(i)
				if fn(sc, &in) {
					out = append(out, in.id(sc))
				}
			}
		}
		sc.mu.Unlock()
	}
	return out
}

func (sc *scope) restate(in *instance, from, to instanceStatus) bool {
	if in.status != from || (to == statusStopped && (in.slot.kind.flags[flagRunOnly] || in.slot.kind.arch == "arm64")) {
		return false
	}
	o := sc.over[in.i]
	o.status = to
	sc.over[in.i] = o
	return true
}

// reimage replaces the image by another one that goes on the same machines.
func (sc *scope) reimage(in *instance, r uint64) bool {
	to := sc.slots[mix(r)%uint64(len(sc.slots))]
	k := to.kind
	if to.imageID == in.slot.imageID || !k.flags[""] || k.hosts != in.slot.kind.hosts || k.arch != in.slot.kind.arch {
		return false
	}
	o := sc.over[in.i]
	o.slot = to
	sc.over[in.i] = o
	return true
}

// retype moves the instance to another type of its pool.
func (sc *scope) retype(in *instance, r uint64) bool {
	to := sc.fleet.data.pools[in.typ.pool]
	if to == nil || in.typ.pool == "byio" {
		return false
	}
	t := to.pick(mix(r))
	if t == in.typ {
		return false
	}
	o := sc.over[in.i]
	o.typ = t
	sc.over[in.i] = o
	return true
}
