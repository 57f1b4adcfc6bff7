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

// Apply changes one instance: ErrNoInstance where none of that id
// is there now, ErrNoLabel where the data files do not have the system or type, ErrOptions
// where no instance has such a status.
func (s *Simulator) Apply(id string, change Change) error {
	sc, instance, ok := s.fleet.locate(id)
	if !ok {
		return fmt.Errorf("%w: %s", ErrNoInstance, id)
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if !sc.live(instance) {
		return fmt.Errorf("%w: %s", ErrNoInstance, id)
	}
	override := sc.over[instance]
	if err := sc.overrideImage(&override, instance, change); err != nil {
		return err
	}
	if change.InstanceType != "" {
		if override.typ = s.fleet.data.byType[change.InstanceType]; override.typ == nil {
			return fmt.Errorf("%w: instance type %s is not in the catalogue", ErrNoLabel, change.InstanceType)
		}
	}
	if change.Status != "" {
		st, ok := parseStatus(change.Status)
		if !ok {
			return fmt.Errorf("%w: status %q", ErrOptions, change.Status)
		}
		override.status = st
	}
	sc.over[instance] = override
	if change.Gone {
		sc.release(instance)
	}
	return nil
}

// overrideImage finds or makes the image that the change names.
func (sc *scope) overrideImage(override *override, instance int, change Change) error {
	if change.OS == "" && change.OSName == "" {
		if change.ImageID == "" {
			return nil
		}
		if override.slot = sc.images[change.ImageID]; override.slot == nil {
			return fmt.Errorf("%w: image %s is not in %s; give os or os_name to make it", ErrNoLabel, change.ImageID, sc.region.id)
		}
		return nil
	}
	kind := sc.fleet.data.kindOf(change)
	if kind == nil {
		return fmt.Errorf("%w: operating system %q %q is not in the data file", ErrNoLabel, change.OS, change.OSName)
	}
	slot := sc.customSlot(kind, hash(sc.fleet.seed, 'o', uint64(sc.index), uint64(instance), hashString(change.OS+change.OSName)))
	if change.ImageID != "" {
		slot.imageID = change.ImageID
	}
	if old := sc.images[slot.imageID]; old != nil && old.kind != kind {
		return fmt.Errorf("%w: image %s is of %s %s already", ErrNoLabel, slot.imageID, old.kind.family, old.kind.version)
	}
	slot.render()
	sc.images[slot.imageID] = slot
	override.slot = slot
	return nil
}

// kindOf finds the row that a change names; rows without flags come first.
func (d *data) kindOf(change Change) *osKind {
	var flagged *osKind
	for _, kind := range d.kinds {
		name := strings.TrimSpace(kind.family + " " + kind.version)
		match := change.OSName != "" && (change.OSName == kind.osName || change.OSName == kind.osNameEn) ||
			change.OS != "" && (change.OS == name || change.OS == name+" "+kind.servicePack)
		if !match || kind.flags[flagMissing] {
			continue
		}
		if kind.flags[""] {
			return kind
		}
		if flagged == nil {
			flagged = kind
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
func (s *Simulator) Churn(churnPlan ChurnPlan) (*ChurnReport, error) {
	for _, n := range []int{churnPlan.Born, churnPlan.Gone, churnPlan.Stopped, churnPlan.Started, churnPlan.Reimaged, churnPlan.Retyped} {
		if n < 0 || n > maxChurn {
			return nil, fmt.Errorf("%w: churn of %d instances", ErrOptions, n)
		}
	}
	var scopes []*scope
	for _, sc := range s.fleet.scopes {
		if (churnPlan.Account == "" || churnPlan.Account == sc.account.ID) && (churnPlan.Region == "" || churnPlan.Region == sc.region.id) {
			scopes = append(scopes, sc)
		}
	}
	if len(scopes) == 0 {
		return nil, fmt.Errorf("%w: no account %q with region %q", ErrOptions, churnPlan.Account, churnPlan.Region)
	}
	churnReport := &ChurnReport{}
	churnReport.Gone = s.strike(scopes, churnPlan.Gone, func(sc *scope, in *instance) bool { sc.release(in.i); return true })
	churnReport.Stopped = s.strike(scopes, churnPlan.Stopped, func(sc *scope, in *instance) bool { return sc.restate(in, statusRunning, statusStopped) })
	churnReport.Started = s.strike(scopes, churnPlan.Started, func(sc *scope, in *instance) bool { return sc.restate(in, statusStopped, statusRunning) })
	churnReport.Reimaged = s.strike(scopes, churnPlan.Reimaged, func(sc *scope, in *instance) bool { return sc.reimage(in, s.serial.Add(1)) })
	churnReport.Retyped = s.strike(scopes, churnPlan.Retyped, func(sc *scope, in *instance) bool { return sc.retype(in, s.serial.Add(1)) })
	churnReport.Born = s.bear(scopes, churnPlan.Born)
	return churnReport, nil
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

// restate changes the status of an instance that has the first one, and reports
// whether it did: some kinds of instances are never stopped, because what the
// simulator says of them rests on their being Running.
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
	instanceType := to.pick(mix(r))
	if instanceType == in.typ {
		return false
	}
	o := sc.over[in.i]
	o.typ = instanceType
	sc.over[in.i] = o
	return true
}
