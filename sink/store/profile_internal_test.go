package store

import (
	"hash/maphash"
	"testing"

	"github.com/shenscan/shenscan/sink/store/format"
)

// Profiles that have the software or the machine in common are profiles of their own,
// however many there are: one that is taken for another shows the verdict of another
// system.
func TestPairsWithOneHalfInCommonAreTwoProfiles(t *testing.T) {
	const each = 60
	p := newProfiles(maphash.MakeSeed())
	numbers := map[uint32]bool{}
	for range 2 {
		for software := range uint32(each) {
			for hardware := range uint32(each) {
				number := p.number(software, hardware, func() uint32 { return software })
				numbers[number] = true
				if is := p.list[number]; is != (format.Profile{Software: software, Hardware: hardware, Class: software}) {
					t.Fatalf("software %d on machine %d is profile %d: %+v", software, hardware, number, is)
				}
			}
		}
	}
	if len(numbers) != each*each || len(p.list) != each*each {
		t.Errorf("%d numbers and %d profiles, want %d of each", len(numbers), len(p.list), each*each)
	}
}
