package record

import (
	"slices"
	"time"
)

// What the cloud says of changing an instance to a type.
const (
	ChangeOffered  = "offered"
	ChangeDisks    = "offered-after-disks"     // once the category of its disks was changed
	ChangeClusters = "offered-across-clusters" // by a move to another cluster of its zone
	ChangeSoldOut  = "sold-out"                // offered, and not to be had now
	ChangeRefused  = "not-offered"
	ChangeNotKnown = "not-known" // it was asked, and the answer does not tell
	ChangeUnasked  = "not-asked" // the calls that were allowed were used up
)

// OfferedChange is what the cloud says of one instance and the type that a plan
// recommends.
type OfferedChange struct {
	Type    string    `json:"type"`
	State   string    `json:"state"`
	Why     string    `json:"why,omitempty"` // it is not known
	AskedAt time.Time `json:"asked_at"`
}

// Against says whether the answer speaks against moving the instance as it is; nil
// does not.
func (c *OfferedChange) Against() bool {
	return c != nil && slices.Contains([]string{ChangeDisks, ChangeClusters, ChangeSoldOut, ChangeRefused}, c.State)
}
