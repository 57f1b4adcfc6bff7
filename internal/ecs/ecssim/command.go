package ecssim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Limits of commands, as the API has them.
const (
	maxCommandInstances = 100
	maxCommandBytes     = 18 << 10
	fewAgents           = 50     // that one answer tells of, by the documents of some versions
	maxInvocations      = 50_000 // kept by the simulator; the oldest go first
)

// commandBox holds the invocations of commands and counts what was asked of
// whom.
type commandBox struct {
	mu       sync.Mutex
	byID     map[string]*invocation
	byToken  map[string]*invocation
	order    []string
	asked    map[string]int // by instance
	contents map[string]int // by SHA-256 of the content
}

// invocation is one RunCommand.
type invocation struct {
	id, token string
	scope     *scope
	kind      string // the type of the command
	digest    string
	ids       []string
	at        time.Time
	polls     int
}

// describeAgents answers DescribeCloudAssistantStatus.
func (s *Simulator) describeAgents(call *call, sc *scope) (object, *apiError) {
	ids := call.params.list("InstanceId")
	if len(ids) > maxTargeted {
		return nil, errInvalid("InstanceId")
	}
	if s.against(AgentsNowhere) {
		return nil, errNotSupported
	}
	if s.against(AgentsHalf) {
		ids = ids[:min(len(ids), fewAgents)]
	}
	type status struct {
		InstanceID           string `json:"InstanceId"`
		OSType               string
		CloudAssistantStatus string
		LastHeartbeatTime    string
	}
	var rows []status
	now := s.opt.Now().UTC()
	sc.mu.RLock()
	for _, id := range ids {
		in, ok := sc.find(id)
		if !ok {
			continue
		}
		guest := sc.guest(&in)
		st := status{InstanceID: id, OSType: map[bool]string{true: "Windows", false: "Linux"}[guest.kind.osType() == "windows"], CloudAssistantStatus: strconv.FormatBool(guest.agent)}
		switch {
		case guest.answers && in.status == statusRunning:
			st.LastHeartbeatTime = now.Add(-time.Duration(in.h%50) * time.Second).Format(time.RFC3339)
		case guest.agent:
			st.LastHeartbeatTime = now.Add(-90 * 24 * time.Hour).Format(time.RFC3339)
		}
		if st.LastHeartbeatTime != "" && s.against(AgentsAhead) {
			st.LastHeartbeatTime = now.Add(24 * time.Hour).Format(time.RFC3339)
		}
		if s.against(AgentsOfOthers) {
			st.InstanceID = "i-" + sc.region.prefix + "nobodysinstance00"
		}
		rows = append(rows, st)
	}
	sc.mu.RUnlock()
	return object{
		"TotalCount": len(rows), "PageNumber": 1, "PageSize": max(len(rows), 10), "NextToken": "",
		"InstanceCloudAssistantStatusSet": list("InstanceCloudAssistantStatus", rows),
	}, nil
}

// find returns a live instance of the scope. The caller holds mu.
func (sc *scope) find(id string) (instance, bool) {
	at, i, ok := sc.fleet.locate(id)
	if !ok || at != sc || !sc.live(i) {
		return instance{}, false
	}
	return sc.at(i), true
}

// runCommand answers RunCommand: it has the guests asked, which are its own. As
// in the cloud, one instance that cannot run it fails the whole call, and a
// token that was seen before is answered with the first invocation.
func (s *Simulator) runCommand(call *call, sc *scope) (object, *apiError) {
	params := call.params
	content, err := base64.StdEncoding.DecodeString(params.get("CommandContent"))
	ids := params.list("InstanceId")
	switch {
	case params.get("Type") != "RunShellScript" && params.get("Type") != "RunPowerShellScript":
		return nil, &apiError{403, "InvalidCmdType.NotFound", "The specified CmdType is not found."}
	case params.get("ContentEncoding") != "Base64" || err != nil || len(content) == 0 || len(content) > maxCommandBytes:
		return nil, errInvalid("CommandContent")
	case params.bool("EnableParameter") || params.bool("KeepCommand") || params.get("RepeatMode") != "Once":
		return nil, errInvalid("RepeatMode")
	case len(ids) == 0:
		return nil, errMissing("InstanceId")
	case len(ids) > maxCommandInstances:
		return nil, &apiError{403, "InstanceIds.ExceedLimit", "The number of instance IDs exceeds the limit."}
	}
	sum := sha256.Sum256(content)
	inv := &invocation{token: params.get("ClientToken"), scope: sc, kind: params.get("Type"), digest: hex.EncodeToString(sum[:]), ids: ids, at: s.opt.Now()}
	box := &s.commands
	box.mu.Lock()
	defer box.mu.Unlock()
	if old := box.byToken[call.caller.account.ID+"/"+inv.token]; inv.token != "" && old != nil {
		if old.scope != sc || old.digest != inv.digest || !slices.Equal(old.ids, ids) {
			return nil, &apiError{400, "IdempotentParameterMismatch", "The specified parameters do not match those of the first request with this ClientToken."}
		}
		return old.invoked(), nil
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	for _, id := range ids {
		in, ok := sc.find(id)
		if !ok {
			return nil, &apiError{404, "InvalidInstance.NotFound", "The specified instances do not exist."}
		}
		g := sc.guest(&in)
		if (g.kind.osType() == "windows") != (inv.kind == "RunPowerShellScript") {
			return nil, &apiError{403, "InvalidInstance.NotMatch", "The specified instance does not match the type of the command."}
		}
	}
	inv.id = "t-" + sc.region.prefix + string(appendBase36(nil, hash(s.fleet.seed, s.serial.Add(1)), 13))
	box.byID[inv.id], box.byToken[call.caller.account.ID+"/"+inv.token] = inv, inv
	if box.order = append(box.order, inv.id); len(box.order) > maxInvocations {
		old := box.byID[box.order[0]]
		delete(box.byToken, call.caller.account.ID+"/"+old.token)
		delete(box.byID, old.id)
		box.order = box.order[1:]
	}
	for _, id := range ids {
		box.asked[id]++
	}
	box.contents[inv.digest]++
	return inv.invoked(), nil
}

func (inv *invocation) invoked() object {
	return object{"CommandId": "c" + inv.id[1:], "InvokeId": inv.id}
}

// describeResults answers DescribeInvocationResults. Slow guests are still at it
// when they are first asked about.
func (s *Simulator) describeResults(call *call, sc *scope) (object, *apiError) {
	params := call.params
	if params.get("ContentEncoding") != "Base64" {
		return nil, errInvalid("ContentEncoding")
	}
	size, bad := params.int("MaxResults", 10)
	if bad != nil || size < 1 || size > 50 {
		return nil, errInvalid("MaxResults")
	}
	from, err := strconv.Atoi("0" + params.get("NextToken"))
	if err != nil {
		return nil, errInvalid("NextToken")
	}
	s.commands.mu.Lock()
	inv := s.commands.byID[params.get("InvokeId")]
	polls := 0
	if inv != nil && from == 0 {
		inv.polls++
	}
	if inv != nil {
		polls = inv.polls
	}
	s.commands.mu.Unlock()
	if inv == nil || inv.scope != sc {
		return object{"Invocation": object{"TotalCount": 0, "NextToken": "", "InvocationResults": list("InvocationResult", []object(nil))}}, nil
	}
	next := ""
	to := min(from+size, len(inv.ids))
	if to < len(inv.ids) {
		next = strconv.Itoa(to)
	}
	var rows []object
	for _, id := range inv.ids[min(from, to):to] {
		rows = append(rows, s.result(inv, id, polls))
	}
	return object{"Invocation": object{
		"TotalCount": len(inv.ids), "PageNumber": 1, "PageSize": size, "NextToken": next, "InvocationResults": list("InvocationResult", rows),
	}}, nil
}

// result is what became of a command on one instance.
func (s *Simulator) result(inv *invocation, id string, polls int) object {
	out := object{
		"InvokeId": inv.id, "CommandId": "c" + inv.id[1:], "InstanceId": id, "InvocationStatus": "Success", "InvokeRecordStatus": "Finished", "ExitCode": 0, "Output": "",
		"Dropped": 0, "ErrorCode": "", "ErrorInfo": "", "Repeats": 1, "StartTime": inv.at.UTC().Format(time.RFC3339), "StopTime": "", "FinishedTime": s.opt.Now().UTC().Format(time.RFC3339),
		"Username": "root", "Tags": list("Tag", []object(nil)),
	}
	fail := func(status, code string) object {
		out["InvocationStatus"], out["ErrorCode"], out["ExitCode"] = status, code, 1
		return out
	}
	inv.scope.mu.RLock()
	defer inv.scope.mu.RUnlock()
	in, ok := inv.scope.find(id)
	if !ok {
		return fail("Failed", "InstanceNotExists")
	}
	guest := inv.scope.guest(&in)
	switch {
	case in.status != statusRunning:
		return fail("Failed", "InstanceNotRunning")
	case !guest.answers:
		return fail("Failed", "ClientNotRunning")
	case guest.oddity == oddTimeout:
		return fail("Timeout", "ExecutionTimeout")
	case guest.slow && polls < 2:
		out["InvocationStatus"], out["InvokeRecordStatus"], out["FinishedTime"] = "Running", "Running", ""
		return out
	case guest.oddity == oddExit:
		out["InvocationStatus"], out["ExitCode"], out["ErrorCode"] = "Failed", 127, "ExitCodeNonzero"
		return out
	}
	out["Output"] = []byte(guest.says())
	return out
}

// CommandStats counts what was asked of the guests.
type CommandStats struct {
	Instances int      `json:"instances"`  // distinct ones that were asked
	MostAsked int      `json:"most_asked"` // how often the most asked one was
	Contents  []string `json:"contents"`   // SHA-256 of the commands that ran
}

func (s *Simulator) commandStats() CommandStats {
	box := &s.commands
	box.mu.Lock()
	defer box.mu.Unlock()
	out := CommandStats{Instances: len(box.asked), Contents: []string{}}
	for _, n := range box.asked {
		out.MostAsked = max(out.MostAsked, n)
	}
	for digest := range box.contents {
		out.Contents = append(out.Contents, digest)
	}
	slices.Sort(out.Contents)
	return out
}
