package app_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/app"
)

// A setting that would make the store forget what it just found, or hold what
// nobody can want, is a wrong configuration that is named.
func TestRetentionThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for want, set := range map[string]func(*app.Options){
		"--keep-gone 1m0s": func(o *app.Options) { o.KeepGone = time.Minute },
		"--keep-gone -1h":  func(o *app.Options) { o.KeepGone = -time.Hour },
		"--keep-history":   func(o *app.Options) { o.KeepHistory = 1001 },
		"--keep-scans -1":  func(o *app.Options) { o.KeepScans = -1 },
	} {
		o := options(t)
		set(&o)
		a, err := app.New(t.Context(), o)
		if a != nil {
			a.Close()
		}
		if wrong := (*app.ConfigError)(nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	o := options(t)
	o.KeepGone, o.KeepHistory, o.KeepScans = 24*time.Hour, 5, 10
	serve(t, o)
}
