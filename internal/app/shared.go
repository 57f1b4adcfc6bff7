package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// running implements producer.Running over a bucket: one key per scope of a
// scan, which names the scan that runs there.
type running struct {
	kv  *bus.KV
	bus *bus.Bus
	now func() time.Time
}

type runningScan struct {
	ScanID string    `json:"scan_id"`
	At     time.Time `json:"at"`
}

// unseenScan is how long a scan that no sink knows of yet counts as running.
const unseenScan = time.Minute

// Claim implements producer.Running.
func (r *running) Claim(ctx context.Context, key, id string) (string, error) {
	for {
		value, revision, err := r.kv.Get(ctx, key)
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return "", err
		}
		var held runningScan
		if err == nil && json.Unmarshal(value, &held) == nil && (held.ScanID == id || r.runs(ctx, held)) {
			return held.ScanID, nil
		}
		mine, err := json.Marshal(runningScan{ScanID: id, At: r.now().UTC()})
		if err != nil {
			return "", err
		}
		if _, err = r.kv.Update(ctx, key, mine, revision); err == nil {
			return id, nil
		} else if !errors.Is(err, bus.ErrConflict) {
			return "", err
		}
	}
}

func (r *running) runs(ctx context.Context, held runningScan) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	age := r.now().Sub(held.At)
	var s record.Scan
	err := r.bus.Call(ctx, event.SubjectQueryScan, map[string]string{"scan_id": held.ScanID}, &s)
	if err == nil {
		return s.State == record.ScanRunning
	}
	if se, ok := errors.AsType[*bus.ServiceError](err); ok && se.Code == "404" {
		return age < unseenScan
	}
	return age < 24*time.Hour // no sink answers: the claim holds
}

// sharedImages implements workers.SharedImages over a bucket.
type sharedImages struct {
	kv  *bus.KV
	now func() time.Time
}

// claimTTL is how long a claim keeps others from asking.
const claimTTL = 15 * time.Second

type sharedImage struct {
	Claimed time.Time `json:"claimed,omitzero"` // a process is asking since
	Facts   []byte    `json:"facts,omitempty"`
}

func imageKey(s ecs.Scope, id string) string {
	return event.Token(s.Account) + "." + event.Token(s.Region) + "." + event.Token(id)
}

func (c *sharedImages) read(ctx context.Context, s ecs.Scope, id string) (sharedImage, uint64, error) {
	value, revision, err := c.kv.Get(ctx, imageKey(s, id))
	if errors.Is(err, bus.ErrNotFound) {
		return sharedImage{}, 0, nil
	}
	var img sharedImage
	if err == nil && json.Unmarshal(value, &img) != nil {
		img = sharedImage{} // unreadable: ask the cloud
	}
	return img, revision, err
}

// Get implements workers.SharedImages.
func (c *sharedImages) Get(ctx context.Context, s ecs.Scope, ids []string) (map[string]rules.ImageFacts, error) {
	out := map[string]rules.ImageFacts{}
	for _, id := range ids {
		img, _, err := c.read(ctx, s, id)
		if err != nil {
			return nil, err
		}
		if img.Facts != nil {
			if f, err := event.DecodeFacts(img.Facts); err == nil {
				out[id] = f.Image
			}
		}
	}
	return out, nil
}

// Claim implements workers.SharedImages.
func (c *sharedImages) Claim(ctx context.Context, s ecs.Scope, ids []string) ([]string, error) {
	var got []string
	for _, id := range ids {
		img, revision, err := c.read(ctx, s, id)
		if err != nil {
			return got, err
		}
		if img.Facts != nil || c.now().Sub(img.Claimed) < claimTTL {
			continue
		}
		value, err := json.Marshal(sharedImage{Claimed: c.now().UTC()})
		if err != nil {
			return got, err
		}
		if _, err := c.kv.Update(ctx, imageKey(s, id), value, revision); err == nil {
			got = append(got, id)
		} else if !errors.Is(err, bus.ErrConflict) {
			return got, err
		}
	}
	return got, nil
}

// Put implements workers.SharedImages.
func (c *sharedImages) Put(ctx context.Context, s ecs.Scope, images []ecs.Image) error {
	for _, img := range images {
		value, err := json.Marshal(sharedImage{Facts: event.AppendFacts(nil, &rules.Facts{Image: img.Facts})})
		if err != nil {
			return err
		}
		if err := c.kv.Put(ctx, imageKey(s, img.ID), value); err != nil {
			return err
		}
	}
	return nil
}

// Release implements workers.SharedImages.
func (c *sharedImages) Release(ctx context.Context, s ecs.Scope, ids []string) {
	for _, id := range ids {
		if img, revision, err := c.read(ctx, s, id); err == nil && img.Facts == nil && revision > 0 {
			_ = c.kv.Delete(ctx, imageKey(s, id), revision) // it lapses by itself otherwise
		}
	}
}

// locator implements producer.Locator by asking a sink.
type locator struct{ bus *bus.Bus }

// Locate implements producer.Locator.
func (l locator) Locate(ctx context.Context, ids []string) (map[string]ecs.Scope, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var reply struct {
		Scopes map[string]ecs.Scope `json:"scopes"`
	}
	err := l.bus.Call(ctx, event.SubjectQueryLocate, map[string][]string{"instance_ids": ids}, &reply)
	return reply.Scopes, err
}

// sharedRates implements ecsapi.Shared over a bucket in memory: what a limiter
// learnt is learnt again in minutes.
type sharedRates struct{ kv *bus.KV }

// Load implements ecsapi.Shared.
func (r sharedRates) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	value, revision, err := r.kv.Get(ctx, event.Token(key))
	if errors.Is(err, bus.ErrNotFound) {
		return nil, 0, nil
	}
	return value, revision, err
}

// Store implements ecsapi.Shared.
func (r sharedRates) Store(ctx context.Context, key string, value []byte, expect uint64) error {
	_, err := r.kv.Update(ctx, event.Token(key), value, expect)
	if errors.Is(err, bus.ErrConflict) {
		return ecsapi.ErrConflict
	}
	return err
}
