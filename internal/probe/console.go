package probe

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a console log.
const (
	// maxConsole is how much of a log is looked at: its end, where the last start
	// is.
	maxConsole     = 64 << 10
	maxConsoleLine = 400
	maxExcerpt     = 160
)

// BootEnd is what a console log shows of the end of the last start.
type BootEnd uint8

// The ends.
const (
	BootOpen  BootEnd = iota // none of the others: it may go on, or it was shut down since
	BootLogin                // it came to where somebody can log in
	BootPanic                // the kernel panicked
	BootStuck                // it stopped in an emergency shell or before its kernel
)

// String names the end as it is stored.
func (e BootEnd) String() string {
	return [...]string{"open", "login", "panic", "stuck"}[e]
}

// ParseBootEnd reads what String wrote; other text is BootOpen.
func ParseBootEnd(s string) BootEnd {
	for e := BootLogin; e <= BootStuck; e++ {
		if e.String() == s {
			return e
		}
	}
	return BootOpen
}

// Console is what was read of a console log. Whoever is on the machine can write
// what they want there: each text has a shape of its own and is bounded, and
// nothing else of the log is in it.
type Console struct {
	Kernel string // release of the kernel that was started last, "" where none is shown
	Root   string // the root= of its command line, "" where none is shown
	End    BootEnd
	// Excerpt is the line that tells the end, escaped and cut; "" where there is
	// none.
	Excerpt string
}

var (
	consoleKernel = regexp.MustCompile(`^Linux version ([0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+~_-]{0,60})(?:[ (]|$)`)
	consoleIssue  = regexp.MustCompile(`^Kernel ([0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+~_-]{0,60}) on an? [0-9A-Za-z_]+`)
	consoleRoot   = regexp.MustCompile(`(?:Kernel command line|Command line): .*?\broot=([0-9A-Za-z/=:._-]{1,80})(?:\s|$)`)
	consoleLogin  = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,63} login:\s*$`)
	consoleEscape = regexp.MustCompile("\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-Z\\\\-_])")
	// consoleStamp is the time of the kernel before its messages.
	consoleStamp = regexp.MustCompile(`^\[ *[0-9]+\.[0-9]+\] ?`)
)

// ends are what lines show of the end of a start. The kernel's own and those of
// the first programs are told by how they begin.
var ends = []struct {
	begins string
	end    BootEnd
}{
	{"Kernel panic - not syncing", BootPanic},
	{"VFS: Cannot open root device", BootPanic},
	{"Entering emergency mode", BootStuck},
	{"Generating \"/run/initramfs/rdsosreport.txt\"", BootStuck},
	{"Give root password for", BootStuck},
	{"Dropping to a shell", BootStuck},
	{"ALERT!", BootStuck},
	{"grub rescue>", BootStuck},
	{"You are in emergency mode", BootStuck},
	{"reboot: ", BootOpen},
	{"Restarting system", BootOpen},
	{"Power down", BootOpen},
	{"System halted", BootOpen},
	{"Sending all processes the", BootOpen},
}

// ReadConsole reads the log of the last start.
func ReadConsole(log []byte) Console {
	log = log[max(0, len(log)-maxConsole):]
	var console Console
	for raw := range strings.SplitSeq(strings.ReplaceAll(string(log), "\r", "\n"), "\n") {
		line := consoleLine(raw)
		if line == "" {
			continue
		}
		console.read(line)
	}
	return console
}

// consoleLine is a line without control sequences, the kernel's time and what is
// too long.
func consoleLine(raw string) string {
	raw = raw[:min(len(raw), 4*maxConsoleLine)]
	raw = consoleEscape.ReplaceAllString(raw, "")
	raw = strings.Map(func(char rune) rune {
		if char < ' ' || char == 0x7f || char == utf8.RuneError {
			return -1
		}
		return char
	}, raw)
	raw = consoleStamp.ReplaceAllString(raw, "")
	raw = strings.TrimSpace(raw)
	if len(raw) > maxConsoleLine {
		raw = strings.ToValidUTF8(raw[:maxConsoleLine], "")
	}
	return raw
}

func (c *Console) read(line string) {
	if strings.HasPrefix(line, "Linux version ") { // another start: what was shown before is of an earlier one
		*c = Console{}
		if m := consoleKernel.FindStringSubmatch(line); m != nil {
			c.Kernel = m[1]
		}
		return
	}
	if m := consoleIssue.FindStringSubmatch(line); m != nil && c.Kernel == "" {
		c.Kernel = m[1]
	}
	if m := consoleRoot.FindStringSubmatch(line); m != nil {
		c.Root = m[1]
	}
	if consoleLogin.MatchString(line) && !strings.HasPrefix(line, "Last login") {
		c.End, c.Excerpt = BootLogin, excerpt(line)
		return
	}
	for i := range ends {
		if strings.HasPrefix(line, ends[i].begins) {
			if c.End == BootPanic && ends[i].end != BootPanic {
				return // what comes behind a panic is its aftermath
			}
			c.End, c.Excerpt = ends[i].end, excerpt(line)
			return
		}
	}
}

// excerpt is a line as it may be stored and shown: printable ASCII.
func excerpt(line string) string {
	quoted := strconv.QuoteToASCII(line)
	quoted = quoted[1 : len(quoted)-1]
	return quoted[:min(len(quoted), maxExcerpt)]
}
