package ecsapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

var _ ecs.ConsoleAPI = (*Client)(nil)

// ConsoleOutput implements ecs.ConsoleAPI.
func (c *Client) ConsoleOutput(ctx context.Context, scope ecs.Scope, id string) (out ecs.Console, err error) {
	if !usableID(id) {
		return out, badRequest(actConsole, scope, fmt.Errorf("no instance can have the id %q", clip(id, 60)))
	}
	req := asideRequest(actConsole, "RegionId", scope.Region, "InstanceId", id, "RemoveSymbols", "true")
	return ask(ctx, c, scope, req, decoding(func(answer *wireConsole) (ecs.Console, error) { return answer.of(id) }))
}

// wireConsole is an answer with a log.
type wireConsole struct {
	InstanceID                    string `json:"InstanceId"`
	ConsoleOutput, LastUpdateTime string
}

// of is the log of an instance, which the answer must be about.
func (answer *wireConsole) of(id string) (out ecs.Console, err error) {
	if answer.InstanceID != id {
		return out, fmt.Errorf("the answer is about %.40q, which was not asked for", answer.InstanceID)
	}
	log, err := base64.StdEncoding.DecodeString(strings.TrimSpace(answer.ConsoleOutput))
	if err != nil {
		return out, fmt.Errorf("ConsoleOutput: %w", err)
	}
	return ecs.Console{Updated: consoleTime(answer.LastUpdateTime), Log: log[max(0, len(log)-ecs.MaxConsole):]}, nil
}

// consoleZone is the zone in which the documents say that LastUpdateTime is.
var consoleZone = time.FixedZone("UTC+8", 8*60*60)

// consoleTime reads LastUpdateTime. The documents show it as 2018-03-22 10:04:57,
// call it ISO 8601 with a Z and say that it is in UTC+8: of these readings the
// earliest counts, so that no log of before the last start is taken for one of
// after it.
func consoleTime(text string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04Z", "2006-01-02T15:04:05Z"} {
		if t, err := time.ParseInLocation(strings.TrimSuffix(layout, "Z"), strings.TrimSuffix(text, "Z"), consoleZone); err == nil {
			return t.UTC()
		}
	}
	t, err := time.Parse(time.RFC3339, text) // with an offset of its own
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
