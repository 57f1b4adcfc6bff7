package event

import (
	"github.com/shenscan/shenscan/internal/ecs"
)

// Readers of what earlier versions wrote: a stream may still hold it.

// readOldListed reads a page of encodings 1 and 2, which wrote its instances one
// after the other.
func readOldListed(r *reader) *InstancesListed {
	m := &InstancesListed{Walk: r.walk(), Page: int(r.uint()), Epoch: r.int(), Observed: r.int()}
	n := r.count(17)
	instances := make([]ecs.Instance, n)
	for i := range instances {
		x := &instances[i]
		x.ID, x.Name, x.Type, x.Family = r.str(), r.str(), r.word(), r.word()
		x.ImageID, x.OSName, x.OSNameEn, x.OSType = r.word(), r.word(), r.word(), r.word()
		x.Status, x.Zone, x.CreationTime, x.NetworkType = r.word(), r.word(), r.word(), r.word()
		x.IoOptimized, x.OSNVMe = r.tri(), r.tri()
		x.CPU, x.MemoryMiB = r.int32(), r.int32()
		x.Tags = r.tags()
	}
	if r.err == nil {
		m.SetInstances(instances)
	}
	return m
}

// readOldClassified reads a classified page of encodings 1 and 2.
func readOldClassified(r *reader) *InstancesClassified {
	m := &InstancesClassified{Walk: r.walk(), Page: int(r.uint()), Order: r.int(), Ruleset: r.str()}
	m.Targets = r.targets()
	m.Software = r.systems(37, r.software)
	m.Hardware = r.machines()
	m.Profiles = r.profiles(len(m.Software), len(m.Hardware), len(m.Targets))
	n := len(m.Profiles)
	rows := make([]Row, r.count(10))
	for i := range rows {
		x := &rows[i]
		x.ID, x.Name, x.Zone, x.Status = r.str(), r.str(), r.word(), r.word()
		x.CreationTime, x.NetworkType = r.word(), r.word()
		x.CPU, x.MemoryMiB = r.int32(), r.int32()
		x.Tags = r.tags()
		p := r.uint()
		if r.err == nil && p >= uint64(n) {
			r.fail("row refers to a profile that is not there")
			return m
		}
		x.Profile = int(p)
	}
	m.Failures = r.failures()
	if r.err == nil {
		m.Rows = RowsOf(rows)
	}
	return m
}

func (r *reader) tags() []ecs.Tag {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	tags := make([]ecs.Tag, n)
	for i := range tags {
		tags[i] = ecs.Tag{Key: r.word(), Value: r.word()}
	}
	return tags
}
