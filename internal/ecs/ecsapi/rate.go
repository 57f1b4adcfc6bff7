package ecsapi

import (
	"math"
	"math/rand/v2"
	"time"
)

// rateState is the limiter of one account, region and action: what processes
// share. Times are Unix nanoseconds. Its methods are pure but for jitter, so
// that the same rules serve one process and many.
//
// The rate doubles every second until the first refusal, is halved by every
// refusal (which is taken back when a later call is answered all the same: some
// refusals come at random), comes back fast to nine tenths of where it was refused and from
// there grows slowly. Alibaba Cloud counts calls in calendar minutes: four
// refusals with no good answer between, each after a longer pause, mean that
// the minute's quota is used up, so the rest of the minute is waited out and
// the next rate is the one at which the minute's good answers would have come
// evenly. Three are not enough: where a tenth of the calls is refused at
// random, one scan of 300 calls in four would stand still for a minute.
type rateState struct {
	Rate      float64 `json:"rate"`   // calls a second
	Threshold float64 `json:"thr"`    // below this the rate grows fast; 0 is no bound
	Next      int64   `json:"next"`   // the first free slot
	Paused    int64   `json:"paused"` // no slot before this
	Epoch     uint64  `json:"epoch"`  // counts refusals that changed the rate
	Strikes   int     `json:"strikes"`
	Settled   int64   `json:"settled"` // when Threshold became what a whole minute's quota allows; 0 if it is not
	Grown     int64   `json:"grown"`   // when the rate last grew
	Minute    int64   `json:"minute"`  // the calendar minute that Count belongs to
	Since     int64   `json:"since"`   // when the first of them came
	Count     int64   `json:"count"`   // good answers in it
}

// forgive takes back the last refusal, of which epoch was made, because a call
// that started after the refused one was answered: no quota was used up.
func (s *rateState) forgive(b rateBounds, now time.Time, epoch uint64) bool {
	if s.Epoch != epoch || s.Rate <= 0 || s.Settled > 0 {
		return false
	}
	if t := now.UnixNano(); s.Paused > t {
		s.Paused, s.Next, s.Grown = t, t, t
	}
	s.Rate = min(s.Threshold/settledShare*forgivenShare, highestRate)
	s.Strikes = 0
	return true
}

// rateBounds are the limits of a rateState; fixed means that it neither grows
// nor gives way (the ceiling of an account).
type rateBounds struct {
	start, min float64
	fixed      bool
	longest    time.Duration // pause that a refusal may ask for
}

// far is how far ahead a time may be that no clock was wrong for.
func (b rateBounds) far(rate float64) int64 {
	return max(farAhead, int64(b.longest+b.longest/20)+farAhead/3) + int64(4*float64(time.Second)/rate)
}

const (
	burst           = 50 * time.Millisecond // unused slots this old may still be used
	doubling        = time.Second
	strikesToWait   = 4
	settledShare    = 0.9 // of the refused rate: fast growth ends here
	forgivenShare   = 0.95
	minuteShare     = 0.95
	slowGrowth      = 0.02            // a second, of the rate
	slowGrowthMin   = 0.5             // calls a second, a second
	settledGrowth   = 0.001           // a second, of the rate, once a minute's quota is known
	longHint        = 5 * time.Second // a longer wait means that a minute's quota is used up
	farAhead        = int64(90 * time.Second)
	highestRate     = 20000.0
	leaseWorth      = 60 * time.Millisecond
	firstPauseBase  = 250 * time.Millisecond
	wholeMinuteFrom = 5 * time.Second // a minute counted from here on is a whole one
)

func (s *rateState) init(rateBounds rateBounds, now time.Time) {
	if s.Rate <= 0 || math.IsNaN(s.Rate) || math.IsInf(s.Rate, 0) || (rateBounds.fixed && s.Rate != rateBounds.start) {
		*s = rateState{Rate: rateBounds.start, Grown: now.UnixNano(), Next: now.Add(-burst).UnixNano()}
	}
	if far := now.UnixNano() + rateBounds.far(s.Rate); s.Next > far || s.Paused > far { // a clock was wrong
		s.Next, s.Paused = now.UnixNano(), 0
	}
}

// take reserves n slots and returns the first one and the distance between
// them. good is the number of good answers not told before.
func (s *rateState) take(rateBounds rateBounds, now time.Time, slots, good int) (first time.Time, every time.Duration) {
	s.init(rateBounds, now)
	t := now.UnixNano()
	if good > 0 {
		s.Strikes = 0
	}
	if !rateBounds.fixed {
		s.grow(t, good > 0 && s.Next >= t)
	}
	start := max(s.Next, s.Paused, t-int64(burst))
	every = time.Duration(float64(time.Second) / s.Rate)
	s.Next = start + int64(slots)*int64(every)
	s.tally(t, good)
	return time.Unix(0, start), every
}

// tally counts good answers in the calendar minute.
func (s *rateState) tally(t int64, good int) {
	if m := t / int64(time.Minute); m != s.Minute {
		s.Minute, s.Count, s.Since = m, 0, t
	}
	s.Count += int64(good)
}

// grow raises the rate for the time since it last did, if callers waited for
// slots and answers were good.
func (s *rateState) grow(now int64, wanted bool) {
	dt := min(max(now-s.Grown, 0), int64(doubling))
	if !wanted {
		if dt == int64(doubling) {
			s.Grown = now
		}
		return
	}
	s.Grown = now
	sec := float64(dt) / float64(time.Second)
	if s.Threshold == 0 || s.Rate < s.Threshold {
		s.Rate *= math.Exp2(sec)
		if s.Threshold > 0 {
			s.Rate = min(s.Rate, s.Threshold)
		}
	} else if s.Settled > 0 { // slowly at first, faster the longer nothing is refused
		s.Rate += settledGrowth * s.Rate * sec * (1 + float64(now-s.Settled)/float64(time.Minute))
	} else {
		s.Rate += max(slowGrowthMin, slowGrowth*s.Rate) * sec
	}
	s.Rate = min(s.Rate, highestRate)
}

// refuse takes note that a call of some epoch was throttled. It reports
// whether that changed anything: of many calls in flight only the first
// counts.
func (s *rateState) refuse(rateBounds rateBounds, now time.Time, epoch uint64, good int, hint time.Duration) bool {
	s.init(rateBounds, now)
	s.tally(now.UnixNano(), good)
	if rateBounds.fixed || epoch != s.Epoch {
		return false
	}
	s.Epoch++
	s.Strikes++
	s.Threshold = max(rateBounds.min, settledShare*s.Rate)
	s.Rate = max(rateBounds.min, s.Rate/2)
	pause := time.Duration(float64(firstPauseBase<<min(s.Strikes-1, 4)) * (1 + rand.Float64()))
	wholeMinute := hint >= longHint || (hint == 0 && s.Strikes >= strikesToWait)
	switch {
	case hint > 0:
		hint = min(hint, max(rateBounds.longest, longHint))
		pause = hint + time.Duration(rand.Int64N(int64(20*time.Millisecond+hint/50)))
	case wholeMinute:
		pause = now.Truncate(time.Minute).Add(time.Minute).Sub(now) + time.Duration(rand.Int64N(int64(time.Second)))
	}
	s.Settled = 0
	if wholeMinute && s.Count > 0 {
		s.Threshold = max(rateBounds.min, minuteShare*float64(s.Count)/60)
		s.Rate = s.Threshold
		if s.Since-s.Minute*int64(time.Minute) < int64(wholeMinuteFrom) { // else others may have used part of it
			s.Settled = now.Add(pause).UnixNano()
		}
	}
	s.Paused = now.Add(pause).UnixNano()
	s.Next = s.Paused
	s.Grown = s.Paused
	return true
}
