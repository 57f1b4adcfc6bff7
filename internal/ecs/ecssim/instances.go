package ecssim

import (
	"bytes"
	"fmt"
	"strconv"
)

// instancesPage answers DescribeInstances for a scope. A page is of one moment:
// churn waits for it.
func (s *Simulator) instancesPage(out []byte, sc *scope, instanceQuery *instanceQuery, requestID string) ([]byte, *apiError) {
	elsewhere := 0
	if s.against(CountElsewhere) {
		elsewhere = s.next(sc).size()
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	writer := pageWriter{s: s, elsewhere: elsewhere, sc: sc, q: instanceQuery, requestID: requestID, shape: s.shape()}
	if writer.shape == nil {
		out = append(append(append(out, `{"RequestId":"`...), requestID...), `","Instances":{"Instance":[`...)
	}
	writer.b = out
	switch {
	case instanceQuery.ids != nil:
		return writer.byIDs(), nil
	case instanceQuery.byPage:
		return writer.byNumber(), nil
	}
	return writer.byToken()
}

// pageWriter writes one answer of DescribeInstances.
type pageWriter struct {
	s         *Simulator
	sc        *scope
	q         *instanceQuery
	requestID string
	shape     *shape // of an example body; nil is the simulator's own
	b         []byte
	n         int // instances written
	elsewhere int // instances of the next region
}

// row appends an instance.
func (w *pageWriter) row(in *instance) {
	w.b = appendComma(w.b, w.n)
	w.n++
	at := len(w.b)
	w.b = w.sc.appendInstance(w.b, in, w.q.opt)
	if w.s.against(RowsUnkeepable) {
		id := in.id(w.sc)
		rest := append([]byte(nil), w.b[at+len(`{"InstanceId":"`)+len(id):]...)
		w.b = append(append(append(w.b[:at], `{"InstanceId":"`...), w.s.unkeepable(w.sc, in.i, id)...), rest...)
	}
	if w.q.ids == nil && w.s.quirks.Load() != nil {
		w.bend(in.i, at)
	}
	if w.shape != nil {
		rendered := append([]byte(nil), w.b[at:]...)
		w.b = w.shape.reshape(w.b[:at], rendered)
	}
}

// bend changes the instance that was written at a place.
func (w *pageWriter) bend(instance, at int) {
	if hash(w.sc.fleet.seed, 'q', uint64(w.sc.index), uint64(instance))%10 != 0 {
		return
	}
	const created = `"CreationTime":"`
	switch {
	case w.s.against(IDsOfOtherRegions):
		if next := w.s.next(w.sc); instance < next.n {
			copy(w.b[at+len(`{"InstanceId":"`):], next.appendID(nil, instance))
		}
	case w.s.against(ZonesElsewhere):
		const zone = `"ZoneId":"`
		row := append([]byte(nil), w.b[at:]...)
		if from := bytes.Index(row, []byte(zone+w.sc.region.id)); from >= 0 {
			w.b = append(append(w.b[:at+from+len(zone)], w.s.next(w.sc).region.id...), row[from+len(zone)+len(w.sc.region.id):]...)
		}
	case w.s.against(FamiliesOfOthers):
		const family = `"InstanceTypeFamily":"`
		row := append([]byte(nil), w.b[at:]...)
		if from := bytes.Index(row, []byte(family)) + len(family); from >= len(family) {
			w.b = append(append(w.b[:at+from], "ecs.g8i"...), row[from+bytes.IndexByte(row[from:], '"'):]...)
		}
	case w.s.against(RowsNull):
		w.b = append(w.b[:at], "null"...)
	case w.s.against(CreatedLater):
		if year := bytes.Index(w.b[at:], []byte(created)); year >= 0 {
			copy(w.b[at+year+len(created):], "2099")
		}
	case w.s.against(CreatedNever):
		row := append([]byte(nil), w.b[at:]...)
		if from := bytes.Index(row, []byte(created)); from >= 0 {
			to := from + len(created) + bytes.IndexByte(row[from+len(created):], '"') + len(`",`)
			w.b = append(append(w.b[:at], row[:from]...), row[to:]...)
		}
	}
}

// end closes the list and appends the paging fields.
func (w *pageWriter) end(next string, total, page, size int) []byte {
	if w.shape != nil {
		return w.shape.wrap(nil, w.b, w.requestID, next, w.s.count(total, w.elsewhere), page, size)
	}
	token, again := w.nextToken(next)
	return appendFoot(w.b, token, again, w.totalCount(total), page, size)
}

// nextToken is the member that holds the token, and what is put behind
// TotalCount.
func (w *pageWriter) nextToken(next string) (member, again string) {
	simulator, several := w.s, w.q.token == "" && next != ""
	switch {
	case simulator.byNumberAlone(), several && simulator.against(TokenMissing):
		return "", ""
	case several && simulator.against(TokenNull):
		return `,"NextToken":null`, ""
	case several && simulator.against(TokenEmpty):
		return `,"NextToken":""`, ""
	case several && simulator.against(TokenTwice):
		again = `,"NextToken":""`
	}
	return `,"NextToken":"` + next + `"`, again
}

// totalCount is the member that holds TotalCount.
func (w *pageWriter) totalCount(n int) string {
	if w.s.against(CountMissing) {
		return ""
	}
	return `,"TotalCount":` + strconv.Itoa(w.s.count(n, w.elsewhere))
}

// appendFoot closes the list and appends the paging fields: token and count are
// whole members.
func appendFoot(b []byte, token, again, count string, page, size int) []byte {
	b = append(append(append(append(b, `]}`...), token...), count...), again...)
	b = append(b, `,"PageNumber":`...)
	b = appendInt(b, page)
	b = append(b, `,"PageSize":`...)
	return append(appendInt(b, size), '}')
}

// byIDs is the targeted call: unknown ids are simply absent.
func (w *pageWriter) byIDs() []byte {
	seen := make(map[int]bool, len(w.q.ids))
	for _, id := range w.q.ids {
		at, i, ok := w.s.fleet.locate(id)
		if !ok || at != w.sc || !w.sc.live(i) || seen[i] {
			continue
		}
		seen[i] = true
		in := w.sc.at(i)
		if !w.q.match(w.sc, &in) {
			continue
		}
		if w.s.against(IDsTwice) {
			other := in
			other.slot = w.sc.slots[(i+len(w.sc.slots)/2)%len(w.sc.slots)]
			w.row(&other)
		}
		w.row(&in)
	}
	next := ""
	if w.s.against(BodiesDocumented) && len(w.q.ids) > 0 {
		next = w.s.tokens.seal(hash(w.q.hash, uint64(w.sc.index)), w.sc.count(), 0, w.s.opt.Now())
	}
	return w.end(next, w.n, 1, max(w.q.size, 10))
}

func appendComma(b []byte, n int) []byte {
	if n > 0 {
		return append(b, ',')
	}
	return b
}

// byNumber is the old paging, with a meaningful TotalCount.
func (w *pageWriter) byNumber() []byte {
	sc, instanceQuery := w.sc, w.q
	lo, hi := instanceQuery.span(sc)
	skip, total := (instanceQuery.page-1)*instanceQuery.size, 0
	if !instanceQuery.narrows() {
		total = hi - lo - sc.goneBetween(lo, hi)
		for i := sc.nth(lo, hi, skip); i < hi && skip < total && w.n < instanceQuery.size; i++ {
			if sc.isGone(i) || !w.s.listed(sc, i) {
				continue
			}
			in := sc.at(i)
			w.row(&in)
		}
		return w.end("", w.left(total, skip), instanceQuery.page, instanceQuery.size)
	}
	for i := lo; i < hi; i++ {
		in := sc.at(i)
		if sc.isGone(i) || !instanceQuery.match(sc, &in) {
			continue
		}
		if total >= skip && w.n < instanceQuery.size && w.s.listed(sc, i) {
			w.row(&in)
		}
		total++
	}
	return w.end("", w.left(total, skip), instanceQuery.page, instanceQuery.size)
}

// left is what is counted of total behind the first pages.
func (w *pageWriter) left(total, skipped int) int {
	if w.s.against(CountFalls) {
		return max(total-skipped, 0)
	}
	return total
}

// nth is the index of the k-th live instance of [lo,hi), or hi.
func (sc *scope) nth(lo, hi, k int) int {
	index := lo + k
	for {
		next := lo + k + sc.goneBetween(lo, min(index+1, sc.count()))
		if next == index || index >= hi {
			return min(index, hi)
		}
		index = next
	}
}

// byToken is the chain of NextTokens; TotalCount means nothing beside it.
func (w *pageWriter) byToken() ([]byte, *apiError) {
	simulator, sc, instanceQuery := w.s, w.sc, w.q
	from, hi := instanceQuery.span(sc)
	whole := hi
	hi = simulator.cutAt(from, hi)
	bound := hash(instanceQuery.hash, uint64(sc.index))
	now := simulator.opt.Now()
	lo := from
	if instanceQuery.token != "" {
		at, err := simulator.tokens.open(instanceQuery.token, bound, now)
		if err != nil {
			return nil, err
		}
		if simulator.against(TokenForgets) {
			hi, whole = sc.count(), sc.count()
		}
		lo = max(lo, at)
	}
	index := lo
	if instanceQuery.token != "" && lo > from && simulator.against(RowsTwice) && !sc.isGone(lo-1) {
		in := sc.at(lo - 1)
		in.slot, in.status = sc.slots[(lo+len(sc.slots)/2)%len(sc.slots)], statusStopped
		w.row(&in)
	}
	if instanceQuery.token != "" && lo > 0 && simulator.duplicates(sc, lo) && !sc.isGone(lo-1) {
		in := sc.at(lo - 1)
		w.row(&in)
	}
	for ; index < hi && w.n < instanceQuery.size; index++ {
		if len(sc.gone) > 0 && sc.isGone(index) || !simulator.listed(sc, index) {
			continue
		}
		in := sc.at(index)
		if instanceQuery.narrows() && !instanceQuery.match(sc, &in) {
			continue
		}
		w.row(&in)
	}
	next, total := "", 0
	switch {
	case simulator.against(PagesRepeated) && simulator.first(fmt.Sprint("page ", bound, lo)):
		next = simulator.tokens.seal(bound, lo, uint32(simulator.serial.Add(1)), now)
	case index < hi:
		next = simulator.tokens.seal(bound, index, 0, now)
	case simulator.against(TokenEndless):
		next = simulator.tokens.seal(bound, from, uint32(simulator.serial.Add(1)), now)
	case simulator.against(TokenEndlessEmpty), (simulator.against(TokenAfterLast) || simulator.against(BodiesDocumented)) && (instanceQuery.token == "" || lo < hi):
		next = simulator.tokens.seal(bound, hi, uint32(simulator.serial.Add(1)), now)
	}
	switch {
	case simulator.against(CountFalls):
		total = hi - lo - sc.goneBetween(lo, hi)
	case simulator.against(ListCut) || w.shape != nil || simulator.against(CountTimes500) || simulator.against(CountElsewhere) || simulator.against(CountNegative):
		total = whole - from - sc.goneBetween(from, whole)
	}
	return w.end(next, total, max(instanceQuery.page, 1), instanceQuery.size), nil
}

// duplicates says whether the page that begins here repeats an instance.
func (s *Simulator) duplicates(sc *scope, at int) bool {
	rate := max(s.opt.DuplicateRate, s.faults.rate(FaultDuplicate))
	return rate > 0 && share(hash(s.fleet.seed, '2', uint64(sc.index), uint64(at))) < rate
}

// emptyPage is the answer for a caller whom RAM denies DescribeInstances.
func emptyPage(b []byte, q *instanceQuery, requestID string) []byte {
	b = append(append(append(b, `{"RequestId":"`...), requestID...), `","Instances":{"Instance":[`...)
	return appendFoot(b, `,"NextToken":""`, "", `,"TotalCount":0`, max(q.page, 1), q.size)
}
