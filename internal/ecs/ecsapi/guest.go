package ecsapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

var _ ecs.GuestAPI = (*Client)(nil)

// Bounds of what is asked and answered about machines themselves.
const (
	fewAgents      = 50       // ids of one DescribeCloudAssistantStatus that every version of its documents allows
	maxResultPages = 20       // of one invocation, which has MaxCommandInstances results
	maxOutput      = 24 << 10 // bytes of one output, as the API cuts it
	maxCommand     = 18 << 10 // bytes of a command
)

// Agents implements ecs.AgentAPI. A server that takes fewer ids in one call than
// others, or answers for the first of them alone, is given fewer from then on.
func (c *Client) Agents(ctx context.Context, scope ecs.Scope, ids []string) (out []ecs.Agent, calls int, err error) {
	for len(ids) > 0 {
		most := ecs.MaxAgents
		if c.fewAgents.Load() {
			most = fewAgents
		}
		chunk := ids[:min(most, len(ids))]
		calls++
		got, err := c.agents(ctx, scope, chunk)
		e, _ := errors.AsType[*ecs.Error](err)
		if len(chunk) > fewAgents && (e != nil && strings.Contains(e.Code, "ExceedLimit") || err == nil && len(got) <= fewAgents && len(got) > 0) {
			c.fewAgents.Store(true)
			ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
				return slices.ContainsFunc(got, func(a ecs.Agent) bool { return a.InstanceID == id })
			})
			out = append(out, got...)
			continue
		}
		if err != nil {
			return nil, calls, err
		}
		out, ids = append(out, got...), ids[len(chunk):]
	}
	return out, calls, nil
}

// agents makes one call.
func (c *Client) agents(ctx context.Context, scope ecs.Scope, ids []string) ([]ecs.Agent, error) {
	// The size of a page is said to be ignored beside ids; a larger one is said to be refused.
	req := asideRequest(actAgents, "RegionId", scope.Region, "PageSize", strconv.Itoa(fewAgents))
	req.setEach("InstanceId", ids)
	return ask(ctx, c, scope, req, decoding(func(w *wireAgents) ([]ecs.Agent, error) { return w.agents(ids) }))
}

// wireAgents is an answer of DescribeCloudAssistantStatus.
type wireAgents struct {
	InstanceCloudAssistantStatusSet maybe[struct {
		InstanceCloudAssistantStatus list[struct {
			InstanceID           string `json:"InstanceId"`
			CloudAssistantStatus string
			LastHeartbeatTime    string
		}]
	}]
}

func (w *wireAgents) agents(asked []string) ([]ecs.Agent, error) {
	if !w.InstanceCloudAssistantStatusSet.there {
		return nil, missing("InstanceCloudAssistantStatusSet")
	}
	var out []ecs.Agent
	told := map[string]bool{}
	for _, agent := range w.InstanceCloudAssistantStatusSet.v.InstanceCloudAssistantStatus {
		switch {
		case !slices.Contains(asked, agent.InstanceID):
			return nil, fmt.Errorf("the answer tells of %.40q, which was not asked for", agent.InstanceID)
		case told[agent.InstanceID]:
			return nil, fmt.Errorf("the answer tells of %.40q twice", agent.InstanceID)
		}
		told[agent.InstanceID] = true
		out = append(out, ecs.Agent{InstanceID: agent.InstanceID, Installed: agent.CloudAssistantStatus == "true", Heartbeat: instant(agent.LastHeartbeatTime)})
	}
	return out, nil
}

// instant reads a time of the API; the zero time where there is none.
func instant(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// RunCommand implements ecs.GuestAPI. A call that is repeated because its answer
// was lost has the token of the first, and runs nothing twice.
func (c *Client) RunCommand(ctx context.Context, scope ecs.Scope, cmd *ecs.Command) (string, error) {
	switch {
	case len(cmd.InstanceIDs) == 0 || len(cmd.InstanceIDs) > ecs.MaxCommandInstances:
		return "", badRequest(actRun, scope, fmt.Errorf("%d instances: between 1 and %d are asked at once", len(cmd.InstanceIDs), ecs.MaxCommandInstances))
	case cmd.Token == "":
		return "", badRequest(actRun, scope, errors.New("a command without a token could run twice"))
	case len(cmd.Content) > maxCommand:
		return "", badRequest(actRun, scope, fmt.Errorf("a command of %d bytes is too long", len(cmd.Content)))
	}
	req := ecsRequest(actRun, "RegionId", scope.Region, "Name", "shenscan-probe",
		"Description", "shenscan asks for the release, kernel and boot drivers; it reads only",
		"Type", string(cmd.Type), "CommandContent", base64.StdEncoding.EncodeToString([]byte(cmd.Content)), "ContentEncoding", "Base64",
		"EnableParameter", "false", "KeepCommand", "false", "RepeatMode", "Once", "TerminationMode", "ProcessTree",
		"Timeout", strconv.Itoa(int(cmd.Timeout.Seconds())), "ClientToken", cmd.Token)
	req.setEach("InstanceId", cmd.InstanceIDs)
	type invoked struct {
		InvokeID string `json:"InvokeId"`
	}
	return ask(ctx, c, scope, req, decoding(func(answer *invoked) (string, error) {
		if answer.InvokeID == "" || len(answer.InvokeID) > 100 {
			return "", missing("InvokeId")
		}
		return answer.InvokeID, nil
	}))
}

// Invocation implements ecs.GuestAPI.
func (c *Client) Invocation(ctx context.Context, scope ecs.Scope, invocation string) ([]ecs.Invoked, error) {
	var out []ecs.Invoked
	token := ""
	for range maxResultPages {
		req := ecsRequest(actResults, "RegionId", scope.Region, "InvokeId", invocation, "ContentEncoding", "Base64", "MaxResults", strconv.Itoa(ecs.MaxCommandInstances), "NextToken", token)
		page, err := ask(ctx, c, scope, req, decoding(func(w *wireResults) (resultPage, error) { return w.page(invocation) }))
		if err != nil {
			return nil, err
		}
		out = append(out, page.results...)
		if page.next == "" {
			return out, nil
		}
		if token = page.next; len(page.results) == 0 || len(out) > ecs.MaxCommandInstances {
			break
		}
	}
	return nil, &ecs.Error{Action: actResults, Scope: scope, Class: ecs.BadAnswer, Err: errors.New("the results of one invocation go on and on")}
}

// wireResults is an answer of DescribeInvocationResults, whose token stands
// within.
type wireResults struct {
	Invocation maybe[struct {
		NextToken         string
		InvocationResults maybe[struct {
			InvocationResult list[struct {
				InvokeID         string `json:"InvokeId"`
				InstanceID       string `json:"InstanceId"`
				InvocationStatus string
				ExitCode         int
				Output           string
				Dropped          int
				ErrorCode        string
				FinishedTime     string
			}]
		}]
	}]
}

// resultPage is what one says.
type resultPage struct {
	results []ecs.Invoked
	next    string
}

func (w *wireResults) page(invocation string) (out resultPage, err error) {
	if !w.Invocation.there {
		return out, missing("Invocation")
	}
	for _, result := range w.Invocation.v.InvocationResults.v.InvocationResult {
		switch {
		case result.InstanceID == "":
			return out, missing("InstanceId")
		case result.InvokeID != "" && result.InvokeID != invocation:
			return out, fmt.Errorf("the answer has results of %.40q, which was not asked for", result.InvokeID)
		}
		invoked := ecs.Invoked{
			InstanceID: result.InstanceID, State: invocationState(result.InvocationStatus), Dropped: result.Dropped,
			ErrorCode: clip(result.ErrorCode, 60), Finished: instant(result.FinishedTime),
		}
		if invoked.State == ecs.InvocationFinished && result.ExitCode != 0 {
			invoked.State = ecs.InvocationFailed
		}
		text, err := base64.StdEncoding.DecodeString(result.Output)
		if err != nil { // it was asked for in base64; what came otherwise is garbled
			text = []byte(result.Output)
		}
		if invoked.Output = string(text); len(text) > maxOutput {
			invoked.Output, invoked.Dropped = string(text[:maxOutput]), invoked.Dropped+len(text)-maxOutput
		}
		out.results = append(out.results, invoked)
	}
	out.next = w.Invocation.v.NextToken
	return out, nil
}

// invocationState reads how far a command is on one machine. A status that is not
// known counts as running: it is asked about until the time for it is over.
func invocationState(status string) ecs.InvocationState {
	switch status {
	case "Success":
		return ecs.InvocationFinished
	case "Failed", "Error", "Timeout", "Cancelled", "Stopped", "Terminated", "Aborted", "Invalid", "PartialFailed":
		return ecs.InvocationFailed
	}
	return ecs.InvocationRunning
}
