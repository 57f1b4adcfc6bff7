package producer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

// breaking takes so many messages and then fails, as a producer that dies
// does; the attempt after it may meet a cloud that refuses everything.
type breaking struct {
	journal
	left atomic.Int64
}

func (b *breaking) Publish(ctx context.Context, m event.Message) error {
	if b.left.Add(-1) < 0 {
		return errors.New("the process dies here")
	}
	return b.journal.Publish(ctx, m)
}

// promised returns what was announced and will never come: it would keep its
// scan waiting.
func promised(j *journal) (broken []string) {
	scopes, lanes := map[ecs.Scope]bool{}, map[string]bool{}
	for _, m := range j.msgs {
		switch m := m.(type) {
		case *event.ScopeJob:
			scopes[m.Scope] = true
		case *event.LaneJob:
			lanes[m.Lane] = true
		case *event.LaneEnded:
			lanes[m.Lane] = true
		}
	}
	for _, m := range j.msgs {
		switch m := m.(type) {
		case *event.ScanPlanned:
			for _, s := range m.Scopes {
				if m.Kind == event.KindScan && !scopes[s] {
					broken = append(broken, s.String())
				}
			}
			if m.Kind == event.KindRescan && len(of[*event.ScopePlanned](j)) < len(m.Scopes) {
				broken = append(broken, "a scope of the rescan")
			}
		case *event.ScopePlanned:
			for _, lane := range m.Lanes {
				if !lanes[lane] {
					broken = append(broken, lane)
				}
			}
		}
	}
	return broken
}

func TestNothingIsAnnouncedThatMayNeverCome(t *testing.T) {
	epoch := time.Unix(100, 0)
	fleet := &cloud{regions: []string{"cn-x", "cn-y"}, instances: fleet(300, time.Hour), pageSize: 10}
	for name, handle := range map[string]func(p *producer.Producer) error{
		"scan": func(p *producer.Producer) error {
			return p.HandleScan(t.Context(), &event.ScanRequested{ScanID: "s", Kind: event.KindScan}, epoch)
		},
		"scope": func(p *producer.Producer) error {
			return p.HandleScope(t.Context(), &event.ScopeJob{ScanID: "s", Kind: event.KindScan, Scope: scope}, "1")
		},
		"rescan": func(p *producer.Producer) error {
			return p.HandleRescan(t.Context(), &event.ScanRequested{ScanID: "r", Kind: event.KindRescan, InstanceIDs: []string{"i-000001", "i-000002"}}, epoch, "1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			whole := false
			for left := 0; !whole && left < 50; left++ {
				j := &breaking{}
				j.left.Store(int64(left))
				whole = handle(producer.New(options(), fleet, accounts(fleet, "1"), j, nil)) == nil
				if broken := promised(&j.journal); len(broken) > 0 {
					t.Errorf("dead after %d messages: announced and never to come: %v", left, broken)
				}
			}
			if !whole {
				t.Error("never went through")
			}
		})
	}
}

func TestAnnouncementsComeLast(t *testing.T) {
	j := &journal{}
	c := &cloud{regions: []string{"cn-x"}, instances: fleet(300, time.Hour), pageSize: 10}
	p := producer.New(options(), c, accounts(c, "1"), j, nil)
	if err := p.HandleScope(t.Context(), &event.ScopeJob{ScanID: "s", Kind: event.KindScan, Scope: scope}, "1"); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprintf("%T", j.msgs[len(j.msgs)-1])
	if n := len(of[*event.ScopePlanned](j)); n != 1 || last != "*event.ScopePlanned" {
		t.Errorf("%d plans, the last message is %s", n, last)
	}
	if lanes := of[*event.LaneJob](j); !slices.ContainsFunc(lanes, func(l *event.LaneJob) bool { return l.Lane == "1.0" }) {
		t.Errorf("lanes %v", lanes)
	}
}
