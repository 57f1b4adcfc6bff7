package event

import (
	"math"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
)

// The flat encoding: the head of the message, what its instances have in common,
// and the rows, which are last and which workers copy as they are.

func appendListed(b []byte, m *InstancesListed) []byte {
	w := newWriter(append(b, flatListed, flatVersion))
	defer w.speller.release()
	w.walk(&m.Walk)
	w.uint(uint64(m.Page))
	w.int(m.Epoch)
	w.int(m.Observed)
	w.uint(uint64(len(m.Software)))
	for i := range m.Software {
		s := &m.Software[i]
		w.word(s.OSName)
		w.word(s.OSNameEn)
		w.word(s.OSType)
		w.word(s.ImageID)
		w.guest(&s.Guest)
	}
	w.machines(m.Hardware)
	w.profiles(m.Profiles, false)
	return append(w.b, m.Rows.encoding()...)
}

func readListed(r *reader) *InstancesListed {
	m := &InstancesListed{Walk: r.walk(), Page: int(r.uint()), Epoch: r.int(), Observed: r.int()}
	m.Software = make([]Installed, r.count(5))
	for i := range m.Software {
		m.Software[i] = Installed{OSName: r.word(), OSNameEn: r.word(), OSType: r.word(), ImageID: r.word()}
		r.guest(&m.Software[i].Guest)
	}
	m.Hardware = r.machines()
	m.Profiles = r.profiles(len(m.Software), len(m.Hardware), false)
	m.Rows = r.rows(len(m.Profiles))
	return m
}

func appendClassified(b []byte, m *InstancesClassified) []byte {
	w := newWriter(append(b, flatClassified, flatVersion))
	defer w.speller.release()
	w.walk(&m.Walk)
	w.uint(uint64(m.Page))
	w.int(m.Order)
	w.str(m.Ruleset)
	w.uint(uint64(len(m.Targets)))
	for _, t := range m.Targets {
		w.str(t)
	}
	w.uint(uint64(len(m.Failures)))
	for _, f := range m.Failures {
		for _, s := range []string{f.Account, f.Region, f.API, f.Class, f.Code, f.Error, f.Mend, f.RequestID} {
			w.str(s)
		}
	}
	w.uint(uint64(len(m.Software)))
	for i := range m.Software {
		w.facts(m.Software[i])
	}
	w.machines(m.Hardware)
	w.classes(m.Classes)
	w.profiles(m.Profiles, true)
	return append(w.b, m.Rows.encoding()...)
}

func readClassified(r *reader) *InstancesClassified {
	m := &InstancesClassified{Walk: r.walk(), Page: int(r.uint()), Order: r.int(), Ruleset: r.str()}
	m.Targets, m.Failures = r.targets(), r.failures()
	m.Software = r.systems()
	m.Hardware = r.machines()
	m.Classes = r.classes()
	m.Profiles = r.profiles(len(m.Software), len(m.Hardware), true)
	m.Rows = r.rows(len(m.Profiles))
	return m
}

// systems reads the software of a page; each takes at least three bytes.
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

// facts writes what is known of software: which of its strings there are, and
// those. Most are empty.
func (w *writer) facts(f *rules.Facts) {
	all := f.Texts()
	there := uint64(0)
	for i, s := range all {
		if *s != "" {
			there |= 1 << i
		}
	}
	w.uint(there)
	for i, s := range all {
		if there>>i&1 != 0 {
			w.word(*s)
		}
	}
	w.byte(byte(f.Image.Presence))
	v := uint64(0)
	for i, t := range f.Tris() {
		v |= uint64(*t) << (2 * i)
	}
	w.uint(v)
}

func (r *reader) facts(f *rules.Facts) {
	all := f.Texts()
	there := r.uint()
	if there>>len(all) != 0 {
		r.fail("more strings than facts have")
		return
	}
	for i, s := range all {
		if there>>i&1 != 0 {
			*s = r.word()
		}
	}
	f.Image.Presence = rules.ImagePresence(r.enum(byte(rules.ImageMissing)))
	tris := f.Tris()
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
func (w *writer) guest(g *rules.GuestFacts) {
	if *g == (rules.GuestFacts{}) {
		w.byte(0)
		return
	}
	w.byte(1)
	w.facts(&rules.Facts{Guest: *g})
}

func (r *reader) guest(g *rules.GuestFacts) {
	if r.enum(1) == 0 {
		return
	}
	var f rules.Facts
	if r.facts(&f); f != (rules.Facts{Guest: f.Guest}) {
		r.fail("a machine answers for more than itself")
		return
	}
	*g = f.Guest
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

// classes writes what was said of the profiles, each once.
func (w *writer) classes(list []outcome.Class) {
	w.uint(uint64(len(list)))
	for i := range list {
		c := &list[i]
		w.word(c.Levels)
		w.word(c.Standings)
		w.word(c.Family)
		w.word(c.Version)
		w.byte(legacyByte(c.Legacy))
	}
}

func legacyByte(legacy bool) byte {
	if legacy {
		return 1
	}
	return 0
}

// classes reads them as they are, sound or not.
func (r *reader) classes() []outcome.Class {
	list := make([]outcome.Class, r.count(5))
	for i := range list {
		list[i] = outcome.Class{Levels: r.word(), Standings: r.word(), Family: r.word(), Version: r.word(), Legacy: r.enum(1) == 1}
	}
	return list
}

// profiles writes which parts come together, and the class where they were
// judged.
func (w *writer) profiles(list []Profile, judged bool) {
	w.uint(uint64(len(list)))
	for i := range list {
		p := &list[i]
		w.uint(uint64(p.Software))
		w.uint(uint64(p.Hardware))
		if judged {
			w.uint(uint64(p.Class))
		}
	}
}

// profiles reads them. A class may be one that is not there: whoever wants it
// judges anew.
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
