package format

import (
	"encoding/binary"
	"fmt"
)

// Profile is what an instance's row refers to: what runs, what it runs on, and
// how the two together were last judged. In a fleet software and hardware
// repeat, their combinations may hardly do: a profile must cost next to
// nothing.
type Profile struct {
	Software, Hardware uint32
	Class              uint32 // NoClass: nothing has this number
}

// NoClass marks the number of a profile that is not there any more.
const NoClass = ^uint32(0)

// MaxChunk is the number of profiles in one value of the profiles bucket.
const MaxChunk = 256

// ProfilesValue is what the profiles bucket holds: the class plus one, then the
// parts; a zero where nothing has the number.
func ProfilesValue(part []Profile) []byte {
	b := binary.AppendUvarint(Start(make([]byte, 0, 16+8*len(part))), uint64(len(part)))
	for _, profile := range part {
		if profile.Class == NoClass {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(profile.Class)+1)
		b = binary.AppendUvarint(b, uint64(profile.Software))
		b = binary.AppendUvarint(b, uint64(profile.Hardware))
	}
	return Seal(b)
}

// ReadProfiles decodes what ProfilesValue wrote, appending to into.
func ReadProfiles(v []byte, into []Profile) ([]Profile, error) {
	body, err := Unseal("profiles", v)
	if err != nil {
		return nil, err
	}
	decoder := dec{b: body}
	n := decoder.count(1)
	if n > MaxChunk {
		decoder.fail()
	}
	for range n {
		class := decoder.uint()
		if class == 0 {
			into = append(into, Profile{Class: NoClass})
			continue
		}
		software, hardware := decoder.uint(), decoder.uint()
		if class > MaxProfile || software > MaxProfile || hardware > MaxProfile {
			decoder.fail()
		}
		into = append(into, Profile{uint32(software), uint32(hardware), uint32(class - 1)})
	}
	if decoder.bad || decoder.more() {
		return nil, fmt.Errorf("%w: profiles have another shape", ErrCorrupt)
	}
	return into, nil
}
