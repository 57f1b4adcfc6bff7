package app_test

import (
	"slices"
	"testing"

	"github.com/shenscan/shenscan/internal/app"
)

// A target that is named twice is judged and shown once.
func TestATargetIsJudgedOnce(t *testing.T) {
	t.Parallel()
	classifier, err := app.Classifier(nil, []string{"kvm", "ecs.g8i", "kvm"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := classifier.Targets(), []string{"kvm", "ecs.g8i"}; !slices.Equal(got, want) {
		t.Errorf("judged are %q, want %q", got, want)
	}
}
