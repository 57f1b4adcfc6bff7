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
	out := newWriter(append(b, flatListed, flatVersion))
	defer out.speller.release()
	out.walk(&listed.Walk)
	out.uint(uint64(listed.Page))
	out.int(listed.Epoch)
	out.int(listed.Observed)
	writeList(out, listed.Software, (*writer).installed)
	writeList(out, listed.Hardware, (*writer).hardware)
	out.profiles(listed.Profiles, false)
	return append(out.b, listed.Rows.encoding()...)
}

func readListed(in *reader) *InstancesListed {
	listed := &InstancesListed{Walk: in.walk(), Page: int(in.uint()), Epoch: in.int(), Observed: in.int()}
	listed.Software, listed.Hardware = readList(in, 5, (*reader).installed), readList(in, 5, (*reader).hardware)
	listed.Profiles = in.profiles(len(listed.Software), len(listed.Hardware), false)
	listed.Rows = in.rows(len(listed.Profiles))
	return listed
}

func appendClassified(b []byte, classified *InstancesClassified) []byte {
	out := newWriter(append(b, flatClassified, flatVersion))
	defer out.speller.release()
	out.walk(&classified.Walk)
	out.uint(uint64(classified.Page))
	out.int(classified.Order)
	out.str(classified.Ruleset)
	writeList(out, classified.Targets, func(w *writer, target *string) { w.str(*target) })
	writeList(out, classified.Failures, (*writer).failure)
	writeList(out, classified.Software, func(w *writer, known **rules.Facts) { w.facts(*known) })
	writeList(out, classified.Hardware, (*writer).hardware)
	writeList(out, classified.Classes, (*writer).class)
	out.profiles(classified.Profiles, true)
	return append(out.b, classified.Rows.encoding()...)
}

func readClassified(in *reader) *InstancesClassified {
	classified := &InstancesClassified{Walk: in.walk(), Page: int(in.uint()), Order: in.int(), Ruleset: in.str()}
	classified.Targets, classified.Failures = readList(in, 1, (*reader).str), readList(in, 8, (*reader).failure)
	classified.Software = in.systems()
	classified.Hardware, classified.Classes = readList(in, 5, (*reader).hardware), readList(in, 5, (*reader).class)
	classified.Profiles = in.profiles(len(classified.Software), len(classified.Hardware), true)
	classified.Rows = in.rows(len(classified.Profiles))
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

func writeList[T any](w *writer, list []T, write func(*writer, *T)) {
	w.uint(uint64(len(list)))
	for i := range list {
		write(w, &list[i])
	}
}

// readList reads a list whose elements take at least least bytes each; nil where it is
// empty.
func readList[T any](r *reader, least int, read func(*reader) T) []T {
	n := r.count(least)
	if n == 0 {
		return nil
	}
	list := make([]T, n)
	for i := range list {
		list[i] = read(r)
	}
	return list
}

func (w *writer) installed(installed *Installed) {
	w.word(installed.OSName)
	w.word(installed.OSNameEn)
	w.word(installed.OSType)
	w.str(installed.ImageID)
	w.guest(&installed.Guest)
}

func (r *reader) installed() Installed {
	return Installed{OSName: r.word(), OSNameEn: r.word(), OSType: r.word(), ImageID: r.str(), Guest: r.guest()}
}

func (w *writer) failure(f *record.Failure) {
	for _, s := range []string{f.Account, f.Region, f.API, f.Class, f.Code, f.Error, f.Mend, f.RequestID} {
		w.str(s)
	}
}

func (r *reader) failure() record.Failure {
	return record.Failure{
		Account: r.str(), Region: r.str(), API: r.str(), Class: r.str(),
		Code: r.str(), Error: r.str(), Mend: r.str(), RequestID: r.str(),
	}
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

func (r *reader) guest() rules.GuestFacts {
	if r.enum(1) == 0 {
		return rules.GuestFacts{}
	}
	var f rules.Facts
	if r.facts(&f); f != (rules.Facts{Guest: f.Guest}) {
		r.fail("a machine answers for more than itself")
	}
	return f.Guest
}

// class writes a class of profiles. Levels and standings are written in full and not put
// into the table of words: hardly two classes of a page have the same.
func (w *writer) class(class *outcome.Class) {
	w.str(class.Levels)
	w.str(class.Standings)
	w.word(class.Family)
	w.word(class.Version)
	w.bool(class.Legacy)
}

// class reads a class without checking that a rule set can say such: the sink asks
// Class.Sound, and judges anew where one is not.
func (r *reader) class() outcome.Class {
	return outcome.Class{Levels: r.str(), Standings: r.str(), Family: r.word(), Version: r.word(), Legacy: r.enum(1) == 1}
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
