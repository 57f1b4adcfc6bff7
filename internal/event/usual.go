package event

import "slices"

// Why nothing is known of a guest that was asked for, and what to do.
const (
	CauseNoAgent     = "it has no agent of Cloud Assistant that was ever heard of, which is no sign that the guest is not up"
	CauseSilent      = "its agent of Cloud Assistant has been silent for more than an hour, which is no sign that the guest is not up"
	CauseRestarted   = "it was started after its last heartbeat"
	CauseFuture      = "its last heartbeat lies in the future"
	CauseOddAgent    = "the answer has a heartbeat of an agent that it says is not there"
	CauseNoStart     = "when it was started last is not told, so that no heartbeat proves anything"
	CauseLeftOut     = "the answer leaves it out"
	CauseShare       = "the share of calls for heartbeats is used up"
	MendShare        = "later scans go on where this one stopped; --heartbeat-share sets the share"
	CauseConsoleOld  = "its console log is of before its last start, or does not tell when it was written"
	CauseConsoleOpen = "its console log shows neither a login nor a failure"
	CauseConsoleBad  = "its console log shows that its last start failed, so that it is not taken for up"
	CauseConsoleCall = "the share of calls for console logs is used up"
	MendConsole      = "later scans go on where this one stopped; --console-share sets the share"
	CauseLogNoStart  = "when it was started last is not told, so that its console log is not read"
)

// usual are the texts that tens of thousands of items of a large fleet have in
// common: messages and stores spell each by its place, counted from 1. Others come
// behind them, and none ever changes its place. With each that is added flatVersion
// and the format of stores get a new number: a program that does not know the
// place would take it for damage.
var usual = [...]string{
	CauseNoAgent,
	CauseSilent,
	CauseRestarted,
	CauseFuture,
	CauseOddAgent,
	CauseNoStart,
	CauseLeftOut,
	CauseShare,
	MendShare,
	CauseConsoleOld,
	CauseConsoleOpen,
	CauseConsoleBad,
	CauseConsoleCall,
	MendConsole,
}

// usual writes a text that is likely to be a usual one: its place, or 0 and itself.
func (w *writer) usual(text string) {
	place := slices.Index(usual[:], text) + 1
	w.uint(uint64(place))
	if place == 0 {
		w.word(text)
	}
}

func (r *reader) usual() string {
	switch place := r.uint(); {
	case place == 0:
		return r.word()
	case place > uint64(len(usual)):
		r.fail("text that nobody knows")
		return ""
	default:
		return usual[place-1]
	}
}
