package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/rules"
)

// bucket makes a bucket in a NATS of its own.
func bucket(t *testing.T, name string) (*bus.Bus, *bus.KV) {
	t.Helper()
	o := bus.DefaultOptions()
	o.Dir, o.Sync = t.TempDir(), bus.SyncInterval
	b, err := bus.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.KV(t.Context(), name, time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	return b, kv
}

func TestSharedImages(t *testing.T) {
	t.Parallel()
	_, kv := bucket(t, "shenscan-images")
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	one, other := &sharedImages{kv, func() time.Time { return now }}, &sharedImages{kv, func() time.Time { return now }}
	s := ecs.Scope{Account: "1", Region: "cn-x"}
	ids := []string{"m-1", "m-2", "m-3", "odd id * > ."}
	claim := func(c *sharedImages, ids []string, most int, wantKnown, wantClaimed int) (map[string]rules.ImageFacts, []string) {
		t.Helper()
		known, claimed, err := c.Claim(t.Context(), s, ids, most)
		if err != nil || len(known) != wantKnown || len(claimed) != wantClaimed {
			t.Errorf("%d known, %d claimed, %v; want %d and %d", len(known), len(claimed), err, wantKnown, wantClaimed)
		}
		return known, claimed
	}
	claim(one, ids, 2, 0, 2)
	_, rest := claim(other, ids, 10, 0, 2)
	if fmt.Sprint(rest) != fmt.Sprint(ids[2:]) {
		t.Errorf("the other got %q", rest)
	}
	claim(one, ids, 10, 0, 0)

	facts := rules.ImageFacts{Presence: rules.ImageFound, Name: "legacy 镜像", CheckVirtio: rules.No}
	if err := one.Put(t.Context(), s, []ecs.Image{{ID: "m-1", Facts: facts}, {ID: "m-2", Facts: rules.ImageFacts{Presence: rules.ImageMissing}}}); err != nil {
		t.Fatal(err)
	}
	known, _ := claim(other, ids, 10, 2, 0)
	if known["m-1"] != facts || known["m-2"].Presence != rules.ImageMissing {
		t.Errorf("%+v", known)
	}

	// A lookup failed: the other may try at once. What is known stays known.
	if err := other.Release(t.Context(), s, ids); err != nil {
		t.Fatal(err)
	}
	if _, again := claim(one, ids, 10, 2, 2); !slices.Equal(again, ids[2:]) {
		t.Errorf("after a release %q", again)
	}
	// One that claimed and died does not keep others from asking for ever.
	now = now.Add(claimTTL)
	claim(other, ids, 10, 2, 2)
	claim(one, ids, 10, 2, 0)
	// Nor does one whose clock was ahead.
	now = now.Add(-time.Hour)
	claim(one, ids, 10, 2, 2)

	// Anybody may have written anything: the cloud is asked.
	if _, err := kv.WriteAll(t.Context(), []bus.Write{{Key: imageKey(s, "m-1"), Value: []byte("no JSON"), Always: true}, {Key: imageKey(s, "m-2"), Value: []byte(`{"facts":"AAEC"}`), Always: true}}); err != nil {
		t.Fatal(err)
	}
	claim(one, ids[:2], 10, 0, 2)
}

// A scan that no sink knows counts as running for a minute after it was asked for: its
// announcement may be on its way. One that a clock which ran ahead dated stands in the way
// of none that somebody asks for now.
func TestAScanThatNoSinkKnowsHoldsUpNone(t *testing.T) {
	t.Parallel()
	b, kv := bucket(t, "shenscan-scans")
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- b.Serve(ctx, "sink", "a sink that has just begun", "1.0.0", 1, []bus.Endpoint{{
			Name: "scan", Subject: event.SubjectQueryScan,
			Handle: func(context.Context, bus.Request) (any, error) {
				return nil, &bus.ServiceError{Code: "404", Text: "no such scan"}
			},
		}})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	scans := &running{kv, b, func() time.Time { return now }}
	for i, c := range []struct {
		later time.Duration
		want  string
	}{
		{0, "s-0"},
		{unseenScan - 1, "s-0"},
		{unseenScan, "s-2"},
		{1 - unseenScan, "s-2"},
		{-unseenScan, "s-4"},
		{-365 * 24 * time.Hour, "s-5"},
	} {
		before := now
		now = now.Add(c.later)
		got, err := scans.Claim(t.Context(), "all", fmt.Sprint("s-", i))
		for errors.As(err, new(*producer.UnknownError)) { // nobody serves yet
			got, err = scans.Claim(t.Context(), "all", fmt.Sprint("s-", i))
		}
		if err != nil || got != c.want {
			t.Errorf("%s after the last that was taken: %q, %v; want %s", c.later, got, err, c.want)
		}
		if got != fmt.Sprint("s-", i) {
			now = before
		}
	}
}
