package event

import (
	"math"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
)

// The flat encoding of a page: first the head of the message, then what its instances
// have in common (software, machines, and which of them come together), and last the
// rows. The rows are last so that a worker, which judges only what is before them,
// copies them to its own message as one piece of bytes.

func appendListed(b []byte, listed *InstancesListed) []byte {
	writer := newWriter(append(b, flatListed, flatVersion))
	defer writer.speller.release()
	writer.walk(&listed.Walk)
	writer.uint(uint64(listed.Page))
	writer.int(listed.Epoch)
	writer.int(listed.Observed)
	writer.uint(uint64(len(listed.Software)))
	for i := range listed.Software {
		installed := &listed.Software[i]
		writer.word(installed.OSName)
		writer.word(installed.OSNameEn)
		writer.word(installed.OSType)
		writer.str(installed.ImageID)
		writer.guest(&installed.Guest)
	}
	writer.machines(listed.Hardware)
	writer.profiles(listed.Profiles, false)
	return append(writer.b, listed.Rows.encoding()...)
}

func readListed(reader *reader) *InstancesListed {
	listed := &InstancesListed{Walk: reader.walk(), Page: int(reader.uint()), Epoch: reader.int(), Observed: reader.int()}
	listed.Software = make([]Installed, reader.count(5))
	for i := range listed.Software {
		listed.Software[i] = Installed{OSName: reader.word(), OSNameEn: reader.word(), OSType: reader.word(), ImageID: reader.str()}
		reader.guest(&listed.Software[i].Guest)
	}
	listed.Hardware = reader.machines()
	listed.Profiles = reader.profiles(len(listed.Software), len(listed.Hardware), false)
	listed.Rows = reader.rows(len(listed.Profiles))
	return listed
}

func appendClassified(b []byte, classified *InstancesClassified) []byte {
	writer := newWriter(append(b, flatClassified, flatVersion))
	defer writer.speller.release()
	writer.walk(&classified.Walk)
	writer.uint(uint64(classified.Page))
	writer.int(classified.Order)
	writer.str(classified.Ruleset)
	writer.uint(uint64(len(classified.Targets)))
	for _, t := range classified.Targets {
		writer.str(t)
	}
	writer.uint(uint64(len(classified.Failures)))
	for _, f := range classified.Failures {
		for _, s := range []string{f.Account, f.Region, f.API, f.Class, f.Code, f.Error, f.Mend, f.RequestID} {
			writer.str(s)
		}
	}
	writer.uint(uint64(len(classified.Software)))
	for i := range classified.Software {
		writer.facts(classified.Software[i])
	}
	writer.machines(classified.Hardware)
	writer.classes(classified.Classes)
	writer.profiles(classified.Profiles, true)
	return append(writer.b, classified.Rows.encoding()...)
}

func readClassified(reader *reader) *InstancesClassified {
	classified := &InstancesClassified{Walk: reader.walk(), Page: int(reader.uint()), Order: reader.int(), Ruleset: reader.str()}
	classified.Targets, classified.Failures = reader.targets(), reader.failures()
	classified.Software = reader.systems()
	classified.Hardware = reader.machines()
	classified.Classes = reader.classes()
	classified.Profiles = reader.profiles(len(classified.Software), len(classified.Hardware), true)
	classified.Rows = reader.rows(len(classified.Profiles))
	return classified
}

// systems reads the software of a page. Each takes at least three bytes, which bounds
// how much memory a count that is not true can make the reader take.
func (r *reader) systems() []*rules.Facts {
	facts := make([]rules.Facts, r.count(3))
	list := make([]*rules.Facts, len(facts))
	for i := range facts {
		list[i] = &facts[i]
		r.facts(list[i])
	}
	return list
}

func (r *reader) targets() (out []string) {
	for range r.count(1) {
		out = append(out, r.str())
	}
	return out
}

func (r *reader) failures() (out []record.Failure) {
	for range r.count(8) {
		out = append(out, record.Failure{
			Account: r.str(), Region: r.str(), API: r.str(), Class: r.str(),
			Code: r.str(), Error: r.str(), Mend: r.str(), RequestID: r.str(),
		})
	}
	return out
}

// facts writes what is known of one software: a number whose bits say which of its
// strings are not empty, as few are, then these strings, then the observations. The id
// and the name of an image are written in full and not put into the table of words,
// since no other software of the page has them.
func (w *writer) facts(known *rules.Facts) {
	all := known.Texts()
	there := uint64(0)
	for i, s := range all {
		if *s != "" {
			there |= 1 << i
		}
	}
	w.uint(there)
	for i, s := range all {
		switch {
		case there>>i&1 == 0:
		case s == &known.ImageID || s == &known.Image.Name:
			w.str(*s)
		default:
			w.word(*s)
		}
	}
	w.byte(byte(known.Image.Presence))
	v := uint64(0)
	for i, t := range known.Tris() {
		v |= uint64(*t) << (2 * i)
	}
	w.uint(v)
}

func (r *reader) facts(known *rules.Facts) {
	all := known.Texts()
	there := r.uint()
	if there>>len(all) != 0 {
		r.fail("more strings than facts have")
		return
	}
	for i, s := range all {
		switch {
		case there>>i&1 == 0:
		case s == &known.ImageID || s == &known.Image.Name:
			*s = r.str()
		default:
			*s = r.word()
		}
	}
	known.Image.Presence = rules.ImagePresence(r.enum(byte(rules.ImageMissing)))
	tris := known.Tris()
	v := r.uint()
	if v>>(2*len(tris)) != 0 {
		r.fail("more observations than facts have")
		return
	}
	for i, t := range tris {
		*t = rules.Tri(v >> (2 * i) & 3)
		if *t > rules.Yes {
			r.fail("unknown enumeration value")
		}
	}
}

// guest writes what a machine itself answered, in one byte where it was not
// asked, as most are not.
func (w *writer) guest(facts *rules.GuestFacts) {
	if *facts == (rules.GuestFacts{}) {
		w.byte(0)
		return
	}
	w.byte(1)
	w.facts(&rules.Facts{Guest: *facts})
}

func (r *reader) guest(facts *rules.GuestFacts) {
	if r.enum(1) == 0 {
		return
	}
	var f rules.Facts
	if r.facts(&f); f != (rules.Facts{Guest: f.Guest}) {
		r.fail("a machine answers for more than itself")
		return
	}
	*facts = f.Guest
}

func (w *writer) machines(list []rules.Hardware) {
	w.uint(uint64(len(list)))
	for i := range list {
		w.hardware(&list[i])
	}
}

func (r *reader) machines() []rules.Hardware {
	list := make([]rules.Hardware, r.count(5))
	for i := range list {
		list[i] = r.hardware()
	}
	return list
}

// classes writes the different classes of the profiles, each once. Levels and
// standings are written in full and not put into the table of words: hardly two
// classes of a page have the same.
func (w *writer) classes(list []outcome.Class) {
	w.uint(uint64(len(list)))
	for i := range list {
		class := &list[i]
		w.str(class.Levels)
		w.str(class.Standings)
		w.word(class.Family)
		w.word(class.Version)
		w.bool(class.Legacy)
	}
}

// classes reads classes without checking that a rule set can say such: the sink asks
// Class.Sound, and judges anew where one is not.
func (r *reader) classes() []outcome.Class {
	list := make([]outcome.Class, r.count(5))
	for i := range list {
		list[i] = outcome.Class{Levels: r.str(), Standings: r.str(), Family: r.word(), Version: r.word(), Legacy: r.enum(1) == 1}
	}
	return list
}

// profiles writes which software runs on which machine, both by their index in the
// message, and the index of their class where they were judged.
func (w *writer) profiles(list []Profile, judged bool) {
	w.uint(uint64(len(list)))
	for i := range list {
		profile := &list[i]
		w.uint(uint64(profile.Software))
		w.uint(uint64(profile.Hardware))
		if judged {
			w.uint(uint64(profile.Class))
		}
	}
}

// profiles reads what writer.profiles wrote for a message with so much software and
// hardware. The index of a class is not checked, since messages are read by those who
// do not need it: who does, judges anew where there is no such class.
func (r *reader) profiles(software, hardware int, judged bool) []Profile {
	list := make([]Profile, r.count(2))
	for i := range list {
		sw, hw := r.uint(), r.uint()
		if r.err != nil || sw >= uint64(software) || hw >= uint64(hardware) {
			r.fail("profile refers to a part that is not there")
			return nil
		}
		list[i] = Profile{Software: int(sw), Hardware: int(hw)}
		if judged {
			list[i].Class = int(min(r.uint(), math.MaxInt32))
		}
	}
	return list
}

// encoding is what the message carries; the zero Rows have none of their own.
func (r Rows) encoding() string {
	if r.s == "" {
		return "\x00\x00"
	}
	return r.s
}
