package distro

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed releases.tsv
var releasesFile string

// Standing says what the table of releases knows of a version.
type Standing uint8

// The standings of a version.
const (
	NoRelease Standing = iota // no such release was ever made
	Listed                    // a release, or a major release of which more is not known
	NextMinor                 // the minor release after the newest of a major that is still maintained
	NewMajor                  // a major release that may have come since the table was made
)

// line is one row of the table: major releases lo to hi and their minors.
type line struct {
	name     string // major release that is no number: "V10", "2008r2", "xp"
	lo, hi   uint32
	minors   []span
	any      bool // any minor release
	bare     bool
	newest   uint32 // minor release
	standing Standing
	living   bool
	order    uint32 // the rows of a family are in the order of its releases
}

// span is the minor releases lo to hi, or the point releases of the minor lo.
type span struct {
	lo, hi           uint32
	points           bool
	pointLo, pointHi uint32
}

type releaseTable map[string][]line

var releases = mustReleases(releasesFile)

func mustReleases(text string) releaseTable {
	releaseTable, err := parseReleases(text)
	if err != nil {
		panic(err) // the embedded table; a test parses it
	}
	return releaseTable
}

func parseReleases(text string) (releaseTable, error) {
	table := releaseTable{}
	number := uint32(0)
	for row := range strings.Lines(text) {
		row = strings.TrimRight(row, "\n")
		if row == "" || row[0] == '#' || strings.HasPrefix(row, "family\t") {
			continue
		}
		fields := strings.Split(row, "\t")
		if len(fields) != 6 {
			return nil, fmt.Errorf("releases: %q has %d columns, not 6", row, len(fields))
		}
		number++
		l := line{bare: fields[3] == "yes", standing: Listed, living: fields[4] == "living", order: number}
		if fields[4] == "new" {
			l.standing = NewMajor
		}
		if lo, hi, ok := numberRange(fields[1]); ok {
			l.lo, l.hi = lo, hi
		} else {
			l.name = strings.ToLower(fields[1])
		}
		if err := l.readMinors(fields[2]); err != nil {
			return nil, fmt.Errorf("releases: %q: %w", row, err)
		}
		table[fields[0]] = append(table[fields[0]], l)
	}
	return table, nil
}

func (l *line) readMinors(text string) error {
	switch text {
	case "-":
		return nil
	case "*":
		l.any = true
		return nil
	}
	for part := range strings.SplitSeq(text, ",") {
		minor, points, dotted := strings.Cut(part, ".")
		lo, hi, ok := numberRange(minor)
		minors := span{lo: lo, hi: hi, points: dotted}
		if dotted && ok {
			minors.pointLo, minors.pointHi, ok = numberRange(points)
		}
		if !ok {
			return fmt.Errorf("%q is no range of minor releases", part)
		}
		l.minors = append(l.minors, minors)
		if hi < 1000 {
			l.newest = max(l.newest, hi)
		}
	}
	return nil
}

func numberRange(s string) (lo, hi uint32, ok bool) {
	a, b, ranged := strings.Cut(s, "-")
	if !ranged {
		b = a
	}
	x, errX := strconv.ParseUint(a, 10, 32)
	y, errY := strconv.ParseUint(b, 10, 32)
	return uint32(x), uint32(y), errX == nil && errY == nil
}

// table returns the rows of a family and edition.
func (t releaseTable) rows(family, edition string) []line {
	if family == OtherLinux {
		if edition == "" {
			return nil
		}
		return t[family+"/"+edition]
	}
	return t[family]
}

// level is a version as the table orders it.
type level struct {
	major, minor, point uint32
	parts               int // how many of them are known
	name                string
}

// stands looks a version up. order puts the releases of a family in a row.
func stands(rows []line, level level) (s Standing, order uint64) {
	for i := range rows {
		line := &rows[i]
		if line.name != level.name || level.major < line.lo || level.major > line.hi {
			continue
		}
		st := line.has(level)
		if st == NoRelease {
			continue
		}
		return st, uint64(line.order)<<44 | uint64(level.major)<<28 | uint64(min(level.minor, 1<<14-1))<<12 | uint64(min(level.point, 1<<12-1))
	}
	return NoRelease, 0
}

func (l *line) has(level level) Standing {
	if level.parts == 1 {
		if l.bare {
			return l.standing
		}
		return NoRelease
	}
	if l.any {
		return l.standing
	}
	for _, span := range l.minors {
		if level.minor < span.lo || level.minor > span.hi {
			continue
		}
		if level.parts == 2 || span.points && level.point >= span.pointLo && level.point <= span.pointHi {
			return l.standing
		}
	}
	if level.parts == 2 && l.living && level.minor == l.newest+1 {
		return NextMinor
	}
	return NoRelease
}

// StandingOf says what the table knows of an identity that Identify returned,
// or that was spelt like one.
func StandingOf(family, edition, version, servicePack string) Standing {
	if version == "" {
		return NoRelease
	}
	level, ok := levelOf(family, version, servicePack)
	if !ok {
		return NoRelease
	}
	if edition == "tumbleweed" && level.parts == 1 && len(version) == 8 {
		return Listed
	}
	s, _ := stands(releases.rows(family, edition), level)
	return s
}

// orderOf is the place of a version among the releases of its family.
func orderOf(family, edition, version, servicePack string) uint64 {
	level, ok := levelOf(family, version, servicePack)
	if !ok {
		return 0
	}
	_, order := stands(releases.rows(family, edition), level)
	return order
}

// Existing is as much of a version as the table knows for the family and edition:
// all of it, its beginning, or "".
func Existing(family, edition, version string) string {
	for version != "" && StandingOf(family, edition, version, "") == NoRelease {
		version = version[:max(0, strings.LastIndexByte(version, '.'))]
	}
	return version
}

// levelOf reads a canonical version.
func levelOf(family, version, servicePack string) (level, bool) {
	depth := level{parts: 1}
	switch family {
	case WindowsServer:
		if len(version) > 4 || version != "" && (version[0] == 'n' || len(version) == 4 && version[2] == 'h') {
			depth.name = version
			return depth, true
		}
	case Kylin:
		if version != "" && (version[0] == 'V' || version[0] == 'v') {
			depth.name = strings.ToLower(version)
			if servicePack != "" {
				depth.parts, depth.point = 3, uint32(atoi(servicePack))
			}
			return depth, true
		}
	case WindowsClient:
		if version != "" && (version[0] < '0' || version[0] > '9') {
			depth.name = version
			return depth, true
		}
	}
	depth.parts = 0
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return level{}, false
		}
		depth.put(uint32(n))
	}
	if servicePack != "" {
		depth.put(uint32(atoi(servicePack)))
	}
	if family == CoreOS || family == Flatcar {
		depth.parts = min(depth.parts, 2) // the rest counts builds
	}
	return depth, depth.parts > 0
}

func (v *level) put(number uint32) {
	switch v.parts {
	case 0:
		v.major = number
	case 1:
		v.minor = number
	case 2:
		v.point = number
	}
	v.parts = min(v.parts+1, 3)
}
