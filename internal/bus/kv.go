package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// KV is a key-value bucket with optimistic concurrency.
type KV struct {
	bus *Bus
	kv  jetstream.KeyValue
}

// ErrNotFound is returned for a key that is not there.
var ErrNotFound = errors.New("no such key")

// ErrConflict is returned when somebody else wrote the key first.
var ErrConflict = errors.New("key was changed by somebody else")

// KV opens a bucket, creating it where it is missing and this user may. Values
// vanish after ttl. A bucket in memory is for what can be learnt anew.
func (b *Bus) KV(ctx context.Context, bucket string, ttl time.Duration, memory bool) (*KV, error) {
	ctx, cancel := context.WithTimeout(ctx, declareTime)
	defer cancel()
	cfg := jetstream.KeyValueConfig{Bucket: bucket, TTL: ttl, Replicas: b.o.Replicas, Storage: jetstream.FileStorage, MaxBytes: 256 << 20}
	if memory {
		cfg.Storage, cfg.MaxBytes = jetstream.MemoryStorage, memoryBytes
	}
	var kv jetstream.KeyValue
	made := false
	err := untilRoom(ctx, func() (err error) {
		kv, made, err = b.bucket(ctx, cfg)
		return err
	})
	if err == nil && !made && b.o.Declare {
		kv = b.changeBucket(ctx, kv, cfg)
	}
	for denied := err; errors.Is(denied, errDenied) && err != nil; {
		if !Pause(ctx, 250*time.Millisecond) {
			return nil, fmt.Errorf("bucket %s does not exist and this user may not create it: %w; start a producer first, whose user may", bucket, denied)
		}
		kv, err = b.lookUp(ctx, bucket)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	b.bucketsMu.Lock()
	defer b.bucketsMu.Unlock()
	b.buckets = append(b.buckets, cfg)
	return &KV{bus: b, kv: kv}, nil
}

// memoryBytes is what a bucket in memory may hold: about 150,000 images. The
// server sets it aside when the bucket is made, twice where two processes ask
// for it at the same moment; with 256 MB of memory that is to fit.
const memoryBytes = 48 << 20

func (b *Bus) lookUp(ctx context.Context, bucket string) (jetstream.KeyValue, error) {
	return ask(ctx, b, "$JS.API.STREAM.INFO.KV_"+bucket, func(ctx context.Context) (jetstream.KeyValue, error) { return b.js.KeyValue(ctx, bucket) })
}

// bucket looks a bucket up, and makes it where it is missing.
func (b *Bus) bucket(ctx context.Context, cfg jetstream.KeyValueConfig) (kv jetstream.KeyValue, made bool, err error) {
	if kv, err = b.lookUp(ctx, cfg.Bucket); !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, false, err
	}
	kv, err = ask(ctx, b, "$JS.API.STREAM.CREATE.KV_"+cfg.Bucket, func(ctx context.Context) (jetstream.KeyValue, error) { return b.js.CreateKeyValue(ctx, cfg) })
	if errors.Is(err, jetstream.ErrBucketExists) { // somebody else did at the same time
		kv, err = b.lookUp(ctx, cfg.Bucket)
		return kv, false, err
	}
	return kv, err == nil, err
}

// restore makes the buckets in use again where the server has lost them: one
// that runs alone forgets those in memory when it restarts. A user that may
// not make any leaves it to a producer.
func (b *Bus) restore(ctx context.Context) {
	b.bucketsMu.Lock()
	buckets := slices.Clone(b.buckets)
	b.bucketsMu.Unlock()
	for _, cfg := range buckets {
		looking, cancel := context.WithTimeout(ctx, lookTime)
		_, made, err := b.bucket(looking, cfg)
		cancel()
		switch {
		case made:
			b.log.WarnContext(ctx, "bucket was gone and was made again", "bucket", cfg.Bucket)
		case err != nil && !errors.Is(err, errDenied):
			b.log.DebugContext(ctx, "bucket was not looked for; what it shares is not shared meanwhile", "bucket", cfg.Bucket, "err", err)
		}
	}
}

// changeBucket gives a bucket the replicas and the age that it is to have.
// What cannot be changed stays: a bucket holds nothing that is not learnt anew.
func (b *Bus) changeBucket(ctx context.Context, kv jetstream.KeyValue, cfg jetstream.KeyValueConfig) jetstream.KeyValue {
	status, err := kv.Status(ctx)
	if err != nil {
		return kv
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok || bucket.TTL() == cfg.TTL && bucket.StreamInfo().Config.Replicas >= cfg.Replicas {
		return kv
	}
	cfg.Replicas = max(cfg.Replicas, bucket.StreamInfo().Config.Replicas)
	changed, err := ask(ctx, b, "$JS.API.STREAM.UPDATE.KV_"+cfg.Bucket, func(ctx context.Context) (jetstream.KeyValue, error) { return b.js.UpdateKeyValue(ctx, cfg) })
	if err != nil {
		b.log.WarnContext(ctx, "bucket was not changed", "bucket", cfg.Bucket, "err", err)
		return kv
	}
	return changed
}

// Get returns the value and revision of key, or ErrNotFound.
func (k *KV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	entry, err := k.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, ErrNotFound
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read %s from %s: %w", key, k.kv.Bucket(), err)
	}
	return entry.Value(), entry.Revision(), nil
}

// Made returns when the bucket was made: one that the server lost and that was
// made again was made later.
func (k *KV) Made(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, manyTime)
	defer cancel()
	state, err := k.bus.State(ctx, "KV_"+k.kv.Bucket())
	return time.Unix(0, state.Created).UTC(), err
}

// Update writes key if its revision is still revision (0: it does not exist);
// it returns the new revision, or ErrConflict.
func (k *KV) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	var rev uint64
	var err error
	if revision == 0 {
		rev, err = k.kv.Create(ctx, key, value)
	} else {
		rev, err = k.kv.Update(ctx, key, value, revision)
	}
	if errors.Is(err, jetstream.ErrKeyExists) || isAPIError(err, jetstream.JSErrCodeStreamWrongLastSequence) {
		return 0, ErrConflict
	}
	if err != nil {
		return 0, fmt.Errorf("write %s to %s: %w", key, k.kv.Bucket(), err)
	}
	return rev, nil
}

// Entry is what a key holds: nothing and revision 0 where there is no such
// key, nothing and a revision where it was deleted.
type Entry struct {
	Value    []byte
	Revision uint64
	Stored   time.Time // by the clock of the server
}

// Write is one change of a key. It is made where the key's revision is still
// Revision, or with Always whatever it is.
type Write struct {
	Key      string
	Value    []byte
	Revision uint64
	Always   bool
}

const (
	manyTime = 5 * time.Second // for one exchange about many keys
	manyKeys = 256             // the server answers for at most 1024 at once
)

// GetAll returns the entry of each key, in the order of keys, in one exchange
// with the server for many keys.
func (k *KV) GetAll(ctx context.Context, keys []string) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, manyTime)
	defer cancel()
	out := make([]Entry, 0, len(keys))
	subject := "$JS.API.DIRECT.GET.KV_" + k.kv.Bucket()
	for part := range slices.Chunk(keys, manyKeys) {
		got, err := ask(ctx, k.bus, subject, func(ctx context.Context) (map[string]Entry, error) { return k.lastOf(ctx, subject, part) })
		if err != nil {
			return nil, fmt.Errorf("read %d keys from %s: %w", len(part), k.kv.Bucket(), err)
		}
		for _, key := range part {
			out = append(out, got[key])
		}
	}
	return out, nil
}

// lastOf asks for the last message of each key's subject. The answers end with
// one that has a status.
func (k *KV) lastOf(ctx context.Context, subject string, keys []string) (map[string]Entry, error) {
	var question struct {
		Last []string `json:"multi_last"`
	}
	for _, key := range keys {
		question.Last = append(question.Last, k.subject(key))
	}
	data, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	inbox := k.bus.nc.NewInbox()
	sub, err := k.bus.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := k.bus.nc.PublishRequest(subject, inbox, data); err != nil {
		return nil, err
	}
	out := make(map[string]Entry, len(keys))
	for {
		message, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch status := message.Header.Get("Status"); status {
		case "": // an entry
		case "204", "404": // that was all; there is nothing
			return out, nil
		default:
			return nil, fmt.Errorf("the server answered %s %s", status, message.Header.Get("Description"))
		}
		entry := Entry{Value: message.Data}
		if entry.Revision, err = strconv.ParseUint(message.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
			return nil, fmt.Errorf("an answer without a revision: %w", err)
		}
		if entry.Stored, err = time.Parse(time.RFC3339Nano, message.Header.Get(jetstream.TimeStampHeaer)); err != nil {
			return nil, fmt.Errorf("an answer without a time: %w", err)
		}
		if message.Header.Get("KV-Operation") != "" { // deleted or purged
			entry.Value = nil
		}
		out[strings.TrimPrefix(message.Header.Get(jetstream.SubjectHeader), k.subject(""))] = entry
	}
}

func (k *KV) subject(key string) string { return "$KV." + k.kv.Bucket() + "." + key }

// WriteAll makes the writes and tells which were made; the others found a key
// that somebody else had changed. All are sent before an answer is waited for.
// After an error it is not known which were made.
func (k *KV) WriteAll(ctx context.Context, writes []Write) ([]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, manyTime)
	defer cancel()
	made, err := k.writeAll(ctx, writes)
	if err != nil {
		return nil, fmt.Errorf("write %d keys to %s: %w", len(writes), k.kv.Bucket(), err)
	}
	return made, nil
}

func (k *KV) writeAll(ctx context.Context, writes []Write) ([]bool, error) {
	sent := make([]jetstream.PubAckFuture, len(writes))
	for i, write := range writes {
		var opts []jetstream.PublishOpt
		if !write.Always {
			opts = append(opts, jetstream.WithExpectLastSequencePerSubject(write.Revision))
		}
		var err error
		if sent[i], err = k.bus.js.PublishAsync(k.subject(write.Key), write.Value, opts...); err != nil {
			return nil, err
		}
	}
	made := make([]bool, len(writes))
	for i := range sent {
		select {
		case <-sent[i].Ok():
			made[i] = true
		case err := <-sent[i].Err():
			if !isAPIError(err, jetstream.JSErrCodeStreamWrongLastSequence) {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return made, nil
}
