package ecssim

import (
	"fmt"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
)

// contradictionOf is how an answer of a contract is simulated, where it is not
// how the simulator behaves anyway.
var contradictionOf = map[[2]string]Contradiction{
	{ecs.QuestionStart, ecs.AnswerExclusive}:      BoundsAfter,
	{ecs.QuestionEnd, ecs.AnswerExclusive}:        BoundsHalfOpen,
	{ecs.QuestionFilters, ecs.AnswerIgnored}:      FiltersIgnored,
	{ecs.QuestionFilters, ecs.AnswerCounts}:       FiltersInCounts,
	{ecs.QuestionOrder, ecs.AnswerByPlace}:        FiltersPositional,
	{ecs.QuestionOrder, ecs.AnswerRefused}:        FiltersRefused,
	{ecs.QuestionCount, ecs.AnswerMissing}:        CountMissing,
	{ecs.QuestionCount, ecs.AnswerZero}:           CountZero,
	{ecs.QuestionMaxResults, ecs.AnswerIgnored}:   MaxResultsIgnored,
	{ecs.QuestionLastToken, ecs.AnswerOne}:        TokenAfterLast,
	{ecs.QuestionRows, ecs.AnswerOthers}:          RowsOfOtherRegions,
	{ecs.QuestionInstanceIDs, ecs.AnswerFirst}:    IDsCapped,
	{ecs.QuestionInstanceIDs, ecs.AnswerEmpty}:    IDsEmpty,
	{ecs.QuestionInstanceIDs, ecs.AnswerUnasked}:  IDsIgnored,
	{ecs.QuestionUnknownID, ecs.AnswerUnasked}:    IDsIgnored,
	{ecs.QuestionImageIDs, ecs.AnswerFirst}:       ImagesCapped,
	{ecs.QuestionUnknownImage, ecs.AnswerUnasked}: ImagesUnasked,
	{ecs.QuestionImageOwners, ecs.AnswerByAlias}:  ImagesByAlias,
}

// asItIs are answers without an assumption, or other ones, which the simulator
// gives anyway or need not give.
var asItIs = []string{
	ecs.QuestionCountToken, ecs.QuestionDenied, ecs.QuestionOffered, ecs.QuestionDirectory, ecs.QuestionThrottleHints, ecs.QuestionForeignToken,
}

// ContradictionsOf are the contradictions under which the simulator behaves as
// a contract says. It refuses answers that cannot be simulated.
func ContradictionsOf(contract *ecs.Contract) ([]string, error) {
	var names []string
	for _, contractQuestion := range ecs.ContractQuestions() {
		answer := contract.Answer(contractQuestion.ID)
		simulated, ok := contradictionOf[[2]string{contractQuestion.ID, answer}]
		switch {
		case ok && !slices.Contains(names, simulated.Name):
			names = append(names, simulated.Name)
		case ok, answer == "", answer == contractQuestion.Assumed, slices.Contains(asItIs, contractQuestion.ID):
		default:
			return nil, fmt.Errorf("%w: the contract's %s is %q, which is not simulated", ErrOptions, contractQuestion.ID, answer)
		}
	}
	if slices.Contains(names, BoundsAfter.Name) && slices.Contains(names, BoundsHalfOpen.Name) {
		names = slices.DeleteFunc(names, func(n string) bool { return n == BoundsAfter.Name || n == BoundsHalfOpen.Name })
		names = append(names, BoundsExclusive.Name)
	}
	return names, nil
}
