package ecssim

// instancesPage answers DescribeInstances for a scope. A page is of one moment:
// churn waits for it.
func (s *Simulator) instancesPage(b []byte, sc *scope, q *instanceQuery, requestID string) ([]byte, *apiError) {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	b = append(append(append(b, `{"RequestId":"`...), requestID...), `","Instances":{"Instance":[`...)
	switch {
	case q.ids != nil:
		return s.byIDs(b, sc, q), nil
	case q.byPage:
		return s.byNumber(b, sc, q), nil
	}
	return s.byToken(b, sc, q)
}

// appendFoot closes the list and appends the paging fields.
func appendFoot(b []byte, next string, total, page, size int) []byte {
	b = append(append(append(b, `]},"NextToken":"`...), next...), `","TotalCount":`...)
	b = appendInt(b, total)
	b = append(b, `,"PageNumber":`...)
	b = appendInt(b, page)
	b = append(b, `,"PageSize":`...)
	return append(appendInt(b, size), '}')
}

// byIDs is the targeted call: unknown ids are simply absent.
func (s *Simulator) byIDs(b []byte, sc *scope, q *instanceQuery) []byte {
	n := 0
	seen := make(map[int]bool, len(q.ids))
	for _, id := range q.ids {
		at, i, ok := s.fleet.locate(id)
		if !ok || at != sc || !sc.live(i) || seen[i] {
			continue
		}
		seen[i] = true
		in := sc.at(i)
		if !q.match(sc, &in) {
			continue
		}
		b = appendComma(b, n)
		b = sc.appendInstance(b, &in, q.opt)
		n++
	}
	return appendFoot(b, "", n, 1, max(q.size, 10))
}

func appendComma(b []byte, n int) []byte {
	if n > 0 {
		return append(b, ',')
	}
	return b
}

// byNumber is the old paging, with a meaningful TotalCount.
func (s *Simulator) byNumber(b []byte, sc *scope, q *instanceQuery) []byte {
	lo, hi := q.span(sc)
	skip, n, total := (q.page-1)*q.size, 0, 0
	if !q.narrows() {
		total = hi - lo - sc.goneBetween(lo, hi)
		for i := sc.nth(lo, hi, skip); i < hi && n < q.size; i++ {
			if sc.isGone(i) {
				continue
			}
			in := sc.at(i)
			b = appendComma(b, n)
			b = sc.appendInstance(b, &in, q.opt)
			n++
		}
		return appendFoot(b, "", total, q.page, q.size)
	}
	for i := lo; i < hi; i++ {
		in := sc.at(i)
		if sc.isGone(i) || !q.match(sc, &in) {
			continue
		}
		if total >= skip && n < q.size {
			b = appendComma(b, n)
			b = sc.appendInstance(b, &in, q.opt)
			n++
		}
		total++
	}
	return appendFoot(b, "", total, q.page, q.size)
}

// nth is the index of the k-th live instance of [lo,hi), or hi.
func (sc *scope) nth(lo, hi, k int) int {
	i := lo + k
	for {
		next := lo + k + sc.goneBetween(lo, min(i+1, sc.count()))
		if next == i || i >= hi {
			return min(i, hi)
		}
		i = next
	}
}

// byToken is the chain of NextTokens; TotalCount means nothing beside it.
func (s *Simulator) byToken(b []byte, sc *scope, q *instanceQuery) ([]byte, *apiError) {
	lo, hi := q.span(sc)
	bound := hash(q.hash, uint64(sc.index))
	now := s.opt.Now()
	if q.token != "" {
		at, err := s.tokens.open(q.token, bound, now)
		if err != nil {
			return nil, err
		}
		lo = max(lo, at)
	}
	n, i := 0, lo
	if q.token != "" && lo > 0 && s.duplicates(sc, lo) && !sc.isGone(lo-1) {
		in := sc.at(lo - 1)
		b = sc.appendInstance(b, &in, q.opt)
		n++
	}
	for ; i < hi && n < q.size; i++ {
		if len(sc.gone) > 0 && sc.isGone(i) {
			continue
		}
		in := sc.at(i)
		if q.narrows() && !q.match(sc, &in) {
			continue
		}
		b = appendComma(b, n)
		b = sc.appendInstance(b, &in, q.opt)
		n++
	}
	next := ""
	if i < hi {
		next = s.tokens.seal(bound, i, now)
	}
	return appendFoot(b, next, 0, 0, q.size), nil
}

// duplicates says whether the page that begins here repeats an instance.
func (s *Simulator) duplicates(sc *scope, at int) bool {
	rate := s.duplicateRate()
	return rate > 0 && share(hash(s.fleet.seed, '2', uint64(sc.index), uint64(at))) < rate
}

// emptyPage is the answer for a caller whom RAM denies DescribeInstances.
func emptyPage(b []byte, q *instanceQuery, requestID string) []byte {
	b = append(append(append(b, `{"RequestId":"`...), requestID...), `","Instances":{"Instance":[`...)
	return appendFoot(b, "", 0, max(q.page, 1), q.size)
}
