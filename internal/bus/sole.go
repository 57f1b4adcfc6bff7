package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrTaken is returned where another process answers for a name already.
var ErrTaken = errors.New("another process has that name")

const (
	soleAsk    = 2 * time.Second        // a process that lives answers by then
	soleListen = 200 * time.Millisecond // others that start at the same moment are heard by then
)

// Alone says that no other process can take a role on this bus: its server is in
// this process and lets nobody else in who may publish what roles do.
func (b *Bus) Alone() bool {
	return b.server != nil && (b.o.Listen == "" || b.o.Guard != GuardNone)
}

// Sole makes this process, which calls itself who, the only one that answers
// on subject, until the returned function is called. Where another one answers
// already it is ErrTaken, with what that one calls itself; of two that start
// at once, one is refused. A process that died does not answer and is in
// nobody's way.
func (b *Bus) Sole(ctx context.Context, subject, who string) (release func(), err error) {
	if b.Alone() {
		return func() {}, nil
	}
	asking, cancel := context.WithTimeout(ctx, soleAsk)
	defer cancel()
	if answer, err := b.nc.RequestWithContext(asking, subject, nil); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrTaken, firstLine(string(answer.Data)))
	} else if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) {
		if err := b.reply(m.Reply, nats.NewMsg(m.Reply), []byte(who)); err != nil {
			b.log.Debug("name was not said", "subject", subject, "err", err)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("answer on %s: %w", subject, err)
	}
	release = func() { _ = sub.Unsubscribe() }
	if other := b.others(subject, who); other != "" && other < who {
		release()
		return nil, fmt.Errorf("%w: %s, which starts just now", ErrTaken, firstLine(other))
	}
	return release, nil
}

// others asks everybody on subject and returns the first answer in order that
// is not who, "" where there is none.
func (b *Bus) others(subject, who string) (first string) {
	inbox := b.nc.NewInbox()
	answers, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return ""
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := b.nc.PublishRequest(subject, inbox, nil); err != nil {
		return ""
	}
	for deadline := time.Now().Add(soleListen); ; {
		message, err := answers.NextMsg(time.Until(deadline))
		if err != nil {
			return first
		}
		if said := string(message.Data); said != who && said != "" && (first == "" || said < first) {
			first = said
		}
	}
}

// reply answers a request. An answer goes to an inbox alone: whoever asks names
// where it goes, and this process may publish on subjects that they may not.
func (b *Bus) reply(to string, msg *nats.Msg, body []byte) error {
	if !isInbox(to) {
		return fmt.Errorf("%w: %q", errNoInbox, to)
	}
	msg.Data = body
	if err := b.nc.PublishMsg(msg); err != nil {
		return fmt.Errorf("answer on %s: %w", to, err)
	}
	return nil
}

var errNoInbox = errors.New("the answer is wanted on a subject that is no inbox; it was not sent")

// isInbox reports whether a reply subject is one that can only be an inbox of
// somebody who waits.
func isInbox(subject string) bool { return strings.HasPrefix(subject, inboxPrefix) }

const inboxPrefix = nats.InboxPrefix
