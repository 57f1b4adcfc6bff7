package bus

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A cluster that is starting says that it has too few servers for a stream: it is asked
// again until it has, or until the time is up, and then its answer is told.
func TestAClusterThatIsStartingIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, tooFew := &Bus{log: slog.New(slog.DiscardHandler)}, &jetstream.APIError{Code: 400, ErrorCode: noPeers, Description: "no suitable peers for placement"}
		asked := 0
		got, err := ask(t.Context(), conn, "subject", func(context.Context) (int, error) {
			if asked++; asked < 5 {
				return 0, tooFew
			}
			return asked, nil
		})
		if got != 5 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), declareTime)
		defer cancel()
		began := time.Now()
		if _, err := ask(ctx, conn, "subject", func(context.Context) (int, error) { return 0, tooFew }); !errors.Is(err, tooFew) || time.Since(began) > declareTime {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		late := 0
		ctx, cancel = context.WithTimeout(t.Context(), declareTime)
		defer cancel()
		if _, err := ask(ctx, conn, "subject", func(ctx context.Context) (int, error) {
			if late++; late == 1 {
				return 0, tooFew
			}
			<-ctx.Done() // no answer to any question behind the first
			return 0, ctx.Err()
		}); !errors.Is(err, tooFew) {
			t.Errorf("what the cluster said is not told: %v", err)
		}
		other := &jetstream.APIError{Code: 400, ErrorCode: noPeers + 1}
		if _, err := ask(t.Context(), conn, "subject", func(context.Context) (int, error) { return 0, other }); !errors.Is(err, other) {
			t.Errorf("%v", err)
		}
	})
}
