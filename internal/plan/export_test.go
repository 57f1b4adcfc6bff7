package plan

import "github.com/shenscan/shenscan/rules"

// AllQuestions are the questions that there are.
func AllQuestions(classifier *rules.Classifier) []Question {
	s := &settler{c: classifier}
	var out []Question
	for i := range asks {
		out = append(out, s.question(i))
	}
	return out
}
