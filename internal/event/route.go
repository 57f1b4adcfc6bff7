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
	subjectControl    = subjectResults + ".control"
)

// Route returns the subject that message is published on and its message id. Ids
// are deterministic: a repeat by whichever process has the id of the first.
func Route(message Message) (subject, id string) { return message.route() }

func (m *ScanRequested) route() (subject, id string) {
	if m.Kind == KindRescan {
		return subjectWorkRescan + "." + Token(m.ScanID), "request/" + m.ScanID
	}
	return subjectWorkScan + "." + Token(m.ScanID), "request/" + m.ScanID
}

func (m *ScopeJob) route() (subject, id string) {
	return subjectWorkScope + "." + scopeTokens(m.Scope), join("scope", m.ScanID, m.Scope.String())
}

func (m *LaneJob) route() (subject, id string) {
	return subjectWorkLane + "." + scopeTokens(m.Scope), join("lane", m.ScanID, m.Scope.String(), m.Lane)
}

func (m *InstancesListed) route() (subject, id string) {
	base := subjectPagesBulk
	if m.Kind == KindRescan {
		base = subjectPagesFast
	}
	return base + "." + scopeTokens(m.Scope), m.pageID("page", m.Page)
}

func (m *InstancesClassified) route() (subject, id string) {
	return resultSubject(m.Scope), m.pageID("result", m.Page)
}

func (m *ScanPlanned) route() (subject, id string) {
	return subjectControl, join("planned", m.ScanID, strconv.FormatInt(m.Epoch.UnixNano(), 36), Token(m.Part))
}

func (m *ScopePlanned) route() (subject, id string) {
	return resultSubject(m.Scope), join("scope-planned", m.ScanID, m.Scope.String(), m.Plan)
}

func (m *LaneEnded) route() (subject, id string) {
	return resultSubject(m.Scope), join("lane-ended", m.ScanID, m.Scope.String(), m.Lane, m.Walk)
}

func (m *ScopeCheck) route() (subject, id string) {
	return subjectWorkCheck + "." + scopeTokens(m.Scope), join("check", m.ScanID, m.Scope.String(), m.Question, strconv.Itoa(m.Part))
}

func (m *ScopeChecked) route() (subject, id string) {
	return resultSubject(m.Scope), join("checked", m.ScanID, m.Scope.String(), m.Question, strconv.Itoa(m.Part))
}

func (m *ScopeFailed) route() (subject, id string) {
	return resultSubject(m.Scope), join("scope-failed", m.ScanID, m.Scope.String())
}

func (m *PageFailed) route() (subject, id string) {
	return resultSubject(m.Scope), join("page-failed", m.ScanID, m.Scope.String(), m.Lane, m.Walk, strconv.Itoa(m.Page))
}

func (m *EvidenceRead) route() (subject, id string) {
	return resultSubject(m.Scope), join("evidence", m.Source, m.Scope.String(), strconv.FormatInt(m.At.UnixNano(), 36), m.itemsID())
}

func (m *ScanAborted) route() (subject, id string) {
	return subjectControl, join("aborted", m.ScanID)
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

// RetryDelay returns the delay that RetryAfter asked for, in err or an error that it wraps;
// false where it asked for none.
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
