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
func (c *Client) agents(ctx context.Context, scope ecs.Scope, ids []string) (agents []ecs.Agent, err error) {
	req := ecsRequest(actAgents, "RegionId", scope.Region)
	req.set("PageSize", strconv.Itoa(fewAgents)) // said to be ignored beside ids; more is said to be refused
	for i, id := range ids {
		req.set("InstanceId."+strconv.Itoa(i+1), id)
	}
	err = c.doAside(ctx, scope, req, func(body []byte) (err error) {
		agents, err = decodeAgents(body, ids)
		return err
	})
	return agents, err
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

func decodeAgents(body []byte, asked []string) ([]ecs.Agent, error) {
	var agents wireAgents
	if err := unmarshal(body, &agents); err != nil {
		return nil, err
	}
	if !agents.InstanceCloudAssistantStatusSet.there {
		return nil, missing("InstanceCloudAssistantStatusSet")
	}
	var out []ecs.Agent
	told := map[string]bool{}
	for _, agent := range agents.InstanceCloudAssistantStatusSet.v.InstanceCloudAssistantStatus {
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
	req := newRequest(ecsVersion, actRun)
	switch {
	case len(cmd.InstanceIDs) == 0 || len(cmd.InstanceIDs) > ecs.MaxCommandInstances:
		return "", badRequest(actRun, scope, fmt.Errorf("%d instances: between 1 and %d are asked at once", len(cmd.InstanceIDs), ecs.MaxCommandInstances))
	case cmd.Token == "":
		return "", badRequest(actRun, scope, errors.New("a command without a token could run twice"))
	case len(cmd.Content) > maxCommand:
		return "", badRequest(actRun, scope, fmt.Errorf("a command of %d bytes is too long", len(cmd.Content)))
	}
	req.set("RegionId", scope.Region)
	req.set("Name", "shenscan-probe")
	req.set("Description", "shenscan asks for the release, kernel and boot drivers; it reads only")
	req.set("Type", string(cmd.Type))
	req.set("CommandContent", base64.StdEncoding.EncodeToString([]byte(cmd.Content)))
	req.set("ContentEncoding", "Base64")
	req.set("EnableParameter", "false")
	req.set("KeepCommand", "false")
	req.set("RepeatMode", "Once")
	req.set("TerminationMode", "ProcessTree")
	req.set("Timeout", strconv.Itoa(int(cmd.Timeout.Seconds())))
	req.set("ClientToken", cmd.Token)
	for i, id := range cmd.InstanceIDs {
		req.set("InstanceId."+strconv.Itoa(i+1), id)
	}
	var answer struct {
		InvokeID string `json:"InvokeId"`
	}
	err := c.do(ctx, scope, req, func(body []byte) error {
		if err := unmarshal(body, &answer); err != nil {
			return err
		}
		if answer.InvokeID == "" || len(answer.InvokeID) > 100 {
			return missing("InvokeId")
		}
		return nil
	})
	return answer.InvokeID, err
}

// Invocation implements ecs.GuestAPI.
func (c *Client) Invocation(ctx context.Context, scope ecs.Scope, invocation string) ([]ecs.Invoked, error) {
	var out []ecs.Invoked
	token := ""
	for range maxResultPages {
		req := ecsRequest(actResults, "RegionId", scope.Region, "InvokeId", invocation, "ContentEncoding", "Base64", "MaxResults", strconv.Itoa(ecs.MaxCommandInstances))
		if token != "" {
			req.set("NextToken", token)
		}
		var page []ecs.Invoked
		var next string
		err := c.do(ctx, scope, req, func(body []byte) (err error) {
			page, next, err = decodeResults(body, invocation)
			return err
		})
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		if next == "" {
			return out, nil
		}
		if token = next; len(page) == 0 || len(out) > ecs.MaxCommandInstances {
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

func decodeResults(body []byte, invocation string) ([]ecs.Invoked, string, error) {
	var results wireResults
	if err := unmarshal(body, &results); err != nil {
		return nil, "", err
	}
	if !results.Invocation.there {
		return nil, "", missing("Invocation")
	}
	var out []ecs.Invoked
	for _, result := range results.Invocation.v.InvocationResults.v.InvocationResult {
		switch {
		case result.InstanceID == "":
			return nil, "", missing("InstanceId")
		case result.InvokeID != "" && result.InvokeID != invocation:
			return nil, "", fmt.Errorf("the answer has results of %.40q, which was not asked for", result.InvokeID)
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
		out = append(out, invoked)
	}
	return out, results.Invocation.v.NextToken, nil
}

func invocationState(status string) ecs.InvocationState {
	switch status {
	case "Success":
		return ecs.InvocationFinished
	case "Failed", "Error", "Timeout", "Cancelled", "Stopped", "Terminated", "Aborted", "Invalid", "PartialFailed":
		return ecs.InvocationFailed
	}
	return ecs.InvocationRunning
}
