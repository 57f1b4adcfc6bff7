package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrTaken is returned where another process answers for a name already.
var ErrTaken = errors.New("another process has that name")

const (
	soleAsk    = 2 * time.Second // a process that lives answers by then
	soleListen = time.Second     // others that start at the same moment are heard by then, on a busy machine too: 200 ms were not enough there
)

// Alone says that no other process can take a role on this bus: its server is in
// this process and lets nobody else in who may publish what roles do.
func (b *Bus) Alone() bool {
	return b.server != nil && (b.o.Listen == "" || b.o.Access != AccessOpen)
}

// Sole makes this process, which calls itself who, the only one that answers
// on subject, until the returned function is called. Where another one answers
// already it is ErrTaken, with what that one calls itself; of two that start
// at once, one is refused. A process that died does not answer and is in
// nobody's way. It rests on messages that arrive in time: what must never be done
// twice, even by a process that is cut off or stands still, needs more than this.
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
	claim := soleClaim{who: who}
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) {
		answer := nats.NewMsg(m.Reply)
		if claim.heardOf(string(m.Data)) {
			answer.Header.Set(soleSettled, "yes")
		}
		if err := b.reply(m.Reply, answer, []byte(who)); err != nil {
			b.log.Debug("name was not said", "subject", subject, "err", err)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("answer on %s: %w", subject, err)
	}
	release = func() { _ = sub.Unsubscribe() }
	holder := b.others(subject, who, &claim)
	if holder == "" {
		holder = claim.settle()
	}
	if holder != "" {
		release()
		return nil, fmt.Errorf("%w: %s, which starts just now", ErrTaken, firstLine(holder))
	}
	return release, nil
}

// soleSettled is the header of an answer by a process that has the name for good. It
// goes before one that claims it now, whatever the two call themselves.
const soleSettled = "Shenscan-Settled"

// soleClaim is one process's claim of a name. Of two that claim it at once perhaps
// only one hears of the other by an answer, since its question went out before the
// other listened: the other's question, which says its name, tells it.
type soleClaim struct {
	who string

	mu      sync.Mutex
	settled bool
	first   string // of the others that claim the name now, in the order of their names
}

// heardOf notes another process that claims the name, and tells whether this one
// has it already.
func (c *soleClaim) heardOf(other string) (settled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.settled && other != "" && other != c.who && (c.first == "" || other < c.first) {
		c.first = other
	}
	return c.settled
}

// settle takes the name unless somebody goes before, whom it returns.
func (c *soleClaim) settle() (before string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first != "" && c.first < c.who {
		return c.first
	}
	c.settled = true
	return ""
}

// others asks everybody on subject, and notes those that claim the name now. It
// returns who has it already, "" for nobody.
func (b *Bus) others(subject, who string, claim *soleClaim) (holder string) {
	inbox := b.nc.NewInbox()
	answers, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return ""
	}
	defer func() { _ = answers.Unsubscribe() }()
	question := &nats.Msg{Subject: subject, Reply: inbox, Data: []byte(who)}
	if err := b.nc.PublishMsg(question); err != nil {
		return ""
	}
	for deadline := time.Now().Add(soleListen); ; {
		message, err := answers.NextMsg(time.Until(deadline))
		if err != nil {
			return ""
		}
		said := string(message.Data)
		if message.Header.Get(soleSettled) != "" && said != who {
			return said
		}
		claim.heardOf(said)
	}
}

// reply answers a request. An answer goes to an inbox alone: whoever asks names
// where it goes, and this process may publish on subjects that they may not.
func (b *Bus) reply(to string, msg *nats.Msg, body []byte) error {
	if !strings.HasPrefix(to, inboxPrefix) {
		return fmt.Errorf("%w: %q", errNoInbox, to)
	}
	msg.Data = body
	if err := b.nc.PublishMsg(msg); err != nil {
		return fmt.Errorf("answer on %s: %w", to, err)
	}
	return nil
}

var errNoInbox = errors.New("the answer is wanted on a subject that is no inbox; it was not sent")

// inboxPrefix begins subjects that can only be an inbox of somebody who waits.
const inboxPrefix = nats.InboxPrefix
