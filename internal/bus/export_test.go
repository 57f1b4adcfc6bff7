package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TakeAndForget takes messages as a consumer and never settles them, as a
// process does that dies of them.
func (b *Bus) TakeAndForget(ctx context.Context, c Consumer, times int) error {
	cons, err := b.js.CreateOrUpdateConsumer(ctx, c.Stream, jetstream.ConsumerConfig{
		Durable: c.Name, FilterSubject: c.Filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait, MaxDeliver: c.MaxDeliver,
	})
	if err != nil {
		return err
	}
	for range times {
		batch, err := cons.Fetch(1, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return err
		}
		for range batch.Messages() {
		}
	}
	return nil
}
