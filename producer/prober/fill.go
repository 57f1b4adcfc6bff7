package prober

import (
	"context"
	"errors"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Filler gives instances what is kept of them, where it is believed.
type Filler struct {
	Book interface {
		Guests(ctx context.Context, s ecs.Scope, ids []string) (map[string]Guest, error)
	}
	// Lost, where it is not nil, says what of the Book is lost.
	Lost func() error
	Now  func() time.Time
}

// Fill sets Guest of the instances of which an answer is kept that is evidence
// for them as they are now. An error says that there is more, which could not be
// read; what could be is filled in all the same.
func (f Filler) Fill(ctx context.Context, scope ecs.Scope, instances []ecs.Instance) error {
	ids := make([]string, len(instances))
	for i := range instances {
		ids[i] = instances[i].ID
	}
	known, err := f.Book.Guests(ctx, scope, ids)
	if f.Lost != nil {
		err = errors.Join(err, f.Lost())
	}
	now := f.Now()
	for i := range instances {
		x := &instances[i]
		if g, ok := known[x.ID]; ok && g.Believed(x.ImageID, x.Type, now) {
			x.Guest = &g.Facts
		}
	}
	return err
}
