// Package outcome reduces classifications to what is kept of them: what is
// counted, and what changes are seen by. Workers make it, messages carry it and
// stores keep it. It is pure.
package outcome

import (
	"slices"
	"strings"
	"sync"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/waves"
)

// Class is what is kept of a classification: instances of one class count
// alike.
type Class struct {
	Levels    string // one byte for each target, in the classifier's order
	Standings string // the same: one Standing each
	Family    string
	Version   string
	Legacy    bool
}

// Standing is what a plan makes of a verdict.
type Standing struct {
	Wave       int // its place in the order of waves; at most 15
	Confidence rules.Confidence
	Was        rules.Level // the verdict without waivers
	// Question is the place of what settles a verdict of the wave of the unknown
	// in the order of questions; at most 3, and 0 in any other wave.
	Question int
}

// unknown is the wave of verdicts that are unknown and that nobody has waived.
var unknown = waves.Unknown.Number()

// Byte is the standing as a class holds it. What is in the wave of the unknown
// was unknown, which leaves the place of what it was for its question.
func (s Standing) Byte() byte {
	last := byte(s.Was)
	if s.Wave == unknown {
		last = byte(s.Question)
	}
	return byte(s.Wave)<<4 | byte(s.Confidence)&3<<2 | last&3
}

func standing(b byte) Standing {
	told := Standing{Wave: int(b >> 4), Confidence: rules.Confidence(b >> 2 & 3)}
	if told.Wave == unknown {
		told.Was, told.Question = rules.Unknown, int(b&3)
	} else {
		told.Was = rules.Level(b & 3)
	}
	return told
}

// Of reduces the classification of an instance on a machine that is there on
// the targets of these bits (see rules.Host.There).
func Of(cl *rules.Classification, there uint32) Class {
	class := LevelsOnly(cl)
	standings := make([]byte, len(cl.Verdicts))
	for index := range cl.Verdicts {
		verdict := &cl.Verdicts[index]
		was := verdict.Level
		if verdict.Waiver != nil {
			was = verdict.Waiver.Was
		}
		standing := Standing{Wave: waves.Of(verdict, there>>index&1 == 1, false).Number(), Confidence: verdict.Confidence, Was: was}
		if standing.Wave == unknown {
			standing.Question = verdict.Settles().Number()
		}
		standings[index] = standing.Byte()
	}
	class.Standings = string(standings)
	return class
}

// LevelsOnly is a class that says nothing of a plan.
func LevelsOnly(cl *rules.Classification) Class {
	levels := make([]byte, len(cl.Verdicts))
	for i := range cl.Verdicts {
		levels[i] = byte(cl.Verdicts[i].Level)
	}
	return Class{Levels: string(levels), Family: cl.OS.Family, Version: cl.OS.Version, Legacy: cl.Legacy}
}

// Level is the verdict for the target with a number; Unknown where the class
// has none for it.
func (c *Class) Level(target int) rules.Level {
	if target >= len(c.Levels) {
		return rules.Unknown
	}
	return rules.Level(c.Levels[target])
}

// Standing is that for the target with a number, and whether the class has one
// for it.
func (c *Class) Standing(target int) (Standing, bool) {
	if target >= len(c.Standings) {
		return Standing{}, false
	}
	return standing(c.Standings[target]), true
}

// Question is what settles the verdict for the target with a number, and
// whether that is unknown at all.
func (c *Class) Question(target int) (rules.Question, bool) {
	if c.Level(target) != rules.Unknown {
		return "", false
	}
	if s, ok := c.Standing(target); ok && s.Wave == unknown {
		return rules.Questions()[s.Question], true
	}
	return rules.QuestionTrial, true
}

// Alike tells whether instances of two classes of the same list of targets have the same
// system and verdicts, whatever a plan makes of them.
func (c *Class) Alike(o *Class) bool { return c.Levels == o.Levels && c.SameSystem(o) }

// SameSystem tells whether instances of two classes have the same system.
func (c *Class) SameSystem(o *Class) bool {
	return c.Family == o.Family && c.Version == o.Version && c.Legacy == o.Legacy
}

// OS names the operating system for the history.
func (c *Class) OS() string { return strings.TrimSpace(c.Family + " " + c.Version) }

// Clone is a copy that is no part of a message.
func (c *Class) Clone() Class {
	return Class{strings.Clone(c.Levels), strings.Clone(c.Standings), strings.Clone(c.Family), strings.Clone(c.Version), c.Legacy}
}

// waveCount is how many waves there are, and waivedWave the number of the one
// that no rule set puts an instance into by itself.
var waveCount, waivedWave = len(waves.All()), waves.Waived.Number()

// maxText bounds the family and the version of a class, in bytes.
const maxText = 64

// Sound says whether c can be what a rule set says for so many targets of an
// instance that no waiver touches: what comes in a message is looked at before
// it is kept.
func (c *Class) Sound(targets int) bool {
	if len(c.Levels) != targets || len(c.Standings) != targets || c.Family == "" || len(c.Family) > maxText || len(c.Version) > maxText {
		return false
	}
	for i := range len(c.Levels) {
		level, stands := rules.Level(c.Levels[i]), standing(c.Standings[i])
		if level > rules.Incompatible || stands.Was != level || stands.Confidence > rules.High || stands.Wave >= waveCount || stands.Wave == waivedWave {
			return false
		}
	}
	return true
}

// Reader finds the classes of systems on hosts. It remembers what it found
// rather than the classifications, which are a thousand times as large. It is
// safe for concurrent use.
type Reader struct {
	by *rules.Classifier

	mu    sync.Mutex
	known map[uint64]uint32 // from rules.Pair to numbers in list and hanging; no pointers, which collections of garbage would follow
	list  []*Class
	same  map[Class]uint32
}

// maxKnown bounds what a Reader remembers: about 4 MB.
const maxKnown = 1 << 17

// NewReader returns a Reader that judges by c.
func NewReader(c *rules.Classifier) *Reader {
	return &Reader{by: c, known: map[uint64]uint32{}, same: map[Class]uint32{}}
}

// Classifier is what r judges by.
func (r *Reader) Classifier() *rules.Classifier { return r.by }

// Class is that of a system on a host, both read by the Reader's Classifier. It is
// shared and must not be changed.
func (r *Reader) Class(s *rules.System, h *rules.Host) *Class {
	class, _ := r.ClassHangs(s, h)
	return class
}

// hanging is the bit of a number that says that a verdict hangs on whether the
// guest is up.
const hanging = 1 << 31

// ClassHangs is Class, and whether a verdict hangs on whether the guest is up
// (rules.Verdict.HangsOnUp).
func (r *Reader) ClassHangs(system *rules.System, host *rules.Host) (class *Class, hangs bool) {
	key := rules.Pair(system, host)
	r.mu.Lock()
	if n, ok := r.known[key]; ok {
		class := r.list[n&^hanging]
		r.mu.Unlock()
		return class, n&hanging != 0
	}
	r.mu.Unlock()
	cl := r.by.Evaluate(system, host)
	is := Of(cl, host.There())
	hangs = slices.ContainsFunc(cl.Verdicts, func(v rules.Verdict) bool { return v.HangsOnUp })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxKnown {
		clear(r.known)
		clear(r.same)
		r.list = nil
	}
	count, ok := r.same[is]
	if !ok {
		count = uint32(len(r.list))
		r.list = append(r.list, &is)
		r.same[is] = count
	}
	r.known[key] = count
	if hangs {
		r.known[key] = count | hanging
	}
	return r.list[count], hangs
}
