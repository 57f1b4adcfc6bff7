package store

import (
	"strconv"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
)

// A wave that only a later version knows is not counted as open, and neither is a target
// that the class says nothing of: what a file holds must not end the process.
func TestAWaveThatNobodyKnowsIsNotOpen(t *testing.T) {
	var standings []byte
	for wave := range perWave {
		standings = append(standings, outcome.Standing{Wave: wave}.Byte())
	}
	class := outcome.Class{Standings: string(standings)}
	for wave := range perWave + 1 {
		if want := wave < len(allWaves) && allWaves[wave].Open(); open(&class, wave) != want {
			t.Errorf("wave %d is open: %t", wave, !want)
		}
	}
}

// What becomes known of an installation is told apart from what was done to it: an image
// or a machine that had not been asked before says nothing new of either.
func TestWhatAnswersForTheFirstTimeWasNotChanged(t *testing.T) {
	image := rules.Facts{OSName: "a system of our own", Image: rules.ImageFacts{Presence: rules.ImageFound, OSName: "CentOS 7.9"}}
	other := image
	other.Image.OSName = "Debian 12"
	guest := rules.Facts{OSName: image.OSName, Image: image.Image, Guest: rules.GuestFacts{Release: "CentOS Linux release 7.9.2009 (Core)"}}
	otherGuest := guest
	otherGuest.Guest.Release = "Debian GNU/Linux 12"
	notAsked := rules.Facts{OSName: image.OSName}
	up, offered := image, image
	up.Running, up.Guest.Up = rules.Yes, rules.Yes
	offered.Image.Offered, offered.Image.Refused, offered.Image.Fleet = "ecs.g6", "ecs.g7", "ecs.g6=1"
	for name, c := range map[string]struct {
		before, after rules.Facts
		learnt        bool
	}{
		"the same":                           {image, image, true},
		"an image is asked for":              {notAsked, image, true},
		"an image cannot be asked for now":   {image, notAsked, true},
		"an image says something else":       {image, other, false},
		"a machine answers":                  {image, guest, true},
		"a machine does not answer any more": {guest, image, true},
		"a machine answers otherwise":        {guest, otherGuest, false},
		"it is seen to run, and to be up":    {image, up, true},
		"the platform is asked":              {image, offered, true},
		"the image is replaced":              {image, rules.Facts{OSName: image.OSName, ImageID: "m-2", Image: image.Image}, false},
	} {
		if got := onlyEvidence(c.before, c.after); got != c.learnt {
			t.Errorf("%s: it was only learnt: %t", name, got)
		}
	}
}

// Counts by owner are remembered where they are few for their scope, and only while every
// owner is told apart: the next count may have others beyond its bound, and an owner
// would be counted under its name in one region and not in another.
func TestCountsByOwnerAreRememberedWhereTheyAreFewAndWhole(t *testing.T) {
	for _, c := range []struct {
		present, counts, owners int
		want                    bool
	}{
		{0, 1024, 1, true},
		{1024, 1025, 1, false},
		{4100, 1025, 1, true},
		{4099, 1025, 1, false},
		{0, 1, maxOwners - 1, true},
		{0, 1, maxOwners, false},
	} {
		if got := (&scope{present: c.present}).keepsOwned(c.counts, c.owners); got != c.want {
			t.Errorf("%d counts of %d owners in a scope of %d instances are remembered: %t", c.counts, c.owners, c.present, got)
		}
	}
}

// As many owners are told apart as may be, and whoever was is told apart from then on.
func TestOwnersAreToldApartUpToABound(t *testing.T) {
	named := owners{}
	for n := range maxOwners {
		if name := strconv.Itoa(n); named.name(name) != name {
			t.Fatalf("owner %s is not told apart", name)
		}
	}
	if got := named.name("one more"); got != beyond || named.name("0") != "0" || len(named) != maxOwners {
		t.Errorf("one more is counted as %q, and the first as %q, of %d", got, named.name("0"), len(named))
	}
}
