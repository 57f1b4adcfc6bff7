package ecssim

import "strconv"

// instanceStatus is Status of DescribeInstances.
type instanceStatus uint8

// The statuses. statusNone is no status: an override that leaves it alone.
const (
	statusNone instanceStatus = iota
	statusRunning
	statusStopped
	statusStarting
	statusStopping
	statusPending
)

func (s instanceStatus) String() string {
	return [...]string{"", "Running", "Stopped", "Starting", "Stopping", "Pending"}[s]
}

func parseStatus(s string) (instanceStatus, bool) {
	for st := statusRunning; st <= statusPending; st++ {
		if st.String() == s {
			return st, true
		}
	}
	return statusNone, false
}

// instance is one instance while it is looked at.
type instance struct {
	i           int
	h           uint64 // randomness of this instance
	slot        *slot
	group       uint64 // what started it; 0 is nothing
	typ         *instanceType
	ioOptimized bool
	status      instanceStatus
	minute      int64
}

// hostPlan is the share of machine classes, in percent, that instances of an
// operating system sit on.
type hostPlan struct{ xen, kvm, sl6, sl7, other int }

// hostPlans: systems older than KVM sit on Xen and KVM, newer ones anywhere;
// "arm" is apart. Alibaba Cloud Linux never ran on Xen (midnx).
var hostPlans = map[string]hostPlan{
	"xen":   {xen: 100},
	"old":   {xen: 45, kvm: 55},
	"mid":   {xen: 6, kvm: 64, sl6: 20, sl7: 10},
	"midnx": {kvm: 66, sl6: 22, sl7: 12},
	"new":   {kvm: 25, sl6: 37, sl7: 32, other: 6},
	"arm":   {sl6: 30, sl7: 70},
}

// at computes instance i. The caller holds mu.
func (sc *scope) at(index int) instance {
	in := instance{i: index, h: hash(sc.fleet.seed, 'i', uint64(sc.index), uint64(index)), minute: sc.minute(index)}
	k := uint64(index)
	if index >= len(sc.slots) { // so that every image is in use
		k = mix(in.h) % uint64(len(sc.slots))
	}
	in.slot = sc.slots[k]
	in.group = sc.startedBy(k, in.h)
	in.place(sc)
	in.status = in.generatedStatus()
	if len(sc.over) > 0 {
		if o, ok := sc.over[index]; ok {
			in.apply(o)
		}
	}
	return in
}

// startedBy is what started an instance that was made from image k: half of those
// of every third image are of a group, most of them of one for each image.
func (sc *scope) startedBy(k, h uint64) uint64 {
	if k%3 != 0 || h>>52&1 == 0 {
		return 0
	}
	return hash(sc.fleet.seed, 'g', uint64(sc.index), k<<1|h>>53&h>>54&1)<<1 | k/3&1
}

// apply lays what churn changed over what was generated.
func (in *instance) apply(override override) {
	if override.slot != nil {
		in.slot = override.slot
	}
	if override.typ != nil {
		in.typ = override.typ
		in.ioOptimized = override.typ.pool != "xen" && (override.typ.pool != "byio" || in.h&1 == 0)
	}
	if override.status != statusNone {
		in.status = override.status
	}
}

// place chooses the instance type.
func (in *instance) place(sc *scope) {
	in.ioOptimized = true
	arm, hosts := in.slot.kind.arch == "arm64", in.slot.hosts()
	plan, drawn := hostPlans[hosts], mix(in.h^'p')
	percent, rest := int(drawn%100), drawn>>8
	pool, pick := "other", rest
	switch {
	case percent < plan.xen:
		in.ioOptimized = false
		if pool, pick = "xen", rest>>2; rest&3 == 0 {
			pool = "byio"
		}
	case percent < plan.xen+plan.kvm:
		if pool, pick = "kvm", rest>>4; rest%12 == 0 {
			pool = "byio"
		}
	case arm && percent < plan.sl6:
		pool = "arm6"
	case arm:
		pool = "arm8"
	case percent < plan.xen+plan.kvm+plan.sl6:
		pool = "sl6"
	case percent < 100-plan.other:
		if pool, pick = "sl7", rest>>4; in.slot.nvme && hosts == "new" && rest%3 == 0 {
			pool = "sl8"
		}
	}
	in.typ = sc.fleet.data.pools[pool].pick(pick)
}

// generatedStatus is mostly Running; where a stopped machine would leave the
// verdict open to reading, it always is.
func (in *instance) generatedStatus() instanceStatus {
	if in.slot.kind.flags[flagRunOnly] || in.slot.kind.arch == "arm64" {
		return statusRunning
	}
	switch drawn := mix(in.h^'s') % 1000; {
	case drawn < 900:
		return statusRunning
	case drawn < 990:
		return statusStopped
	case drawn < 994:
		return statusStarting
	case drawn < 998:
		return statusStopping
	}
	return statusPending
}

func (in *instance) zone(sc *scope) int { return int(mix(in.h^'z') % uint64(len(sc.zones))) }

// idDigits is the length of the part of an id that holds the index; the 4
// digits behind it are a check.
const idDigits = 13

// appendID appends the instance id: "i-", the region's prefix and 17 digits
// that say nothing of the order of creation.
func (sc *scope) appendID(b []byte, i int) []byte {
	v := sc.fleet.ids.do(uint64(sc.index)<<40 | uint64(i))
	b = append(append(b, "i-"...), sc.region.prefix...)
	b = appendBase36(b, v, idDigits)
	return appendBase36(b, hash(sc.fleet.seed, v), 4)
}

func (in *instance) id(sc *scope) string { return string(sc.appendID(nil, in.i)) }

// locate turns an instance id back into its scope and index, whether or not
// there is such an instance.
func (f *fleet) locate(id string) (*scope, int, bool) {
	if len(id) != 2+3+idDigits+4 || id[:2] != "i-" {
		return nil, 0, false
	}
	v, err := strconv.ParseUint(id[5:5+idDigits], 36, 64) // in capitals it is another id than the one below
	if err != nil {
		return nil, 0, false
	}
	raw := f.ids.undo(v)
	index, i := raw>>40, int(raw&(1<<40-1))
	if index >= uint64(len(f.scopes)) {
		return nil, 0, false
	}
	sc := f.scopes[index]
	return sc, i, string(sc.appendID(nil, i)) == id
}

// live says whether instance i exists. The caller holds mu.
func (sc *scope) live(i int) bool { return i < sc.count() && !sc.isGone(i) }
