package event

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Subjects of the bus. Those under shenscan.scan, shenscan.rescan,
// shenscan.query, shenscan.events and shenscan.dead are public; the others are
// internal and may change with a version.
const (
	SubjectScan          = "shenscan.scan"
	SubjectRescan        = "shenscan.rescan"
	SubjectQueryInstance = "shenscan.query.instance"
	SubjectQuerySummary  = "shenscan.query.summary"
	SubjectQueryScan     = "shenscan.query.scan"
	SubjectQueryLocate   = "shenscan.query.locate"
	SubjectQueryEvidence = "shenscan.query.evidence"

	SubjectVerdictEvents = "shenscan.events.verdict" // .<account>.<region>
	SubjectScanEvents    = "shenscan.events.scan"    // .<state>
	SubjectLetters       = "shenscan.letters."       // list, retry, drop, aside: what operators ask about dead letters
	SubjectDead          = "shenscan.dead"           // .<stream>.<consumer>

	SubjectSinks  = "shenscan.sink."  // <name of a sink>: who has that name
	SubjectProber = "shenscan.prober" // who asks machines themselves

	subjectWorkScan   = "shenscan.work.scan"
	subjectWorkRescan = "shenscan.work.rescan"
	subjectWorkScope  = "shenscan.work.scope"
	subjectWorkCheck  = "shenscan.work.check"
	subjectWorkLane   = "shenscan.work.lane"
	subjectPagesBulk  = "shenscan.pages.bulk"
	subjectPagesFast  = "shenscan.pages.fast"
	subjectResults    = "shenscan.results"
	subjectSchedule   = "shenscan.schedule"
	subjectTick       = "shenscan.tick"
)

// Route returns the subject that m is published on and its message id. Ids
// are deterministic: a repeat by whichever process has the id of the first.
func Route(m Message) (subject, id string) {
	switch message := m.(type) {
	case *ScanRequested:
		if message.Kind == KindRescan {
			return subjectWorkRescan + "." + Token(message.ScanID), "request/" + message.ScanID
		}
		return subjectWorkScan + "." + Token(message.ScanID), "request/" + message.ScanID
	case *ScopeJob:
		return subjectWorkScope + "." + scopeTokens(message.Scope), join("scope", message.ScanID, message.Scope.String())
	case *LaneJob:
		return subjectWorkLane + "." + scopeTokens(message.Scope), join("lane", message.ScanID, message.Scope.String(), message.Lane)
	case *InstancesListed:
		base := subjectPagesBulk
		if message.Kind == KindRescan {
			base = subjectPagesFast
		}
		return base + "." + scopeTokens(message.Scope), message.pageID("page", message.Page)
	case *InstancesClassified:
		return resultSubject(message.Scope), message.pageID("result", message.Page)
	case *ScanPlanned:
		return subjectResults + ".control", join("planned", message.ScanID, strconv.FormatInt(message.Epoch.UnixNano(), 36), Token(message.Part))
	case *ScopePlanned:
		return resultSubject(message.Scope), join("scope-planned", message.ScanID, message.Scope.String(), message.Plan)
	case *LaneEnded:
		return resultSubject(message.Scope), join("lane-ended", message.ScanID, message.Scope.String(), message.Lane, message.Walk)
	case *ScopeCheck:
		return subjectWorkCheck + "." + scopeTokens(message.Scope), join("check", message.ScanID, message.Scope.String(), message.Question, strconv.Itoa(message.Part))
	case *ScopeChecked:
		return resultSubject(message.Scope), join("checked", message.ScanID, message.Scope.String(), message.Question, strconv.Itoa(message.Part))
	case *ScopeFailed:
		return resultSubject(message.Scope), join("scope-failed", message.ScanID, message.Scope.String())
	case *PageFailed:
		return resultSubject(message.Scope), join("page-failed", message.ScanID, message.Scope.String(), message.Lane, message.Walk, strconv.Itoa(message.Page))
	case *EvidenceRead:
		return resultSubject(message.Scope), join("evidence", message.Source, message.Scope.String(), strconv.FormatInt(message.At.UnixNano(), 36), message.itemsID())
	case *ScanAborted:
		return subjectResults + ".control", join("aborted", message.ScanID)
	}
	return "", ""
}

// itemsID names the items of one worker's moment.
func (m *EvidenceRead) itemsID() string {
	hash := fnv.New64a()
	for i := range m.Items {
		_, _ = hash.Write([]byte(m.Items[i].ID))
		_, _ = hash.Write([]byte{0})
	}
	return strconv.FormatUint(hash.Sum64(), 36)
}

func scopeTokens(s ecs.Scope) string { return Token(s.Account) + "." + Token(s.Region) }

func resultSubject(s ecs.Scope) string { return subjectResults + "." + scopeTokens(s) }

func (w *Walk) pageID(what string, page int) string {
	return join(what, w.ScanID, w.Scope.String(), w.Lane, w.Walk, strconv.Itoa(page))
}

func join(parts ...string) string { return strings.Join(parts, "/") }

// ScopeKey identifies what a scan request asks for, whoever asks: two requests
// with the same key for a running scan are one scan.
func (m *ScanRequested) ScopeKey() string {
	hash := fnv.New64a()
	for _, list := range [][]string{m.Accounts, m.Regions, m.InstanceIDs} {
		for _, s := range list {
			_, _ = hash.Write([]byte(s))
			_, _ = hash.Write([]byte{0})
		}
		_, _ = hash.Write([]byte{1})
	}
	return string(m.Kind) + "-" + strconv.FormatUint(hash.Sum64(), 36)
}

// terminalError marks an error whose message must not be tried again.
type terminalError struct{ error }

func (t terminalError) Unwrap() error { return t.error }

// Terminal marks err as one that no retry can mend: its message goes to the
// dead letters at once.
func Terminal(err error) error { return terminalError{err} }

// IsTerminal reports whether err, or an error it wraps, was marked Terminal.
func IsTerminal(err error) bool {
	_, ok := errors.AsType[terminalError](err)
	return ok
}

type retryAfterError struct {
	error
	after time.Duration
}

func (r retryAfterError) Unwrap() error { return r.error }

// RetryAfter asks for its message to be delivered again after d.
func RetryAfter(err error, d time.Duration) error { return retryAfterError{err, d} }

// RetryDelay returns the delay that RetryAfter asked for.
func RetryDelay(err error) (time.Duration, bool) {
	r, ok := errors.AsType[retryAfterError](err)
	return r.after, ok
}

// SameSalt reports whether two ids of NewScanID were made with the same salt:
// both are of one schedule.
func SameSalt(a, b string) bool {
	return a[strings.LastIndexByte(a, '-')+1:] == b[strings.LastIndexByte(b, '-')+1:]
}

// NewScanID names a scan. Scans of a schedule pass the tick they belong to, so
// that every process names the scan of one tick alike.
func NewScanID(kind Kind, at time.Time, salt string) string {
	hash32 := fnv.New32a()
	_, _ = hash32.Write([]byte(salt))
	prefix := "s"
	if kind == KindRescan {
		prefix = "r"
	}
	return fmt.Sprintf("%s-%s-%07s", prefix, at.UTC().Format("20060102T150405"), strconv.FormatUint(uint64(hash32.Sum32()), 36))
}
