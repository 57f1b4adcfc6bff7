package format

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt is returned, wrapped, for bytes that are damaged.
	ErrCorrupt = errors.New("store is damaged")
	// ErrNewer is returned, wrapped, for a value that a newer shenscan wrote.
	ErrNewer = errors.New("store was written by a newer shenscan")
)

// OrCorrupt returns err, or ErrCorrupt with the text where there is none.
func OrCorrupt(err error, text string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrCorrupt, text)
}
