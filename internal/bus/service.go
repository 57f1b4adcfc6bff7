package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/trace"
)

// Request is a request to one of shenscan's services.
type Request struct {
	Data []byte
	// Caller tells users apart for rate limits: the one whose inbox the answer
	// goes to, which no other user can hear.
	Caller string
}

// ServiceError is an answer that the caller can act on.
type ServiceError struct {
	Code string // "400", "404", "429", "503"
	Text string
}

func (e *ServiceError) Error() string { return e.Text }

// Endpoint answers requests on one subject. What it returns is sent as JSON.
type Endpoint struct {
	Name, Subject string
	Handle        func(context.Context, Request) (any, error)
}

// Serve answers requests as a NATS micro service until ctx ends. Several
// processes that serve the same name share the load. Handlers run side by
// side, at most limit at once; requests beyond that wait. It is one of Awaited
// from its end on.
func (b *Bus) Serve(ctx context.Context, name, description, version string, limit int, endpoints []Endpoint) error {
	svc, err := micro.AddService(b.nc, micro.Config{Name: name, Version: version, Description: description})
	if err != nil {
		return fmt.Errorf("add service %s: %w", name, err)
	}
	ended, slots := make(chan struct{}), make(chan struct{}, limit)
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for _, endpoint := range endpoints {
		handler := micro.HandlerFunc(func(request micro.Request) {
			select {
			case slots <- struct{}{}:
				go func() {
					defer func() { <-slots }()
					b.answer(work, endpoint, request)
				}()
			case <-ended: // requests go on arriving for a moment after their subscription was drained
				b.respond(work, request, nil, &ServiceError{Code: "503", Text: "this process is stopping; ask again"})
			}
		})
		if err := svc.AddEndpoint(endpoint.Name, handler, micro.WithEndpointSubject(endpoint.Subject)); err != nil {
			return errors.Join(fmt.Errorf("add endpoint %s: %w", endpoint.Subject, err), svc.Stop())
		}
	}
	// The server has the endpoints when it answers what is sent after them. Where it
	// does not, they are sent again with the next connection, before anything else.
	if err := b.nc.FlushTimeout(5 * time.Second); err != nil && ctx.Err() == nil {
		b.log.WarnContext(ctx, "it is not known yet whether requests arrive", "service", name, "err", err)
	}
	b.lives.begun(name)
	defer b.Await(name)
	<-ctx.Done()
	err = svc.Stop()
	timer := time.AfterFunc(b.softStop(), cancel)
	defer timer.Stop()
	close(ended)
	for range limit { // those that run give their slots back
		slots <- struct{}{}
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("stop service %s: %w", name, err)
	}
	return nil
}

// answer has an endpoint handle a request, and replies with what came of it.
func (b *Bus) answer(ctx context.Context, endpoint Endpoint, request micro.Request) {
	ctx, span := b.traceRequest(ctx, endpoint.Subject, request)
	reply, err := endpoint.Handle(ctx, Request{Data: request.Data(), Caller: callerOf(request.Reply())})
	span.End(err)
	b.respond(ctx, request, reply, err)
}

func (b *Bus) respond(ctx context.Context, request micro.Request, reply any, err error) {
	if request.Reply() == "" {
		if err != nil {
			b.log.WarnContext(ctx, "request without a reply subject was refused", "subject", request.Subject(), "err", err)
		}
		return
	}
	size, sent := b.send(request.Reply(), reply, err)
	if sent == nil {
		return
	}
	b.log.WarnContext(ctx, "answer was not sent", "subject", request.Subject(), "err", sent)
	if errors.Is(sent, errNoInbox) {
		return
	}
	// Whoever asks hears why there is no answer, and does not wait for it.
	why := &ServiceError{Code: "500", Text: "the answer could not be sent; the log of the process that gives it says why"}
	if errors.Is(sent, nats.ErrMaxPayload) {
		why = &ServiceError{Code: CodeTooLarge, Text: fmt.Sprintf("the answer has %d bytes and NATS takes %d: ask for less at a time, or ask the API over HTTP", size, b.nc.MaxPayload())}
	}
	if _, err := b.send(request.Reply(), nil, why); err != nil {
		b.log.WarnContext(ctx, "answer was not sent", "subject", request.Subject(), "err", err)
	}
}

// send answers on a subject with the reply, or with the error where there is one, and
// returns how many bytes the answer has. The service's own Error and Respond note what
// they did in the request, which the service reads when its handler returns: before
// this, since requests are answered side by side.
func (b *Bus) send(to string, reply any, failed error) (size int, err error) {
	msg := nats.NewMsg(to)
	if failed != nil {
		code := "500"
		if se, ok := errors.AsType[*ServiceError](failed); ok {
			code = se.Code
		}
		msg.Header.Set(micro.ErrorCodeHeader, code)
		msg.Header.Set(micro.ErrorHeader, firstLine(failed.Error()))
		reply = map[string]string{"error": failed.Error()}
	}
	body, err := json.Marshal(reply)
	if err != nil {
		return 0, fmt.Errorf("encode answer: %w", err)
	}
	return len(body), b.reply(to, msg, body)
}

// CodeTooLarge is the code of a ServiceError for an answer that is larger than a
// message may be.
const CodeTooLarge = "413"

// callerOf is the user who asks, as far as the server vouches for it: the owner
// of the inbox that the answer goes to. What a request says of itself counts for
// nothing, and users without an inbox of their own are one, so that nobody gets
// more by another name.
func callerOf(reply string) string {
	if inbox, ok := strings.CutPrefix(reply, inboxPrefix); ok {
		switch name, _, _ := strings.Cut(inbox, "."); name {
		case InboxProcess, InboxProducer, InboxWorker, InboxSink, InboxViewer:
			return name
		}
	}
	return InboxOperator
}

// ErrNobody is returned where nobody serves what is asked for.
var ErrNobody = errors.New("nobody answers")

// callWait is how long an answer is waited for where the caller sets no limit:
// NATS drops what a user may not ask without a word to the one who waits.
var callWait = 30 * time.Second

// Call sends a JSON request to a service and decodes its answer into reply.
func (b *Bus) Call(ctx context.Context, subject string, request, reply any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode request for %s: %w", subject, err)
	}
	ctx, span := trace.StartClient(ctx, "ask "+subject, trace.Str("messaging.system", "nats"), trace.Str("messaging.destination.name", subject))
	question := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
	setTrace(ctx, question.Header)
	waiting := ctx
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, callWait)
		defer cancel()
	}
	msg, err := b.nc.RequestMsgWithContext(waiting, question)
	span.End(err)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%s: no answer within %v; may this NATS user ask it, and is the shenscan that answers it alive? %w", subject, callWait, err)
	}
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("%s: %w; is a shenscan running on this NATS? %w", subject, ErrNobody, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	if code := msg.Header.Get(micro.ErrorCodeHeader); code != "" {
		return fmt.Errorf("%s: %w", subject, &ServiceError{Code: code, Text: msg.Header.Get(micro.ErrorHeader)})
	}
	if err := json.Unmarshal(msg.Data, reply); err != nil {
		return fmt.Errorf("decode answer of %s: %w", subject, err)
	}
	return nil
}

// ErrSchedule is returned for a schedule that the server does not take.
var ErrSchedule = errors.New("no schedule")

// Schedule stores a schedule in the server, which fires it whoever lives: on
// each tick one message appears on the tick consumer, however many processes
// stored the same schedule. cron has six fields, seconds first. It reports
// whether the server knew no schedule of that name. One that it would refuse
// again is ErrSchedule.
func (b *Bus) Schedule(ctx context.Context, name, cron, zone string, request *event.ScanRequested) (fresh bool, err error) {
	payload, err := event.Encode(request)
	if err != nil {
		return false, err
	}
	subject := subjectSchedule + event.Token(name)
	if s, err := b.js.Stream(ctx, StreamSchedules); err == nil {
		raw, err := s.GetLastMsgForSubject(ctx, subject)
		// An equal schedule is left alone, so that a restart does not move its next tick.
		if err == nil && raw.Header.Get(jetstream.ScheduleHeader) == cron && raw.Header.Get(jetstream.ScheduleTimeZoneHeader) == zone && string(raw.Data) == string(payload) {
			return false, nil
		}
		fresh = errors.Is(err, jetstream.ErrMsgNotFound)
	}
	opts := []jetstream.PublishOpt{
		jetstream.WithScheduleCron(cron), jetstream.WithScheduleTarget(TickSubject(name)),
	}
	if zone != "" {
		opts = append(opts, jetstream.WithScheduleTimeZone(zone))
	}
	msg := &nats.Msg{Subject: subject, Data: payload, Header: nats.Header{}}
	if _, err := b.js.PublishMsg(ctx, msg, opts...); err != nil {
		if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.Code == 400 { // the codes of HTTP; its own differ by what is wrong
			err = fmt.Errorf("%w: %w", ErrSchedule, err)
		}
		return false, fmt.Errorf("store schedule %q (%s): %w; six fields are needed, seconds first, and NATS 2.14 or later", name, cron, err)
	}
	return fresh, nil
}

const (
	subjectSchedule = "shenscan.schedule."
	subjectTick     = "shenscan.tick."
)

// TickSubject is the subject on which the ticks of a schedule appear.
func TickSubject(name string) string { return subjectTick + event.Token(name) }

// OtherSchedules lists the schedules that the server fires beside those of the
// names, as they are spelled in subjects.
func (b *Bus) OtherSchedules(ctx context.Context, names []string) ([]string, error) {
	stream, err := b.js.Stream(ctx, StreamSchedules)
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subjectSchedule+"*"))
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	var out []string
	for subject := range info.State.Subjects {
		name := strings.TrimPrefix(subject, subjectSchedule)
		if !slices.ContainsFunc(names, func(known string) bool { return event.Token(known) == name }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// EndSchedule ends a schedule of OtherSchedules, and its tick that nobody took
// yet.
func (b *Bus) EndSchedule(ctx context.Context, token string) error {
	stream, err := b.js.Stream(ctx, StreamSchedules)
	for _, subject := range []string{subjectSchedule + token, subjectTick + token} {
		if err == nil {
			err = stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
		}
	}
	if err != nil {
		return fmt.Errorf("end schedule %s: %w", token, err)
	}
	return nil
}
