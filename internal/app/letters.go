package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
)

// LettersRequest asks for dead letters after an id, oldest first.
type LettersRequest struct {
	After uint64 `json:"after"`
	Limit int    `json:"limit"`
}

// LettersReply holds some of them; there may be more as long as it holds any.
type LettersReply struct {
	Letters []bus.StoredDeadLetter `json:"letters"`
}

// LetterRequest names one dead letter, or one message of the results stream.
type LetterRequest struct {
	ID uint64 `json:"id"`
}

// letters are what operators may do with dead letters. They ask a producer and
// never write to a stream themselves: whoever could would be believed.
func (a *App) letters() []bus.Endpoint {
	each := func(name string, do func(context.Context, uint64) error) bus.Endpoint {
		return bus.Endpoint{Name: "letters-" + name, Subject: event.SubjectLetters + name, Handle: func(ctx context.Context, request bus.Request) (any, error) {
			var letterRequest LetterRequest
			if err := json.Unmarshal(request.Data, &letterRequest); err != nil || letterRequest.ID == 0 {
				return nil, badRequest(errors.Join(err, errNoID))
			}
			if err := do(ctx, letterRequest.ID); err != nil {
				return nil, fmt.Errorf("%d: %w", letterRequest.ID, err)
			}
			a.log.InfoContext(ctx, "an operator asked for it", "letters", name, "id", letterRequest.ID, "caller", request.Caller)
			return struct{}{}, nil
		}}
	}
	return []bus.Endpoint{
		endpoint("letters-list", event.SubjectLetters+"list", a.listLetters),
		each("retry", a.bus.RetryDead),
		each("drop", a.bus.DropDead),
		each("aside", func(ctx context.Context, seq uint64) error { return a.bus.SetAside(ctx, seq, a.onDead) }),
	}
}

var errNoID = errors.New("name it by its id")

// maxLetters bounds one list of letters by its bytes, but for a single letter.
const maxLetters = 512 << 10

func (a *App) listLetters(ctx context.Context, lettersRequest LettersRequest) (any, error) {
	reply := LettersReply{Letters: []bus.StoredDeadLetter{}}
	for size := 0; size < maxLetters && len(reply.Letters) < min(max(lettersRequest.Limit, 1), 1000); {
		next, err := a.bus.DeadLetters(ctx, lettersRequest.After, 1)
		if err != nil {
			return nil, err
		}
		if len(next) == 0 {
			break
		}
		lettersRequest.After = next[0].ID
		if size += len(next[0].Payload)*4/3 + 512; size > maxLetters && len(reply.Letters) > 0 {
			break
		}
		reply.Letters = append(reply.Letters, next[0])
	}
	return reply, nil
}
