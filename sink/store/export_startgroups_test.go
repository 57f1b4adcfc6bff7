package store

import (
	"context"
	"fmt"

	"github.com/shenscan/shenscan/internal/record"
)

// StartGroupsBeside is StartGroups where so many other groups were counted before.
func (v *View) StartGroupsBeside(ctx context.Context, others int) (*record.StartGroups, error) {
	count := newStartCount(v)
	for i := range others {
		count.groups[startKey{&scopeSnap{}, record.ScalingGroup, fmt.Sprint("another-", i)}] = &startGroup{}
	}
	if err := v.present(ctx, count.take); err != nil {
		return nil, err
	}
	return count.list()
}
