package app

import (
	"context"
	"errors"

	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
)

// Checked is what a good configuration comes to.
type Checked struct {
	Ruleset string
	Waivers int
	Targets []string
	Notes   []string // of waivers that ended or end soon
}

// Check says what is wrong with options, all of it, without opening anything
// that New would open.
func Check(ctx context.Context, o *Options) (*Checked, error) {
	out := &Checked{}
	var errs []error
	c, err := Classifier(o.Rules, o.Targets)
	if errs = append(errs, err); err == nil {
		out.Ruleset, out.Targets, out.Waivers = c.Digest(), c.Targets(), len(c.Ruleset().Definition().Waivers)
		out.Notes = WaiverNotes(c.Ruleset(), o.Now())
	}
	if err := CheckSchedules(o.Schedules); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, TryCrons(ctx, o.Schedules))
	}
	errs = append(errs, o.checkRetention(), o.NATS.Validate())
	if o.HTTP.Listen != "" {
		_, err := o.HTTP.check()
		errs = append(errs, err)
	}
	if o.Roles&(Producer|Worker) != 0 {
		client, err := ecsapi.New(o.Cloud)
		if errs = append(errs, err); err == nil {
			client.Close()
		}
	}
	return out, errors.Join(errs...)
}
