package event

import (
	"sync"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// SetInstances makes the page one of these instances. Nothing of them is kept
// but strings.
func (m *InstancesListed) SetInstances(instances []ecs.Instance) {
	parts := partsPool.Get().(*parts)
	w := newRowWriter()
	for i := range instances {
		x := &instances[i]
		w.row(&Row{
			ID: x.ID, Name: x.Name, Zone: x.Zone, Status: x.Status, CreationTime: x.CreationTime, NetworkType: x.NetworkType,
			CPU: x.CPU, MemoryMiB: x.MemoryMiB, Tags: x.Tags, Profile: parts.profile(x),
		})
	}
	m.Rows = w.rows()
	w.release()
	m.Software = append([]Installed(nil), parts.software.list...)
	m.Hardware = append([]rules.Hardware(nil), parts.hardware.list...)
	m.Profiles = make([]Profile, len(parts.profiles.list))
	for i, p := range parts.profiles.list {
		m.Profiles[i] = Profile{Software: p[0], Hardware: p[1]}
	}
	parts.release()
}

// Instances puts the page's instances together again.
func (m *InstancesListed) Instances() []ecs.Instance {
	out := make([]ecs.Instance, 0, m.Rows.Len())
	for r := range m.Rows.All() {
		p := &m.Profiles[r.Profile]
		sw, hw := &m.Software[p.Software], &m.Hardware[p.Hardware]
		out = append(out, ecs.Instance{
			ID: r.ID, Name: r.Name, Type: hw.InstanceType, Family: hw.InstanceFamily, ImageID: sw.ImageID,
			OSName: sw.OSName, OSNameEn: sw.OSNameEn, OSType: sw.OSType, Status: r.Status, Zone: r.Zone,
			CreationTime: r.CreationTime, NetworkType: r.NetworkType, IoOptimized: hw.IoOptimized, OSNVMe: hw.OSNVMe,
			CPU: r.CPU, MemoryMiB: r.MemoryMiB, Tags: r.Tags,
		})
	}
	return out
}

// parts takes instances apart.
type parts struct {
	software numbered[Installed]
	hardware numbered[rules.Hardware]
	profiles numbered[[2]int]
}

var partsPool = sync.Pool{New: func() any { return new(parts) }}

func (p *parts) release() {
	p.software.reset()
	p.hardware.reset()
	p.profiles.reset()
	partsPool.Put(p)
}

// profile returns the number of an instance's profile.
func (p *parts) profile(x *ecs.Instance) int {
	sw := p.software.number(Installed{OSName: x.OSName, OSNameEn: x.OSNameEn, OSType: x.OSType, ImageID: x.ImageID})
	return p.profiles.number([2]int{sw, p.hardware.number(x.Hardware())})
}

// numbered numbers the different values that it is shown.
type numbered[T comparable] struct {
	by   map[T]int
	list []T
}

func (n *numbered[T]) number(v T) int {
	if i, ok := n.by[v]; ok {
		return i
	}
	if n.by == nil {
		n.by = map[T]int{}
	}
	i := len(n.list)
	n.by[v] = i
	n.list = append(n.list, v)
	return i
}

func (n *numbered[T]) reset() {
	clear(n.by)
	clear(n.list)
	n.list = n.list[:0]
}
