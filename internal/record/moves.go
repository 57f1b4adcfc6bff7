package record

import "time"

// Move is what became of an instance that moved to another class of machines,
// beside what was said of it before.
type Move struct {
	Account    string `json:"account"`
	Region     string `json:"region"`
	InstanceID string `json:"instance_id"`
	From       string `json:"from"` // instance types
	To         string `json:"to"`
	Target     string `json:"target"` // the class that it moved to
	// What was said of that class before the move.
	Verdict    string `json:"verdict"`
	Confidence string `json:"confidence"`
	Rule       string `json:"rule"`

	MovedAt time.Time  `json:"moved_at"`                // when it was first seen there
	Running *time.Time `json:"running_since,omitempty"` // since when it is seen Running there; nil where it is not
	Checked time.Time  `json:"checked_at"`              // when it was seen last
	HeardOf bool       `json:"heard_of_before"`         // its guest was heard of before the move

	Result MoveResult `json:"result"`
	Why    string     `json:"why"`
}

// MoveResult is how a move went, as far as it is known.
type MoveResult string

// The results. Up and NotUp stay; the others may become them.
const (
	MoveEarly   MoveResult = "early"   // not Running for long enough to tell
	MoveUp      MoveResult = "up"      // the guest was heard of after the move
	MoveRunning MoveResult = "running" // Running for long enough, and nothing tells whether the guest is up
	MoveNotUp   MoveResult = "not-up"  // Running for long enough, and heard of before the move and not since, or its console log shows that it did not start
	MoveNone    MoveResult = "none"    // stopped, moved on or gone before it could be told: no outcome
)

// MoveScore counts outcomes by what was said and what was seen.
type MoveScore struct {
	Target    string     `json:"target"`
	Verdict   string     `json:"verdict"`
	Result    MoveResult `json:"result"`
	Instances int        `json:"instances"`
}

// MoveOutcomes are the score of what was said before moves, and the moves, those
// first that went otherwise than was said, then the newest.
type MoveOutcomes struct {
	Scores []MoveScore `json:"scores"`
	Wrong  int         `json:"wrong"` // judged compatible and not up
	Moves  []Move      `json:"moves"`
	More   int         `json:"more"` // moves that are known and not in the list
}
