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
func Check(ctx context.Context, options *Options) (*Checked, error) {
	out := &Checked{}
	var errs []error
	classifier, err := Classifier(options.Rules, options.Targets)
	if errs = append(errs, err); err == nil {
		out.Ruleset, out.Targets, out.Waivers = classifier.Digest(), classifier.Targets(), len(classifier.Ruleset().Definition().Waivers)
		out.Notes = WaiverNotes(classifier.Ruleset(), options.Now())
	}
	if err := checkSchedules(options.Schedules); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, tryCrons(ctx, options.Schedules))
	}
	errs = append(errs, options.checkRetention(), options.NATS.Validate())
	if options.HTTP.Listen != "" {
		_, err := options.HTTP.check()
		errs = append(errs, err)
	}
	if options.Roles&(Producer|Worker) != 0 {
		client, err := ecsapi.New(options.Cloud)
		if errs = append(errs, err); err == nil {
			client.Close()
		}
	}
	return out, errors.Join(errs...)
}
