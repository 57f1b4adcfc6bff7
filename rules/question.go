package rules

import "slices"

// Question is the id of the check that settles a verdict which is not known, or
// not firm.
type Question string

// The questions.
const (
	QuestionVersion  Question = checkVersion
	QuestionPlatform Question = "ask-platform"
	QuestionNVMe     Question = "verify-nvme-initramfs"
	QuestionTrial    Question = "custom-image-trial" // settles what no other one does
)

var questions = [...]Question{QuestionVersion, QuestionPlatform, QuestionNVMe, QuestionTrial}

// Questions are all of them, the cheapest first.
func Questions() []Question { return slices.Clone(questions[:]) }

// Number is the place of a question in that order, and len(Questions()) for what
// is none.
func (q Question) Number() int {
	if i := slices.Index(questions[:], q); i >= 0 {
		return i
	}
	return len(questions)
}

// Settles is the cheapest question that settles the verdict: the first that is
// among its checks, else a trial. A trial settles a waived one, too: its checks
// are those of the verdict that was set aside.
func (v *Verdict) Settles() Question {
	if v.Waiver != nil {
		return QuestionTrial
	}
	for _, q := range questions {
		if slices.Contains(v.Checks, string(q)) {
			return q
		}
	}
	return QuestionTrial
}
