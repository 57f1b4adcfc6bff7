package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/event"
)

// The streams. Their reasons stand in declarations.
const (
	StreamWork       = "SHENSCAN_WORK"
	StreamPages      = "SHENSCAN_PAGES"
	StreamResults    = "SHENSCAN_RESULTS"
	StreamEvents     = "SHENSCAN_EVENTS"
	StreamDead       = "SHENSCAN_DEAD"
	StreamAdvisories = "SHENSCAN_ADVISORIES"
	StreamSchedules  = "SHENSCAN_SCHEDULES"
)

// Limits bound the streams' disk use and age.
type Limits struct {
	MaxStore   int64         // bytes that the embedded server may use in all
	PagesBytes int64         // bytes of pages waiting for workers; producers wait when it is full
	Results    int64         // bytes of results kept for sinks that catch up
	ResultsAge time.Duration // how long results are kept
	EventsAge  time.Duration
}

// defaultLimits suit a fleet of a million instances scanned daily.
func defaultLimits() Limits {
	return Limits{MaxStore: 20 << 30, PagesBytes: 128 << 20, Results: 8 << 30, ResultsAge: 8 * 24 * time.Hour, EventsAge: 30 * 24 * time.Hour}
}

// Headers count as part of a message; a dead letter holds a whole message as
// base64.
const (
	maxMessage    = event.MaxPayload + 64<<10
	serverPayload = 2 << 20
)

// declarations are all streams, in one place.
func declarations(limits Limits, replicas int) []jetstream.StreamConfig {
	const window = 2 * time.Minute
	return []jetstream.StreamConfig{
		{
			Name: StreamWork, Description: "scan and rescan requests, scope and lane jobs: each is done once by some producer",
			Subjects: []string{"shenscan.work.>"}, Retention: jetstream.WorkQueuePolicy,
			// New requests are refused rather than old ones dropped: an answered request survives.
			Discard: jetstream.DiscardNew, MaxMsgs: 1_000_000, MaxBytes: 1 << 30, MaxMsgSize: maxMessage,
			Duplicates: window, Replicas: replicas, AllowDirect: true,
		},
		{
			Name: StreamPages, Description: "pages of instances on their way to a worker",
			Subjects: []string{"shenscan.pages.>"}, Retention: jetstream.WorkQueuePolicy,
			// A full stream pushes back on producers; nothing is dropped.
			Discard: jetstream.DiscardNew, MaxBytes: limits.PagesBytes, MaxMsgSize: maxMessage,
			Duplicates: window, Replicas: replicas, AllowDirect: true,
		},
		{
			Name: StreamResults, Description: "classified pages and the scans' bookkeeping, in one order that every sink follows",
			// Kept by age and size and not by interest, so that a new sink can catch up.
			Subjects: []string{"shenscan.results.>"}, Retention: jetstream.LimitsPolicy,
			Discard: jetstream.DiscardOld, MaxBytes: limits.Results, MaxAge: limits.ResultsAge, MaxMsgSize: maxMessage,
			Duplicates: window, Replicas: replicas, AllowDirect: true,
		},
		{
			Name: StreamEvents, Description: "verdict changes and scan states for whoever listens",
			Subjects: []string{"shenscan.events.>"}, Retention: jetstream.LimitsPolicy,
			Discard: jetstream.DiscardOld, MaxAge: limits.EventsAge, MaxBytes: 1 << 30,
			Duplicates: window, Replicas: replicas, AllowDirect: true,
		},
		{
			Name: StreamDead, Description: "messages that could not be processed, with their cause",
			Subjects: []string{event.SubjectDead + ".>"}, Retention: jetstream.LimitsPolicy,
			Discard: jetstream.DiscardOld, MaxAge: 90 * 24 * time.Hour, MaxBytes: 1 << 30,
			Duplicates: window, Replicas: replicas, AllowDirect: true,
		},
		{
			Name: StreamAdvisories, Description: "the server's word that a message was delivered too often: the road to the dead letters for messages that kill their worker",
			Subjects: []string{
				"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + StreamWork + ".*",
				"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + StreamPages + ".*",
				"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + StreamSchedules + ".*",
			},
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld, MaxAge: 7 * 24 * time.Hour, MaxMsgs: 100_000,
			Replicas: replicas,
		},
		{
			Name: StreamSchedules, Description: "schedules, which the server itself fires, and their ticks",
			Subjects:  []string{subjectSchedule + "*", subjectTick + "*"},
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
			// One message a subject: a schedule that is published again replaces itself.
			MaxMsgsPerSubject: 1, AllowMsgSchedules: true, AllowRollup: true, Duplicates: window, Replicas: replicas,
		},
	}
}

func isAPIError(err error, code jetstream.ErrorCode) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == code
}

// StreamState is the end of a stream.
type StreamState struct {
	Created  int64 // unix nanoseconds
	FirstSeq uint64
	LastSeq  uint64
	Messages uint64
	Bytes    uint64
}

// State asks the server for the state of a stream. The error wraps
// jetstream.ErrStreamNotFound where there is none of that name.
func (b *Bus) State(ctx context.Context, name string) (StreamState, error) {
	stream, err := b.stream(ctx, name)
	if err != nil {
		return StreamState{}, err
	}
	return stateOf(stream.CachedInfo()), nil
}

// stream asks the server for a stream.
func (b *Bus) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", name, err)
	}
	return stream, nil
}

func stateOf(info *jetstream.StreamInfo) StreamState {
	return StreamState{info.Created.UnixNano(), info.State.FirstSeq, info.State.LastSeq, info.State.Msgs, info.State.Bytes}
}

// ConsumerState is how far behind a consumer is.
type ConsumerState struct {
	Stream, Consumer    string
	Pending, AckPending uint64
}

// Consumers lists every consumer of shenscan's streams. The consumers of a
// sink, of which those that earlier processes left linger for a while, are one:
// the one that is least behind.
func (b *Bus) Consumers(ctx context.Context) ([]ConsumerState, error) {
	var out []ConsumerState
	sinks := map[string]int{} // name -> place in out
	for _, name := range []string{StreamWork, StreamPages, StreamResults} {
		stream, err := b.stream(ctx, name)
		if err != nil {
			return nil, err
		}
		list := stream.ListConsumers(ctx)
		for c := range list.Info() {
			state := ConsumerState{name, c.Name, c.NumPending, uint64(max(c.NumAckPending, 0))}
			if sink, _, ok := strings.Cut(c.Name, consumerMark); ok {
				state.Consumer = sink
				if at, ok := sinks[sink]; ok {
					out[at].Pending = min(out[at].Pending, state.Pending)
					continue
				}
				sinks[sink] = len(out)
			}
			out = append(out, state)
		}
		if err := list.Err(); err != nil {
			return nil, fmt.Errorf("list consumers of %s: %w", name, err)
		}
	}
	return out, nil
}

func splitAddr(addr string) (string, int, error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: %w", addr, err)
	}
	port, err := strconv.Atoi(p)
	if err != nil || port < -1 || port > 65535 {
		return "", 0, fmt.Errorf("address %q: the port is not a number from 0 to 65535", addr)
	}
	if port == 0 {
		port = -1 // the server's own spelling of "any free port"
	}
	return host, port, nil
}

// ClientURL is where the embedded server listens, or the external URL; ""
// when it opens no socket.
func (b *Bus) ClientURL() string {
	if srv := b.embedded(); srv != nil && b.o.Listen != "" {
		return srv.ClientURL()
	}
	return b.o.URL
}
