package ecs

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Contract is how the API of an account behaves where its documents leave it
// open or disagree, as it was seen to behave on a day. It holds no id and no
// name of anything in the account.
type Contract struct {
	Day     string           `json:"day"` // "2026-11-29"
	Answers []ContractAnswer `json:"answers"`
}

// ContractAnswer is what was seen of one question.
type ContractAnswer struct {
	Question string `json:"question"` // id of a ContractQuestion
	Answer   string `json:"answer"`   // "" where the account's fleet could not settle it
	Detail   string `json:"detail,omitempty"`
}

// ContractQuestion is something about the API that documents do not settle.
type ContractQuestion struct {
	ID      string
	Asks    string
	Assumed string // the answer that shenscan takes for granted; "" for none
	Does    string // what shenscan does where the answer is another one
}

// Ids of the questions of a Contract.
const (
	QuestionStart         = "creation-start"
	QuestionEnd           = "creation-end"
	QuestionFilters       = "creation-filters"
	QuestionOrder         = "filter-order"
	QuestionCount         = "total-count"
	QuestionCountToken    = "total-count-beside-token"
	QuestionMaxResults    = "max-results"
	QuestionLastToken     = "last-token"
	QuestionUnknownToken  = "unknown-token"
	QuestionForeignToken  = "token-of-another-query"
	QuestionDryRun        = "dry-run"
	QuestionDryRunEmpty   = "dry-run-in-an-empty-region"
	QuestionDenied        = "dry-run-without-permission"
	QuestionRows          = "region-of-rows"
	QuestionInstanceIDs   = "instance-ids"
	QuestionUnknownID     = "unknown-instance-id"
	QuestionImageIDs      = "image-ids"
	QuestionImageOwners   = "image-owners"
	QuestionUnknownImage  = "unknown-image-id"
	QuestionOffered       = "types-of-images"
	QuestionDirectory     = "directory-statuses"
	QuestionThrottleHints = "throttle-hints"
)

// Answers to the questions of a Contract.
const (
	AnswerInclusive = "inclusive"
	AnswerExclusive = "exclusive"
	AnswerNarrow    = "narrow lists and counts"
	AnswerCounts    = "narrow counts alone"
	AnswerIgnored   = "ignored"
	AnswerAnyPlace  = "by key, in any place"
	AnswerByPlace   = "by place, ignored elsewhere"
	AnswerRefused   = "refused"
	AnswerGiven     = "given"
	AnswerMissing   = "missing"
	AnswerZero      = "zero"
	AnswerKept      = "kept"
	AnswerNone      = "none on the last page"
	AnswerOne       = "one on the last page too"
	AnswerByCode    = "refused as a token"
	AnswerAccepted  = "accepted"
	AnswerAllowed   = "DryRunOperation"
	AnswerOwn       = "of the region that was asked"
	AnswerOthers    = "of other regions too"
	AnswerAll       = "all of them"
	AnswerFirst     = "the first 20 alone"
	AnswerFewer     = "some of them"
	AnswerEmpty     = "an empty list"
	AnswerUnasked   = "others that were not asked for"
	AnswerShown     = "shown without being asked for"
	AnswerByAlias   = "shown only to those who ask for the owner"
)

// ContractQuestions lists the questions in the order of a Contract.
func ContractQuestions() []ContractQuestion {
	return []ContractQuestion{
		{QuestionCount, "TotalCount beside PageNumber", AnswerGiven, "a region is one lane, and its chain alone is believed"},
		{QuestionCountToken, "TotalCount beside MaxResults", "", ""},
		{QuestionMaxResults, "MaxResults=100", AnswerKept, "pages are read as they come, in more calls"},
		{QuestionRows, "RegionId of the rows", AnswerOwn, "rows of other regions are left out, and the region is partial"},
		{QuestionFilters, "CreationStartTime and CreationEndTime", AnswerNarrow, "a region whose lists and counts disagree is partial"},
		{QuestionStart, "CreationStartTime", AnswerInclusive, "each lane asks for a minute more on both sides and drops what is another's"},
		{QuestionEnd, "CreationEndTime", AnswerInclusive, "each lane asks for a minute more on both sides and drops what is another's"},
		{QuestionOrder, "filters in another order than documented", AnswerAnyPlace, "they are always sent in the documented order"},
		{QuestionLastToken, "NextToken", AnswerNone, "the empty page behind it is read and proved by a dry run"},
		{QuestionUnknownToken, "a NextToken that is none", AnswerByCode, "a lane whose token is refused otherwise fails and is partial: tell the code to shenscan's maintainers"},
		{QuestionForeignToken, "a NextToken with another query", AnswerByCode, "none: tokens are sent with the query that they came of"},
		{QuestionDryRun, "DryRun where permission is given", AnswerAllowed, "access cannot be proved, and regions without instances are partial"},
		{QuestionDryRunEmpty, "DryRun in a region without instances", AnswerAllowed, "access cannot be proved, and regions without instances are partial"},
		{QuestionDenied, "DryRun without permission", "", ""},
		{QuestionInstanceIDs, "InstanceIds", AnswerAll, "the rest is asked for again; others that were not asked for are a doubt"},
		{QuestionUnknownID, "an instance id that is not there", AnswerEmpty, "a rescan says not read instead of not found"},
		{QuestionImageIDs, "ids in ImageId", AnswerAll, "the rest is asked for again; where others come that were not asked for, the images count as not read"},
		{QuestionImageOwners, "images of the marketplace, the community and other accounts", AnswerShown, "each owner is asked for before an image counts as deleted"},
		{QuestionUnknownImage, "an image id that is not there", AnswerEmpty, "ids that the API refuses are asked for alone"},
		{QuestionOffered, "types on which an old public image is offered, beside those of a current one", "", ""},
		{QuestionDirectory, "statuses of the directory's members", "", ""},
		{QuestionThrottleHints, "headers of throttled answers", "", ""},
	}
}

// ErrContract is a file that is no Contract.
var ErrContract = errors.New("this is no contract that shenscan doctor --api-contract wrote")

// ParseContract reads a Contract and refuses questions that are not known.
func ParseContract(b []byte) (*Contract, error) {
	var contract Contract
	if err := json.Unmarshal(b, &contract); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContract, err)
	}
	if len(contract.Answers) == 0 {
		return nil, fmt.Errorf("%w: it has no answers", ErrContract)
	}
	for _, a := range contract.Answers {
		if !slices.ContainsFunc(ContractQuestions(), func(q ContractQuestion) bool { return q.ID == a.Question }) {
			return nil, fmt.Errorf("%w: no question is called %q", ErrContract, a.Question)
		}
	}
	return &contract, nil
}

// Answer is what the contract says of a question, "" where it is not settled.
func (c *Contract) Answer(question string) string {
	for _, a := range c.Answers {
		if a.Question == question {
			return a.Answer
		}
	}
	return ""
}
