package distro_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules/distro"
)

// However much white space stands in a name, all of its words are read; what is encoded
// is decoded as far as a name can be long, and not beyond.
func TestLongNamesAreReadToTheirBounds(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"white space":         {"CentOS" + strings.Repeat(" ", 9000) + "5.8", "5.8"},
		"encoded white space": {"CentOS%205.8" + strings.Repeat("%20", 5000) + "CentOS%204.2", "5.8"},
	} {
		if got := distro.Identify(c.text); got.Family != distro.CentOS || got.Version != c.want || len(got.Also) > 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Of more words or more text than are looked at it is said that not all were read: what is
// named behind them may be the system.
func TestWhatIsNotReadIsSaid(t *testing.T) {
	for n, want := range map[int]bool{191: false, 192: false, 193: true} {
		if got := distro.Identify(strings.Repeat("x ", n)); got.Cut != want {
			t.Errorf("%d words: cut %t", n, got.Cut)
		}
	}
	for n, want := range map[int]bool{1023: false, 1024: false, 1025: true} {
		if got := distro.Identify(strings.Repeat("x", n)); got.Cut != want {
			t.Errorf("%d letters: cut %t", n, got.Cut)
		}
	}
}

// The last run of digits that is looked at may be a year, a number and a date: all of them
// are read, and nothing behind them.
func TestALongTextIsReadToItsLastWord(t *testing.T) {
	got := distro.Identify(strings.Repeat("x ", 190) + "win 2008520190101")
	if got.Family != distro.WindowsServer || got.Version != "2008" || got.Cut {
		t.Errorf("%+v", got)
	}
}

// Versions of Kylin stand in the table whichever case their V is written in, and those
// without one as well.
func TestVersionsOfKylinStandInTheTable(t *testing.T) {
	for version, want := range map[string]distro.Standing{"V10": distro.Listed, "v10": distro.Listed, "V99": distro.NoRelease, "7.0": distro.Listed, "7.99": distro.NoRelease, "": distro.NoRelease} {
		if got := distro.StandingOf(distro.Kylin, "", version, ""); got != want {
			t.Errorf("%q: %d, want %d", version, got, want)
		}
	}
}

// A full-width mark, digit or letter says what its ASCII form says.
func TestFullWidthFormsSayWhatTheirASCIIFormsSay(t *testing.T) {
	for char := rune('!'); char <= '~'; char++ {
		if strings.ContainsRune("%&\\", char) {
			continue // what begins something encoded is decoded before
		}
		for _, name := range []string{"Rocky|9.3", "CentOS 6|7", "Windows Server 2008|R2"} {
			ascii, wide := distro.Identify(strings.ReplaceAll(name, "|", string(char))), distro.Identify(strings.ReplaceAll(name, "|", string(char-'!'+0xFF01)))
			if !reflect.DeepEqual(ascii, wide) {
				t.Errorf("%s with %q: %+v, and full-width %+v", name, char, ascii, wide)
			}
		}
	}
}

// A word of another script stands between a name and a number as any other word does:
// from the first character of each script to its last.
func TestWordsOfOtherScriptsAreWords(t *testing.T) {
	want := distro.Identify("CentOS foo 5.8")
	if want.Version != "" || len(want.Also) != 1 {
		t.Fatalf("%+v", want)
	}
	for _, char := range []rune{0x3400, 0x4E00, 0x9FFF, 0x30A2, 0x30FF, 0xAC00, 0xD7A3} {
		if got := distro.Identify("CentOS " + string(char) + " 5.8"); !reflect.DeepEqual(got, want) {
			t.Errorf("%U: %+v", char, got)
		}
	}
}

// A byte that is no UTF-8, as texts of another encoding have, separates as a space does.
func TestBytesOfAnotherEncodingSeparate(t *testing.T) {
	for b := 0x80; b <= 0xFF; b++ {
		if got := distro.Identify("Rocky" + string([]byte{byte(b)}) + "9.3"); got.Family != distro.Rocky || got.Version != "9.3" {
			t.Errorf("%x: %+v", b, got)
		}
	}
}
