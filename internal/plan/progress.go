package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules/waves"
)

// Progress is the burn-down of one target: how many instances still need work
// before they can move, how many did at an earlier moment, and what made the
// difference.
type Progress struct {
	Target string `json:"target"`
	// Sentence says it in one: "1,152 of 12,000 instances still need work before
	// shenlong-6: 12 fewer than 7 days ago". Notes are what speaks against reading
	// more into it.
	Sentence string       `json:"sentence"`
	Notes    []string     `json:"notes"`
	Now      ProgressMark `json:"now"`
	// Then is the moment that Now is compared with; null where there is none.
	Then *ProgressMark `json:"then"`
	// Moves are of the time between the two, and Change what they come to without
	// those of the rules, which mend nothing.
	Moves  record.Moves `json:"moves"`
	Change int          `json:"change"`
	// Unexplained is by how much the open ones grew beyond the moves: in times in
	// which the target was not judged.
	Unexplained int            `json:"unexplained"`
	OwnerTags   []string       `json:"owner_tags"`
	Owners      []ProgressPart `json:"owners"` // those behind first; empty where no owner tag was configured
	Accounts    []ProgressPart `json:"accounts"`
	Regions     []ProgressPart `json:"regions"`
	Points      []ProgressMark `json:"points"` // the oldest first, the newest is Now
}

// ProgressMark is the fleet at one moment, on the target.
type ProgressMark struct {
	Number    uint64           `json:"number"`
	At        time.Time        `json:"at"`
	Kind      string           `json:"kind"` // scan, or rules where other rules judged
	ScanID    string           `json:"scan_id"`
	State     record.ScanState `json:"state"` // of the last scan
	Ruleset   string           `json:"ruleset"`
	Instances int              `json:"instances"`
	record.Standing
	Moves record.Moves `json:"moves"` // since the point before
}

// ProgressPart is the part of one owner, account or region.
type ProgressPart struct {
	Name      string `json:"name"` // "" for instances without an owner
	Rest      bool   `json:"rest"` // what is left beside the named ones
	Instances int    `json:"instances"`
	Open      int    `json:"open"`
	// Then is how many were open, null where that is not known, and Change the
	// difference. Rules that judged otherwise are in it.
	Then   *int `json:"then"`
	Change *int `json:"change"`
	// Behind says that some are open, and no fewer than there were.
	Behind bool           `json:"behind"`
	Waves  map[string]int `json:"waves"`
	Note   string         `json:"note,omitempty"`
}

// ErrNoProgress is returned where no scan has ended yet.
var ErrNoProgress = errors.New("no scan has ended since progress is counted")

// ErrNotJudged is returned for a target that the stored fleet is not judged for.
var ErrNotJudged = errors.New("progress is counted for the targets that the store judges")

// ErrNoSuchPoint is returned for a scan at whose end no progress is remembered.
var ErrNoSuchPoint = errors.New("no progress is remembered of scan")

// ProgressSource is where progress is read; *store.DB is one.
type ProgressSource interface {
	Points(n int) ([]record.ProgressPoint, error)
	Progress(number uint64) (*record.Progress, error)
}

// Owners are the tags by which the last scan counted owners, and whether what has
// none of them counted for its account: whose an instance is, where nobody says.
func Owners(src ProgressSource) (tags []string, account bool, err error) {
	points, err := src.Points(1)
	if err != nil {
		return nil, false, fmt.Errorf("read who owns what: %w", err)
	}
	if len(points) == 0 {
		return nil, false, nil
	}
	return points[0].OwnerTags, points[0].OwnerAccount, nil
}

// maxPoints is more than a store keeps.
const maxPoints = 2000

// staleAfter is after how long without a scan the progress says so.
const staleAfter = 36 * time.Hour

// Beginning says what the newest point is compared with: the last point at or
// before a moment, or else the oldest one.
type Beginning struct {
	Scan string        // the point of this scan, where it is not ""
	At   time.Time     // or this moment
	Ago  time.Duration // or so long before the newest point; 0 is a week
}

// Week is what progress is compared over where nobody says.
const Week = 7 * 24 * time.Hour

// NewProgress compares the newest point with an earlier one. now is the clock of
// who asks.
func NewProgress(src ProgressSource, target string, from Beginning, now time.Time) (*Progress, error) {
	points, err := src.Points(maxPoints)
	if err != nil {
		return nil, fmt.Errorf("read the progress: %w", err)
	}
	if len(points) == 0 {
		return nil, ErrNoProgress
	}
	last := &points[len(points)-1]
	if !slices.Contains(last.Targets, target) {
		return nil, fmt.Errorf("%w: %s; not %s", ErrNotJudged, strings.Join(last.Targets, ", "), report.Short(target, 40))
	}
	compared := comparison{target: target, points: points, p: &Progress{
		Target: target, Notes: []string{}, OwnerTags: last.OwnerTags, Owners: []ProgressPart{}, Points: []ProgressMark{},
	}}
	if compared.now, err = src.Progress(last.Number); err != nil {
		return nil, fmt.Errorf("read the progress: %w", err)
	}
	since := from.At
	if since.IsZero() {
		since = last.At.Add(-cmp.Or(from.Ago, Week))
	}
	if from.Scan != "" {
		at := slices.IndexFunc(points, func(p record.ProgressPoint) bool { return p.ScanID == from.Scan })
		if at < 0 {
			return nil, fmt.Errorf("%w %q", ErrNoSuchPoint, report.Short(from.Scan, 60))
		}
		since = points[at].At
	}
	compared.choose(since)
	if compared.thenAt >= 0 {
		if compared.then, err = src.Progress(points[compared.thenAt].Number); err != nil {
			return nil, fmt.Errorf("read the progress: %w", err)
		}
	}
	compared.marks()
	compared.sentence()
	compared.notes()
	if age := now.Sub(last.At); age > staleAfter {
		compared.p.Notes = append(compared.p.Notes, fmt.Sprintf("The last of it is %s old.", report.Span(age)))
	}
	compared.parts()
	return compared.p, nil
}

// comparison makes a Progress.
type comparison struct {
	p         *Progress
	target    string
	points    []record.ProgressPoint
	now, then *record.Progress
	thenAt    int  // index of then in points, -1 for none
	oldest    bool // then is the oldest point, and later than was asked for
	judged    bool // then is the first point at which the target was judged, and later than was asked for
}

// choose finds the point to compare with: the last one at or before since that
// judged the target, or the first one after it.
func (c *comparison) choose(since time.Time) {
	c.thenAt = -1
	last := len(c.points) - 1
	for i := range c.points[:last] {
		if !slices.Contains(c.points[i].Targets, c.target) {
			continue
		}
		if early := !c.points[i].At.After(since); early || c.thenAt < 0 {
			c.thenAt = i
			c.oldest, c.judged = !early && i == 0, !early && i > 0
		}
	}
}

func (c *comparison) mark(progressPoint *record.ProgressPoint) ProgressMark {
	return ProgressMark{
		Number: progressPoint.Number, At: progressPoint.At, Kind: progressPoint.Kind, ScanID: progressPoint.ScanID, State: progressPoint.State, Ruleset: progressPoint.Ruleset,
		Instances: progressPoint.Instances, Standing: progressPoint.On[c.target], Moves: progressPoint.Moves[c.target],
	}
}

func (c *comparison) marks() {
	for i := range c.points {
		if slices.Contains(c.points[i].Targets, c.target) {
			c.p.Points = append(c.p.Points, c.mark(&c.points[i]))
		}
		if c.then != nil && i > c.thenAt {
			moves := c.points[i].Moves[c.target]
			c.p.Moves.Add(&moves)
		}
	}
	c.p.Now = c.mark(&c.now.ProgressPoint)
	if c.then != nil {
		then := c.mark(&c.then.ProgressPoint)
		c.p.Then = &then
		c.p.Unexplained = c.p.Now.Open - then.Open - c.p.Moves.Net()
		c.p.Change = c.p.Moves.Net() - c.p.Moves.NetByJudgement() + c.p.Unexplained
	}
}

// sentence is the first that a lead reads.
func (c *comparison) sentence() {
	progress := c.p
	text := fmt.Sprintf("%s of %s still need work before %s", report.Number(progress.Now.Open), report.Plural(progress.Now.Instances, "instance", "instances"), report.Clean(progress.Target))
	if progress.Now.Open == 0 {
		text = fmt.Sprintf("None of %s needs work before %s", report.Plural(progress.Now.Instances, "instance", "instances"), report.Clean(progress.Target))
	}
	if progress.Now.Open == 1 {
		text = strings.Replace(text, "still need work", "still needs work", 1)
	}
	if progress.Then == nil {
		progress.Sentence = text + "; there is no earlier scan to compare it with."
		return
	}
	var of []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{progress.Moves.Closed, "mended"}, {progress.Moves.Went, "gone"}, {progress.Moves.Came, "new"}, {progress.Moves.Opened, "worse"},
	} {
		if part.n > 0 {
			of = append(of, report.Number(part.n)+" "+part.what)
		}
	}
	switch {
	case progress.Change < 0:
		text += fmt.Sprintf(": %s fewer than %s", report.Number(-progress.Change), c.ago())
	case progress.Change > 0:
		text += fmt.Sprintf(": %s more than %s", report.Number(progress.Change), c.ago())
	default:
		text += ": as many as " + c.ago()
	}
	if len(of) > 0 {
		text += " (" + strings.Join(of, ", ") + ")"
	}
	progress.Sentence = text + "."
}

// ago names the earlier moment.
func (c *comparison) ago() string {
	day := c.then.At.Format(time.DateOnly)
	switch d := c.now.At.Sub(c.then.At); {
	case d < 2*time.Minute:
		return "at " + c.then.At.Format("15:04:05 UTC")
	case d < 36*time.Hour:
		return report.Span(d) + " before"
	case d >= 7*24*time.Hour && d < 8*24*time.Hour:
		return "last week (" + day + ")"
	default:
		return fmt.Sprintf("%s before (%s)", report.Span(d), day)
	}
}

// notes are what contradicts the sentence, or what it is not about.
func (c *comparison) notes() {
	progress := c.p
	add := func(format string, args ...any) {
		progress.Notes = append(progress.Notes, fmt.Sprintf(format, args...))
	}
	if n := progress.Moves.ClosedByRules; n > 0 {
		add("%s left out of that: the rules judge otherwise now, and nothing was mended.", report.Plural(n, "instance that no longer counts is", "instances that no longer count are"))
	}
	if n := progress.Moves.OpenedByRules; n > 0 {
		add("%s left out of that: the rules judge otherwise now, and nothing got worse.", report.Plural(n, "instance that counts now is", "instances that count now are"))
	}
	if n := progress.Moves.ClosedByEvidence; n > 0 {
		add("%s left out of that: more is known of the same installation now, and nothing was mended.", report.Plural(n, "instance that no longer counts is", "instances that no longer count are"))
	}
	if n := progress.Moves.OpenedByEvidence; n > 0 {
		add("%s left out of that: other evidence of the same installation counts now, and nothing got worse.", report.Plural(n, "instance that counts now is", "instances that count now are"))
	}
	if c.then != nil && c.then.Ruleset != c.now.Ruleset && progress.Moves.ClosedByRules+progress.Moves.OpenedByRules == 0 {
		add("The rule set is another one than then (%s, now %s); it moved none of them.", report.Short(c.then.Ruleset, 12), report.Short(c.now.Ruleset, 12))
	}
	if progress.Unexplained != 0 {
		add("%s while %s was not judged, and nobody saw why.", report.Plural(max(progress.Unexplained, -progress.Unexplained), "instance moved", "instances moved"), report.Clean(progress.Target))
	}
	if n := progress.Now.Waves[string(waves.Waived)]; n > 0 {
		add("%s waived: they count as work, since nothing was mended.", report.Plural(n, "of them is", "of them are"))
	}
	c.partial(add)
	switch {
	case c.then == nil:
	case c.oldest:
		add("The store remembers nothing older than %s.", report.Moment(c.then.At))
	case c.judged:
		add("%s was not judged before %s.", report.Capital(report.Clean(progress.Target)), report.Moment(c.then.At))
	}
	if moves := &progress.Moves; moves.ClosedByRules+moves.OpenedByRules+moves.ClosedByEvidence+moves.OpenedByEvidence > 0 {
		add("What rules and evidence moved is in the changes of owners, accounts and regions below.")
	}
	if c.renamed() {
		add("Owners were named by other tags then (%s, now %s): owners are not compared.", tags(c.then), tags(c.now))
	} else if n := c.handedOver(); n > 0 {
		add("%s another owner by their tags now: %s. Nothing was mended by that.", report.Plural(n, "instance has", "instances have"), c.handovers(3))
	}
}

// partial says what of either point rests on earlier scans.
func (c *comparison) partial(add func(string, ...any)) {
	if n := c.now.CarriedScopes; n > 0 {
		var names []string
		for _, s := range c.now.Carried[:min(len(c.now.Carried), 3)] {
			names = append(names, report.ScopeName(s.Account, s.Region))
		}
		if n > len(names) {
			names = append(names, report.Number(n-len(names))+" more")
		}
		add("%s of %s could not be read to the end: %s counted as last seen (%s).",
			report.Number(n), report.Plural(max(c.now.Scopes, n), "account and region", "accounts and regions"), report.Plural(c.now.CarriedInstances, "instance is", "instances are"), strings.Join(names, ", "))
	}
	if c.now.State == record.ScanAborted {
		add("The last scan was aborted; what it did not reach is counted as last seen.")
	}
	if c.then == nil {
		return
	}
	if n := c.then.CarriedScopes; n > 0 {
		add("Then, %s could not be read to the end; %s counted as seen before.", report.Plural(n, "account and region", "accounts and regions"), report.Plural(c.then.CarriedInstances, "instance was", "instances were"))
	}
}

// renamed says that owners were named by other tags then.
func (c *comparison) renamed() bool {
	return c.then != nil && (!slices.Equal(c.then.OwnerTags, c.now.OwnerTags) || c.then.OwnerAccount != c.now.OwnerAccount)
}

func tags(progress *record.Progress) string {
	if len(progress.OwnerTags) == 0 {
		return "none"
	}
	return report.Clean(strings.Join(progress.OwnerTags, ", "))
}

func (c *comparison) between() []record.ProgressPoint {
	if c.then == nil {
		return nil
	}
	return c.points[c.thenAt+1:]
}

func (c *comparison) handedOver() (n int) {
	for i := range c.between() {
		n += c.between()[i].HandedOver
	}
	return n
}

// handoversOf sums up who got how many from whom.
func (c *comparison) pairs() []record.Handover {
	var out []record.Handover
	for i := range c.between() {
		for _, handover := range c.between()[i].Handovers {
			at := slices.IndexFunc(out, func(x record.Handover) bool { return x.From == handover.From && x.To == handover.To })
			if at < 0 {
				out = append(out, handover)
				continue
			}
			out[at].Instances += handover.Instances
		}
	}
	slices.SortFunc(out, func(a, b record.Handover) int {
		return cmp.Or(cmp.Compare(b.Instances, a.Instances), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out
}

func (c *comparison) handovers(most int) string {
	pairs := c.pairs()
	var out []string
	for _, h := range pairs[:min(len(pairs), most)] {
		out = append(out, fmt.Sprintf("%s to %s %s", ownerName(h.From), ownerName(h.To), report.Number(h.Instances)))
	}
	if len(pairs) > most {
		out = append(out, report.Number(len(pairs)-most)+" other pairs")
	}
	return strings.Join(out, ", ")
}

// parts compares owners, accounts and regions.
func (c *comparison) parts() {
	var then record.Progress
	if c.then != nil {
		then = *c.then
	}
	accounts, regions := map[string]string{}, map[string]string{}
	for _, carriedScope := range c.now.Carried {
		text := "never read to the end"
		if carriedScope.LastComplete != nil {
			text = "last read to the end at " + report.Moment(*carriedScope.LastComplete)
		}
		accounts[carriedScope.Account], regions[carriedScope.Region] = "partly not read", "partly not read"
		if carriedScope.Region != "" && c.now.CarriedScopes == 1 {
			accounts[carriedScope.Account], regions[carriedScope.Region] = carriedScope.Region+" "+text, carriedScope.Account+" "+text
		}
	}
	c.p.Accounts = c.compare(&c.now.Accounts, &then.Accounts, c.then != nil, accounts)
	c.p.Regions = c.compare(&c.now.Regions, &then.Regions, c.then != nil, regions)
	if c.now.Owners == nil {
		return
	}
	notes := map[string]string{}
	for _, handover := range c.pairs() {
		for name, text := range map[string]string{
			handover.To:   report.Number(handover.Instances) + " from " + ownerName(handover.From),
			handover.From: report.Number(handover.Instances) + " to " + ownerName(handover.To),
		} {
			if notes[name] != "" {
				text = "; " + text
			}
			notes[name] = report.Short(notes[name]+text, 120)
		}
	}
	if then.Owners == nil {
		then.Owners = &record.Shares{}
	}
	c.p.Owners = c.compare(c.now.Owners, then.Owners, c.then != nil && !c.renamed(), notes)
}

// compare lists the parts of now with what they were, those behind first.
func (c *comparison) compare(now, then *record.Shares, known bool, notes map[string]string) []ProgressPart {
	before := map[string]int{}
	for i := range then.Largest {
		before[then.Largest[i].Name] = then.Largest[i].Targets[c.target].Open
	}
	out := []ProgressPart{}
	seen := map[string]bool{}
	for i := range now.Largest {
		share := &now.Largest[i]
		seen[share.Name] = true
		part := ProgressPart{Name: share.Name, Instances: share.Instances, Open: share.Targets[c.target].Open, Waves: share.Targets[c.target].Waves, Note: notes[share.Name]}
		was, named := before[share.Name]
		switch {
		case !known:
		case named || then.Rest == nil: // who is not named, where all are, had none
			part.since(was)
		default:
			part.Note = strings.TrimPrefix(part.Note+"; not among the largest then", "; ")
		}
		out = append(out, part)
	}
	if known && now.Rest == nil {
		for i := range then.Largest {
			share := &then.Largest[i]
			if !seen[share.Name] {
				part := ProgressPart{Name: share.Name, Waves: map[string]int{}, Note: cmp.Or(notes[share.Name], "no instances any more")}
				part.since(share.Targets[c.target].Open)
				out = append(out, part)
			}
		}
	}
	slices.SortFunc(out, func(a, b ProgressPart) int {
		if a.Behind != b.Behind {
			if a.Behind {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Open, a.Open), cmp.Compare(a.Name, b.Name))
	})
	if now.Rest != nil {
		st := now.Rest.Targets[c.target]
		out = append(out, ProgressPart{
			Rest: true, Instances: now.Rest.Instances, Open: st.Open, Waves: st.Waves,
			Note: fmt.Sprintf("the other %s together", report.Number(now.Names-len(now.Largest))),
		})
	}
	return out
}

// since takes what the part had open then. Who got instances by a tag alone, or
// was not read, is not behind for that.
func (p *ProgressPart) since(was int) {
	change := p.Open - was
	p.Then, p.Change = &was, &change
	p.Behind = p.Open > 0 && change >= 0 && p.Note == ""
}
