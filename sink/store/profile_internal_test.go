package store

import (
	"errors"
	"hash/maphash"
	"testing"

	"github.com/shenscan/shenscan/rules"
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

// A row of a damaged file may name a profile that was never there, or that was dropped.
// Whoever looks for it is told so, and of no other machine.
func TestAProfileThatIsMissingIsSaidToBe(t *testing.T) {
	table := profileTable{
		list:     []format.Profile{{Hardware: 1}, {Class: format.NoClass}},
		hardware: []rules.Hardware{{InstanceType: "ecs.g5.large"}, {InstanceType: "ecs.g6.large"}},
	}
	for number, want := range []string{"ecs.g6.large", "", ""} {
		profile, err := table.profile(uint32(number))
		if (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrCorrupt) || err == nil && profile != &table.list[number] {
			t.Errorf("profile %d: %v, %v", number, profile, err)
		}
		if got, typeErr := table.instanceType(uint32(number)); got != want || (typeErr == nil) != (err == nil) {
			t.Errorf("profile %d is on %q, %v; want %q, %v", number, got, typeErr, want, err)
		}
	}
}
