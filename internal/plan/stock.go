package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

// Stocker is what a plan asks of the cloud; ecs.API satisfies it.
type Stocker interface {
	Stock(ctx context.Context, s ecs.Scope, q ecs.StockQuery) ([]ecs.ZoneStock, error)
}

// Stock is what the cloud said about the types that zones sell. A scope that
// could not be asked is in Failures, and its instances are planned as if
// nobody had asked.
type Stock struct {
	ChargeType string           `json:"charge_type"`
	AskedAt    time.Time        `json:"asked_at"`
	Regions    int              `json:"regions"` // accounts and regions asked
	Unasked    int              `json:"unasked"` // of them, that could not be asked
	Failures   []record.Failure `json:"failures"`
	// What came of it, in instances with a recommended type.
	Sold       int `json:"sold"`        // the recommended type is sold in their zone
	NextBest   int `json:"next_best"`   // of them, the first choice was not
	SoldOut    int `json:"sold_out"`    // no fitting type is sold in their zone
	NotChecked int `json:"not_checked"` // their region could not be asked

	scopes map[ecs.Scope]zones
}

// zones is what the zones of one scope sell, of the types that a plan may
// recommend.
type zones map[string]map[string]ecs.Stock

// stockTimeout is the time for one call with its retries.
const stockTimeout = 2 * time.Minute

// AskStock asks each scope once, for all its zones. The error is ctx's alone.
func AskStock(ctx context.Context, cloud Stocker, o Options, scopes []ecs.Scope, chargeType string) (*Stock, error) {
	chooser := newChooser(o)
	out := &Stock{ChargeType: chargeType, AskedAt: o.Now.UTC(), Regions: len(scopes), scopes: make(map[ecs.Scope]zones, len(scopes))}
	var mu sync.Mutex
	var err error
	out.Failures, err = askScopes(ctx, "DescribeAvailableResource", scopes, stockTimeout, func(call context.Context, scope ecs.Scope) error {
		got, err := cloud.Stock(call, scope, ecs.StockQuery{ChargeType: chargeType})
		switch {
		case err != nil:
			return err
		case len(got) == 0:
			return errors.New("the answer names no zone")
		}
		mu.Lock()
		defer mu.Unlock()
		out.scopes[scope] = chooser.keep(got)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Unasked = len(out.Failures)
	out.Failures = merge(out.Failures, scopes)
	return out, nil
}

// merge sorts failures and says once what holds for every region of an
// account.
func merge(failures []record.Failure, scopes []ecs.Scope) []record.Failure {
	type cause struct{ account, class, code, err string }
	same, regions := map[cause]int{}, map[string]int{}
	of := func(f *record.Failure) cause { return cause{f.Account, f.Class, f.Code, f.Error} }
	for i := range failures {
		same[of(&failures[i])]++
	}
	for _, s := range scopes {
		regions[s.Account]++
	}
	out := []record.Failure{}
	for _, f := range failures {
		switch n := same[of(&f)]; {
		case n == 0: // said already
			continue
		case n > 1 && n == regions[f.Account]:
			same[of(&f)] = 0
			f.Region = ""
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b record.Failure) int {
		return strings.Compare(a.Account+"/"+a.Region, b.Account+"/"+b.Region)
	})
	return out
}

// failureOf says why an action did not answer about a scope, and what mends it.
func failureOf(action string, s ecs.Scope, err error) record.Failure {
	cause := record.Failure{Account: s.Account, Region: s.Region, API: action, Class: ecs.ClassOf(err).String(), Error: err.Error()}
	if refusal, ok := errors.AsType[*ecs.Error](err); ok {
		cause.Code, cause.Mend, cause.RequestID = refusal.Code, refusal.Mend, refusal.RequestID
		if refusal.Err != nil {
			cause.Error = refusal.Err.Error()
		}
	}
	cause.Error, cause.Mend = report.Short(cause.Error, 300), report.Short(cause.Mend, 300)
	return cause
}

// keep drops what no instance would be sent to: a region lists some thousand
// types in a dozen zones.
func (c *chooser) keep(got []ecs.ZoneStock) zones {
	out := make(zones, len(got))
	for _, zoneStock := range got {
		types := map[string]ecs.Stock{}
		for _, list := range [][]*offer{c.targets, c.gen5} {
			for _, of := range list {
				if stock := zoneStock.Types[of.ID]; stock > types[of.ID] {
					types[of.ID] = stock
				}
			}
		}
		out[zoneStock.Zone] = types
	}
	return out
}

// The words for whether a recommended type is sold in the instance's zone.
const (
	Sold       = "sold"
	LowStock   = "low-stock" // sold, but ECS advises another type
	SoldOut    = "sold-out"
	NotChecked = "not-checked"
)

// place is where an instance is and what is sold around it.
type place struct {
	zone    string
	asked   bool  // somebody asked for this plan
	checked bool  // and it is known
	zones   zones // of the region
}

func (c *chooser) place(rec *record.Record) place {
	p := place{zone: rec.Zone}
	if c.o.Stock == nil {
		return p
	}
	p.asked = true
	p.zones, p.checked = c.o.Stock.scopes[ecs.Scope{Account: rec.Account, Region: rec.Region}]
	p.checked = p.checked && rec.Zone != ""
	return p
}

// stock is how much of a type the zone sells. Where that is not known, it
// counts as sold.
func (p *place) stock(typeID string) ecs.Stock {
	if !p.checked {
		return ecs.InStock
	}
	return p.zones[p.zone][typeID]
}

// word says whether the chosen type is sold.
func (p *place) word(typeID string) string {
	switch {
	case !p.asked:
		return ""
	case !p.checked:
		return NotChecked
	}
	return [...]string{ecs.SoldOut: SoldOut, ecs.LowStock: LowStock, ecs.InStock: Sold}[p.stock(typeID)]
}

// elsewhere are the zones of the region that sell the type.
func (p *place) elsewhere(typeID string) []string {
	var out []string
	for zone, types := range p.zones {
		if zone != p.zone && types[typeID] > ecs.SoldOut {
			out = append(out, zone)
		}
	}
	slices.Sort(out)
	return out
}

// gone says that a type is sold out here, and where it is not.
func (p *place) gone(typeID string) string {
	if there := p.elsewhere(typeID); len(there) > 0 {
		return fmt.Sprintf("%s is sold out in %s; sold in %s", typeID, p.zone, strings.Join(there, ", "))
	}
	return fmt.Sprintf("%s is sold out in every zone of the region", typeID)
}

// Words says in one sentence what was asked and what came of it.
func (s *Stock) Words() string {
	if s == nil {
		return "whether the zones sell the recommended types was not asked; --availability asks"
	}
	text := fmt.Sprintf("stock of the zones as of %s, %s: the recommended type is sold for %s", report.Moment(s.AskedAt), s.ChargeType, report.Plural(s.Sold, "instance", "instances"))
	if s.NextBest > 0 {
		text += fmt.Sprintf(" (%s of them get the next best type, the first choice being sold out)", report.Number(s.NextBest))
	}
	text += fmt.Sprintf(", sold out for %s", report.Number(s.SoldOut))
	if s.NotChecked > 0 || s.Unasked > 0 {
		text += fmt.Sprintf(", not checked for %s: %s of %s could not be asked", report.Number(s.NotChecked), report.Number(s.Unasked), report.Plural(s.Regions, "region", "regions"))
	}
	return text
}

// count notes what came of one recommendation.
func (s *Stock) count(choice *Choice) {
	if s == nil || choice.Type == "" {
		return
	}
	switch choice.Availability {
	case Sold, LowStock:
		s.Sold++
		if choice.FirstChoice != "" {
			s.NextBest++
		}
	case SoldOut:
		s.SoldOut++
	case NotChecked:
		s.NotChecked++
	}
}
