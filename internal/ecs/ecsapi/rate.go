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
// refusal, comes back fast to nine tenths of where it was refused and from
// there grows slowly. Alibaba Cloud counts calls in calendar minutes: three
// refusals with no good answer between mean that the minute's quota is used
// up, so the rest of the minute is waited out and the next rate is the one at
// which the minute's count would have been even.
type rateState struct {
	Rate      float64 `json:"rate"`   // calls a second
	Threshold float64 `json:"thr"`    // below this the rate grows fast; 0 is no bound
	Next      int64   `json:"next"`   // the first free slot
	Paused    int64   `json:"paused"` // no slot before this
	Epoch     uint64  `json:"epoch"`  // counts refusals that changed the rate
	Strikes   int     `json:"strikes"`
	Grown     int64   `json:"grown"`  // when the rate last grew
	Minute    int64   `json:"minute"` // the calendar minute that Count belongs to
	Count     int64   `json:"count"`  // slots given in it
}

// rateBounds are the limits of a rateState; fixed means that it neither grows
// nor gives way (the ceiling of an account).
type rateBounds struct {
	start, min float64
	fixed      bool
}

const (
	burst          = 100 * time.Millisecond // unused slots this old may still be used
	doubling       = time.Second
	strikesToWait  = 3
	settledShare   = 0.9 // of the refused rate: fast growth ends here
	minuteShare    = 0.95
	slowGrowth     = 0.02 // a second, of the rate
	slowGrowthMin  = 0.5  // calls a second, a second
	farAhead       = int64(90 * time.Second)
	highestRate    = 20000.0
	leaseWorth     = 200 * time.Millisecond
	firstPauseBase = 500 * time.Millisecond
)

func (s *rateState) init(b rateBounds, now time.Time) {
	if s.Rate <= 0 || math.IsNaN(s.Rate) || math.IsInf(s.Rate, 0) || (b.fixed && s.Rate != b.start) {
		*s = rateState{Rate: b.start, Grown: now.UnixNano(), Next: now.Add(-burst).UnixNano()}
	}
	if far := now.UnixNano() + farAhead; s.Next > far || s.Paused > far { // a clock was wrong
		s.Next, s.Paused = now.UnixNano(), 0
	}
}

// take reserves n slots and returns the first one and the distance between
// them. good is the number of good answers since the last take.
func (s *rateState) take(b rateBounds, now time.Time, n, good int) (first time.Time, every time.Duration) {
	s.init(b, now)
	t := now.UnixNano()
	if good > 0 {
		s.Strikes = 0
	}
	if !b.fixed {
		s.grow(t, good > 0 && s.Next >= t)
	}
	start := max(s.Next, s.Paused, t-int64(burst))
	every = time.Duration(float64(time.Second) / s.Rate)
	s.Next = start + int64(n)*int64(every)
	if m := t / int64(time.Minute); m != s.Minute {
		s.Minute, s.Count = m, 0
	}
	s.Count += int64(n)
	return time.Unix(0, start), every
}

// grow raises the rate for the time since it last did, if callers waited for
// slots and answers were good.
func (s *rateState) grow(t int64, wanted bool) {
	dt := min(max(t-s.Grown, 0), int64(doubling))
	if !wanted {
		if dt == int64(doubling) {
			s.Grown = t
		}
		return
	}
	s.Grown = t
	sec := float64(dt) / float64(time.Second)
	if s.Threshold == 0 || s.Rate < s.Threshold {
		s.Rate *= math.Exp2(sec)
		if s.Threshold > 0 {
			s.Rate = min(s.Rate, s.Threshold)
		}
	} else {
		s.Rate += max(slowGrowthMin, slowGrowth*s.Rate) * sec
	}
	s.Rate = min(s.Rate, highestRate)
}

// refuse takes note that a call of some epoch was throttled. It reports
// whether that changed anything: of many calls in flight only the first
// counts.
func (s *rateState) refuse(b rateBounds, now time.Time, epoch uint64, hint time.Duration) bool {
	s.init(b, now)
	if b.fixed || epoch != s.Epoch {
		return false
	}
	s.Epoch++
	s.Strikes++
	s.Threshold = max(b.min, settledShare*s.Rate)
	s.Rate = max(b.min, s.Rate/2)
	pause := time.Duration(float64(firstPauseBase<<min(s.Strikes-1, 4)) * (1 + rand.Float64()))
	switch {
	case hint > 0:
		pause = hint + time.Duration(rand.Int64N(int64(50*time.Millisecond)+int64(hint)/50))
	case s.Strikes >= strikesToWait:
		pause = now.Truncate(time.Minute).Add(time.Minute).Sub(now) + time.Duration(rand.Int64N(int64(time.Second)))
		if s.Minute == now.UnixNano()/int64(time.Minute) {
			even := max(b.min, minuteShare*float64(s.Count)/60)
			s.Rate = min(s.Threshold, even)
			s.Threshold = s.Rate
		}
	}
	s.Paused = now.Add(pause).UnixNano()
	s.Next = s.Paused
	s.Grown = s.Paused
	return true
}
