package distro

import (
	"reflect"
	"testing"
)

// A date that is glued to a version is cut off it, and the digits before it are the
// version's: as many as are no part of a month or day between 2000 and 2039.
func TestGluedDates(t *testing.T) {
	for _, c := range []struct {
		digits string
		year   bool // the word for a year follows
		want   int
	}{
		{"620190512", false, 1},
		{"72019053", false, 0},
		{"720190531", false, 1},
		{"720190532", false, 0},
		{"720190500", false, 0},
		{"720191301", false, 0},
		{"720190001", false, 0},
		{"5200001", false, 1},
		{"5199912", false, 0},
		{"5203912", false, 1},
		{"5204001", false, 0},
		{"5203913", false, 0},
		{"5203900", false, 0},
		{"2008201905", false, 4},
		{"12008201905", false, 0},
		{"65201905", false, 2},
		{"201905", false, 0},
		{"20190512", false, 0},
		{"201905121230", false, 0},
		{"5201905121", false, 0},
		{"608920190512", false, 4},
		{"52019051264", false, 1},
		{"52019051232", false, 1},
		{"52019051216", false, 0},
		{"520190564", false, 0},
		{"652019056", false, 0},
		{"6201905121230", false, 0},
		{"7201905201905", false, 1},
		{"5820190512201905", false, 2},
		{"720190512201905", false, 1},
		{"72019051220190512", false, 1},
		{"72019052019051220190512", false, 1},
		{"7201905122019051220190512", false, 0},
		{"652019052019051220190512", false, 2},
		{"52019", true, 1},
		{"2019", true, 0},
		{"12342019", true, 4},
		{"123452019", true, 0},
		{"52040", true, 0},
		{"52019", false, 0},
	} {
		if got := gluedDate(c.digits, c.year); got != c.want {
			t.Errorf("%s (before the word for a year: %t): %d digits stand before a date, want %d", c.digits, c.year, got, c.want)
		}
	}
}

// An id that is drawn by lot has sixteen hexadecimal digits of both kinds; a shorter
// one, or one of other letters, may be a word.
func TestDrawnIDs(t *testing.T) {
	for text, want := range map[string]bool{
		"cafe0123456789ab": true, "cafe0123456789ab centos": true, "cafe0123456789a": false, "cafecafecafecafe": false, "0123456789012345": false,
		"cafe0123456789abz": false, "cafe0123456789abg_": false, "zafe0123456789ab": false, "": false,
	} {
		sc := &scan{s: text, len: len(text)}
		if got := sc.drawn(0) > 0; got != want {
			t.Errorf("%q is drawn by lot: %t", text, got)
		}
	}
}

// A fault in the reading of one name ends nobody who reads it: what the name says is
// not known, and others are read as ever.
func TestAFaultOfReadingSaysNothing(t *testing.T) {
	if got := identify(nil, "CentOS 7.9"); !reflect.DeepEqual(got, Guess{Failed: true}) {
		t.Errorf("a reading that panics: %+v", got)
	}
	if got := Identify("CentOS 7.9"); got.Family != CentOS || got.Version != "7.9" || got.Failed {
		t.Errorf("another name afterwards: %+v", got)
	}
}
