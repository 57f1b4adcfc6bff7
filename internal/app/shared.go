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
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/rules"
)

// running implements producer.Running with a key-value bucket. The bucket has one
// key for each set of accounts and regions that can be scanned; its value names the
// scan that runs there now.
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
		if err == nil && json.Unmarshal(value, &held) == nil {
			runs, err := held.ScanID == id, error(nil)
			if !runs {
				runs, err = r.runs(ctx, held)
			}
			if err != nil || runs {
				return held.ScanID, err
			}
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

// runs asks a sink whether a scan is still running. A scan that no sink knows counts
// as running for unseenScan, because its announcement may still be on its way. While
// no sink answers, nobody can tell: the error is a producer.UnknownError for a day,
// and after that the scan counts as ended.
func (r *running) runs(ctx context.Context, held runningScan) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	age := r.now().Sub(held.At).Abs() // of one that a clock which ran ahead dated: as old as it is early
	var scan record.Scan
	err := r.bus.Call(ctx, event.SubjectQueryScan, map[string]string{"scan_id": held.ScanID}, &scan)
	if err == nil {
		return scan.State == record.ScanRunning, nil
	}
	if se, ok := errors.AsType[*bus.ServiceError](err); ok && se.Code == "404" {
		return age < unseenScan, nil
	}
	if age < 24*time.Hour {
		return false, &producer.UnknownError{ScanID: held.ScanID}
	}
	return false, nil
}

// sharedImages implements workers.SharedImages over a bucket.
type sharedImages struct {
	kv  *bus.KV
	now func() time.Time
}

// claimTTL is how long the claim of one worker keeps the others from asking the
// cloud for the same image. It bounds the delay that a worker causes which claims
// an image and ends before it has asked.
const claimTTL = 15 * time.Second

type sharedImage struct {
	Claimed time.Time `json:"claimed,omitzero"` // a process is asking since
	Facts   []byte    `json:"facts,omitempty"`
}

func imageKey(s ecs.Scope, id string) string {
	return event.Token(s.Account) + "." + event.Token(s.Region) + "." + event.Token(id)
}

// held reads what the bucket holds for each of the image ids, in their order.
func (c *sharedImages) held(ctx context.Context, scope ecs.Scope, ids []string) ([]sharedImage, []bus.Entry, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = imageKey(scope, id)
	}
	entries, err := c.kv.GetAll(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	held := make([]sharedImage, len(ids))
	for i, e := range entries {
		if e.Value != nil && json.Unmarshal(e.Value, &held[i]) != nil {
			held[i] = sharedImage{} // unreadable: ask the cloud
		}
	}
	return held, entries, nil
}

// Claim implements workers.SharedImages.
func (c *sharedImages) Claim(ctx context.Context, scope ecs.Scope, ids []string, most int) (map[string]rules.ImageFacts, []string, error) {
	held, entries, err := c.held(ctx, scope, ids)
	if err != nil {
		return nil, nil, err
	}
	mine, err := json.Marshal(sharedImage{Claimed: c.now().UTC()})
	if err != nil {
		return nil, nil, err
	}
	known := map[string]rules.ImageFacts{}
	var free []string
	var writes []bus.Write
	for index, id := range ids {
		if held[index].Facts != nil {
			if f, err := event.DecodeFacts(held[index].Facts); err == nil {
				known[id] = f.Image
				continue
			}
		}
		if len(free) < most && c.now().Sub(held[index].Claimed).Abs() >= claimTTL {
			free = append(free, id)
			writes = append(writes, bus.Write{Key: imageKey(scope, id), Value: mine, Revision: entries[index].Revision})
		}
	}
	if len(writes) == 0 {
		return known, nil, nil
	}
	made, err := c.kv.WriteAll(ctx, writes)
	if err != nil {
		return known, nil, err
	}
	var claimed []string
	for i, ok := range made {
		if ok {
			claimed = append(claimed, free[i])
		}
	}
	return known, claimed, nil
}

// Put implements workers.SharedImages.
func (c *sharedImages) Put(ctx context.Context, scope ecs.Scope, images []ecs.Image) error {
	writes := make([]bus.Write, len(images))
	for i, img := range images {
		value, err := json.Marshal(sharedImage{Facts: event.AppendFacts(nil, &rules.Facts{Image: img.Facts})})
		if err != nil {
			return err
		}
		writes[i] = bus.Write{Key: imageKey(scope, img.ID), Value: value, Always: true}
	}
	_, err := c.kv.WriteAll(ctx, writes)
	return err
}

// Release implements workers.SharedImages. A claim that nobody releases ends after
// claimTTL.
func (c *sharedImages) Release(ctx context.Context, scope ecs.Scope, ids []string) error {
	held, entries, err := c.held(ctx, scope, ids)
	if err != nil {
		return err
	}
	var writes []bus.Write
	for i, id := range ids {
		if !held[i].Claimed.IsZero() {
			writes = append(writes, bus.Write{Key: imageKey(scope, id), Value: []byte("{}"), Revision: entries[i].Revision})
		}
	}
	_, err = c.kv.WriteAll(ctx, writes)
	return err
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

// sharedRates implements ecsapi.Shared with a key-value bucket that the server keeps
// in memory only: after a restart of the server the limiters of the processes find
// the rates again within minutes.
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
