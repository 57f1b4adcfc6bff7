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
	profiles profiles
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
	software := Installed{OSName: instance.OSName, OSNameEn: instance.OSNameEn, OSType: instance.OSType, ImageID: instance.ImageID}
	if instance.Guest != nil {
		software.Guest = *instance.Guest
	}
	hardware := instance.Hardware()
	started, _ := PackMinute(instance.StartTime)
	if created, known := PackMinute(instance.CreationTime); known && started < created { // no machine was there: when it was started is not known
		started = 0
	}
	w.rows.row(&Row{
		Started: started,
		ID:      instance.ID, Name: instance.Name, Zone: instance.Zone, Status: instance.Status, CreationTime: instance.CreationTime, NetworkType: instance.NetworkType,
		CPU: instance.CPU, MemoryMiB: instance.MemoryMiB, Tags: instance.Tags, Profile: w.profiles.number(&software, &hardware),
	})
}

// Len is the number of instances that were added.
func (w *PageWriter) Len() int { return w.rows.n }

// Full says that the instances are to be put into a page before more come.
func (w *PageWriter) Full() bool {
	return w.rows.n >= MaxInstances || len(w.profiles.software.list) >= MaxSystems || w.rows.size() >= pageSize
}

// Put makes listed a page of the instances and begins anew.
func (w *PageWriter) Put(listed *InstancesListed) {
	listed.Rows = w.rows.rows()
	listed.Software, listed.Hardware, listed.Profiles = slices.Clone(w.profiles.software.list), slices.Clone(w.profiles.hardware.list), slices.Clone(w.profiles.list)
	w.reset()
	w.rows.reset()
}

func (w *PageWriter) reset() {
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
		software, hardware := &m.Software[p.Software], &m.Hardware[p.Hardware]
		var guest *rules.GuestFacts
		if software.Guest != (rules.GuestFacts{}) {
			guest = &software.Guest
		}
		started := ""
		if row.Started > 0 {
			started = UnpackMinute(row.Started)
		}
		out = append(out, ecs.Instance{
			StartTime: started, Guest: guest, ID: row.ID, Name: row.Name, Type: hardware.InstanceType, Family: hardware.InstanceFamily, ImageID: software.ImageID,
			OSName: software.OSName, OSNameEn: software.OSNameEn, OSType: software.OSType, Status: row.Status, Zone: row.Zone,
			CreationTime: row.CreationTime, NetworkType: row.NetworkType, IoOptimized: hardware.IoOptimized, OSNVMe: hardware.OSNVMe,
			CPU: row.CPU, MemoryMiB: row.MemoryMiB, Tags: row.Tags,
		})
	}
	return out
}

// profiles are those of a page while it is put together: which software is on which
// hardware, each different one once, numbered as they come.
type profiles struct {
	software numbered[Installed]
	hardware numbered[rules.Hardware]
	list     []Profile
	first    []int // the first profile with each hardware, plus one
	next     []int // the next one with the hardware of each, plus one, or 0
}

// number returns the number of the profile of software on hardware. The hashes are of what
// tells one from most others: to hash every text would take a tenth of a page's way to the
// wire. Most profiles of a page are of one instance, and few have the same hardware.
func (p *profiles) number(software *Installed, hardware *rules.Hardware) int {
	profile := Profile{
		Software: p.software.number(software, maphash.String(seed, software.ImageID)),
		Hardware: p.hardware.number(hardware, maphash.String(seed, hardware.InstanceType)),
	}
	if profile.Hardware == len(p.first) {
		p.first = append(p.first, 0)
	}
	place := &p.first[profile.Hardware]
	for *place > 0 {
		if p.list[*place-1] == profile {
			return *place - 1
		}
		place = &p.next[*place-1]
	}
	p.list = append(p.list, profile)
	*place = len(p.list)
	p.next = append(p.next, 0)
	return len(p.list) - 1
}

func (p *profiles) reset() {
	p.software.reset()
	p.hardware.reset()
	p.list, p.first, p.next = p.list[:0], p.first[:0], p.next[:0]
}

// seed is secret and of this process, so that nobody can choose what collides.
var seed = maphash.MakeSeed()

// numbered numbers the different values that it is shown, from 0.
type numbered[T comparable] struct {
	list   []T            // the values by their numbers
	places map[uint64]int // in list, by the hash of a value or the next that was free
}

// number returns the number of a value, by a hash of it.
func (n *numbered[T]) number(value *T, hash uint64) int {
	for ; ; hash++ {
		place, taken := n.places[hash]
		if !taken {
			if n.places == nil {
				n.places = map[uint64]int{}
			}
			n.list = append(n.list, *value)
			n.places[hash] = len(n.list) - 1
			return len(n.list) - 1
		}
		if n.list[place] == *value {
			return place
		}
	}
}

func (n *numbered[T]) reset() {
	clear(n.places)
	clear(n.list)
	n.list = n.list[:0]
}
