package ecssim

import (
	"fmt"
	"strings"
	"time"
)

// consoleZone is that of LastUpdateTime.
var consoleZone = time.FixedZone("UTC+8", 8*60*60)

// consoleOutput answers GetInstanceConsoleOutput: the log of the last start.
func (s *Simulator) consoleOutput(call *call, sc *scope) (object, *apiError) {
	id := call.params.get("InstanceId")
	if id == "" {
		return nil, errMissing("InstanceId")
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	in, ok := sc.find(id)
	if !ok {
		return nil, &apiError{404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist."}
	}
	g := sc.guest(&in)
	log, at := g.console(in.h), time.Unix(in.started()*60, 0).Add(40*time.Second)
	if g.kind.osType() == "windows" {
		log = ""
	}
	switch {
	case s.against(ConsoleOfOthers):
		id = "i-" + sc.region.prefix + "nobodysinstance00"
	case s.against(ConsoleOld):
		at = at.Add(-48 * time.Hour)
	case s.against(ConsoleGarbled):
		log = "\x1b]0;\x00\xff" + strings.Repeat("login: \x1b[2J\xfe", 500) + log[:len(log)/2]
	}
	return object{"InstanceId": id, "LastUpdateTime": at.In(consoleZone).Format(time.DateTime), "ConsoleOutput": []byte(log)}, nil
}

// console is what the guest's last start wrote.
func (g *guest) console(sum uint64) string {
	var text strings.Builder
	fmt.Fprintf(&text, "[    0.000000] Linux version %s (build@host) (gcc version 4.8.5) #1 SMP\r\n", g.kernel)
	text.WriteString("[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=UUID=1114fe9e-2309-4580-b183-d778e6d97397 ro console=ttyS0\r\n")
	text.WriteString("[    0.512345] Freeing unused kernel memory\r\n")
	if g.failed {
		text.WriteString("[    1.712345] VFS: Cannot open root device \"UUID=1114fe9e\" or unknown-block(0,0): error -6\r\n")
		text.WriteString("[    1.712399] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n")
		return text.String()
	}
	fmt.Fprintf(&text, "\r\nKernel %s on an x86_64\r\n\r\niZ%08xZ login: ", g.kernel, uint32(sum))
	return text.String()
}
