package event

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// MaxInstances is the most instances that a page holds. What instances have in
// common is written, judged and stored once a page, and a page is written,
// acknowledged and read as one message, so large pages are cheap.
const MaxInstances = 1000

// MaxSystems is how much different software makes a page full, however few its
// instances are: workers add what is known of the image of each.
const MaxSystems = 500

// pageSize is how many bytes of instances make a page full, however few they
// are: with its tags an instance can take more than 10 KB. It leaves the larger
// part of MaxPayload to what workers add for images.
const pageSize = 256 << 10

// maxRow is the most bytes that the texts of one instance may take; with 20 tags
// of 128 characters each it is about 15 KB.
const maxRow = 128 << 10

// Fits reports whether an instance can be part of a page at all.
func Fits(instance *ecs.Instance) bool {
	n := len(instance.ID) + len(instance.Name) + len(instance.ImageID) + len(instance.OSName) + len(instance.OSNameEn) + len(instance.Type) + len(instance.Family) + len(instance.Zone)
	for i := range instance.Tags {
		n += len(instance.Tags[i].Key) + len(instance.Tags[i].Value)
	}
	return n <= maxRow
}

// PageWriter puts instances into pages.
type PageWriter struct {
	software numbered[Installed]
	hardware numbered[rules.Hardware]
	profiles numbered[[2]int]
	rows     *rowWriter
}

var pageWriters = sync.Pool{New: func() any { return new(PageWriter) }}

// NewPageWriter returns a PageWriter without instances. It is to be closed after use.
func NewPageWriter() *PageWriter {
	w := pageWriters.Get().(*PageWriter)
	w.rows = newRowWriter()
	return w
}

// Close ends the use of w.
func (w *PageWriter) Close() {
	w.reset()
	w.rows.release()
	w.rows = nil
	pageWriters.Put(w)
}

// Add adds an instance. Nothing of it is kept but strings.
func (w *PageWriter) Add(instance *ecs.Instance) {
	sw := Installed{OSName: instance.OSName, OSNameEn: instance.OSNameEn, OSType: instance.OSType, ImageID: instance.ImageID}
	if instance.Guest != nil {
		sw.Guest = *instance.Guest
	}
	hw := instance.Hardware()
	pair := [2]int{
		w.software.number(&sw, maphash.String(seed, sw.ImageID)^mix(maphash.String(seed, sw.OSName))),
		w.hardware.number(&hw, maphash.String(seed, hw.InstanceType)),
	}
	started, _ := PackMinute(instance.StartTime)
	w.rows.row(&Row{
		Started: started,
		ID:      instance.ID, Name: instance.Name, Zone: instance.Zone, Status: instance.Status, CreationTime: instance.CreationTime, NetworkType: instance.NetworkType,
		CPU: instance.CPU, MemoryMiB: instance.MemoryMiB, Tags: instance.Tags, Profile: w.profiles.number(&pair, mix(uint64(pair[0])<<32|uint64(pair[1]))),
	})
}

// Len is the number of instances that were added.
func (w *PageWriter) Len() int { return w.rows.n }

// Full says that the instances are to be put into a page before more come.
func (w *PageWriter) Full() bool {
	return w.rows.n >= MaxInstances || len(w.software.list) >= MaxSystems || w.rows.size() >= pageSize
}

// Put makes listed a page of the instances and begins anew.
func (w *PageWriter) Put(listed *InstancesListed) {
	listed.Rows = w.rows.rows()
	listed.Software, listed.Hardware = slices.Clone(w.software.list), slices.Clone(w.hardware.list)
	listed.Profiles = make([]Profile, len(w.profiles.list))
	for i, p := range w.profiles.list {
		listed.Profiles[i] = Profile{Software: p[0], Hardware: p[1]}
	}
	w.reset()
	w.rows.reset()
}

func (w *PageWriter) reset() {
	w.software.reset()
	w.hardware.reset()
	w.profiles.reset()
}

// SetInstances makes the page one of these instances. Nothing of them is kept
// but strings.
func (m *InstancesListed) SetInstances(instances []ecs.Instance) {
	pageWriter := NewPageWriter()
	defer pageWriter.Close()
	for i := range instances {
		pageWriter.Add(&instances[i])
	}
	pageWriter.Put(m)
}

// Instances puts the page's instances together again.
func (m *InstancesListed) Instances() []ecs.Instance {
	out := make([]ecs.Instance, 0, m.Rows.Len())
	for row := range m.Rows.All() {
		p := &m.Profiles[row.Profile]
		sw, hw := &m.Software[p.Software], &m.Hardware[p.Hardware]
		var guest *rules.GuestFacts
		if sw.Guest != (rules.GuestFacts{}) {
			guest = &sw.Guest
		}
		started := ""
		if row.Started > 0 {
			started = UnpackMinute(row.Started)
		}
		out = append(out, ecs.Instance{
			StartTime: started, Guest: guest, ID: row.ID, Name: row.Name, Type: hw.InstanceType, Family: hw.InstanceFamily, ImageID: sw.ImageID,
			OSName: sw.OSName, OSNameEn: sw.OSNameEn, OSType: sw.OSType, Status: row.Status, Zone: row.Zone,
			CreationTime: row.CreationTime, NetworkType: row.NetworkType, IoOptimized: hw.IoOptimized, OSNVMe: hw.OSNVMe,
			CPU: row.CPU, MemoryMiB: row.MemoryMiB, Tags: row.Tags,
		})
	}
	return out
}

// numbered numbers the different values that it is shown.
type numbered[T comparable] struct {
	slots  []uint32 // number in list, plus one; open addressing
	list   []T
	hashes []uint64
}

// seed is secret and of this process, so that nobody can choose what collides.
var seed = maphash.MakeSeed()

// mix spreads a number over all bits.
func mix(v uint64) uint64 {
	v *= 0x9E3779B97F4A7C15
	return v ^ v>>32
}

// number returns the number of a value; equal values have equal hashes.
func (n *numbered[T]) number(value *T, hash uint64) int {
	if 2*len(n.list) >= len(n.slots) {
		n.grow()
	}
	mask := uint64(len(n.slots) - 1)
	at := hash & mask
	for ; n.slots[at] != 0; at = (at + 1) & mask {
		if i := n.slots[at] - 1; n.hashes[i] == hash && n.list[i] == *value {
			return int(i)
		}
	}
	n.list = append(n.list, *value)
	n.hashes = append(n.hashes, hash)
	n.slots[at] = uint32(len(n.list))
	return len(n.list) - 1
}

func (n *numbered[T]) grow() {
	n.slots = make([]uint32, max(1024, 2*len(n.slots)))
	mask := uint64(len(n.slots) - 1)
	for i, hash := range n.hashes {
		at := hash & mask
		for n.slots[at] != 0 {
			at = (at + 1) & mask
		}
		n.slots[at] = uint32(i + 1)
	}
}

func (n *numbered[T]) reset() {
	clear(n.slots)
	clear(n.list)
	n.list, n.hashes = n.list[:0], n.hashes[:0]
}
