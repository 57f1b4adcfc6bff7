package ecsapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
)

func TestRunCommandAsksAsDocumented(t *testing.T) {
	refused := false
	f := newFake(t, map[string]http.HandlerFunc{actRun: func(w http.ResponseWriter, _ *http.Request) {
		if refused {
			answer(w, 403, `{"Code":"Forbidden.RAM","Message":"no","RequestId":"r","AccessDeniedDetail":{"AuthAction":"ecs:RunCommand"}}`)
			return
		}
		answer(w, 200, `{"RequestId":"r","CommandId":"c-1","InvokeId":"t-1"}`)
	}})
	c := newTestClient(t, f, nil)
	cmd := &ecs.Command{Type: ecs.ShellCommand, Content: "echo {{x}}", InstanceIDs: []string{"i-1", "i-2"}, Token: "tok", Timeout: time.Minute}
	id, err := c.RunCommand(t.Context(), testScope, cmd)
	if err != nil || id != "t-1" {
		t.Fatal(id, err)
	}
	q := f.last.URL.Query()
	want := map[string]string{
		"RegionId": testScope.Region, "Type": "RunShellScript", "ContentEncoding": "Base64", "EnableParameter": "false", "KeepCommand": "false", "RepeatMode": "Once",
		"TerminationMode": "ProcessTree", "Timeout": "60", "ClientToken": "tok", "InstanceId.1": "i-1", "InstanceId.2": "i-2",
		"CommandContent": base64.StdEncoding.EncodeToString([]byte("echo {{x}}")),
	}
	for key, v := range want {
		if q.Get(key) != v {
			t.Errorf("%s is %q, want %q", key, q.Get(key), v)
		}
	}
	for name, bad := range map[string]*ecs.Command{
		"nobody": {Token: "t"}, "no token": {InstanceIDs: []string{"i"}}, "too many": {Token: "t", InstanceIDs: make([]string, 51)},
		"too long": {Token: "t", InstanceIDs: []string{"i"}, Content: strings.Repeat("x", 20<<10)},
	} {
		if _, err := c.RunCommand(t.Context(), testScope, bad); ecs.ClassOf(err) != ecs.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused = true
	_, err = c.RunCommand(t.Context(), testScope, cmd)
	if ecs.ClassOf(err) != ecs.Permission || !strings.Contains(err.Error(), "ram-policy-probe.json") {
		t.Error(err)
	}
}

func TestInvocationReadsEveryPage(t *testing.T) {
	page := func(next, results string) string {
		return `{"RequestId":"r","Invocation":{"NextToken":"` + next + `","InvocationResults":{"InvocationResult":[` + results + `]}}}`
	}
	var asked []url.Values
	f := newFake(t, map[string]http.HandlerFunc{actResults: func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query())
		if r.URL.Query().Get("NextToken") == "" {
			answer(w, 200, page("n", `{"InvokeId":"t-1","InstanceId":"i-1","InvocationStatus":"Success","ExitCode":0,"Output":"eA==","Dropped":0,"FinishedTime":"2026-01-19T09:15:47Z"}`))
			return
		}
		answer(w, 200, page("", `{"InvokeId":"t-1","InstanceId":"i-2","InvocationStatus":"Success","ExitCode":1,"Output":""},
			{"InstanceId":"i-3","InvocationStatus":"Timeout","ErrorCode":"ExecutionTimeout","Output":"%%%","Dropped":7},{"InstanceId":"i-4","InvocationStatus":"Scheduled"}`))
	}})
	got, err := newTestClient(t, f, nil).Invocation(t.Context(), testScope, "t-1")
	if err != nil {
		t.Fatal(err)
	}
	want := []ecs.Invoked{
		{InstanceID: "i-1", State: ecs.InvocationFinished, Output: "x", Finished: time.Date(2026, 1, 19, 9, 15, 47, 0, time.UTC)},
		{InstanceID: "i-2", State: ecs.InvocationFailed},
		{InstanceID: "i-3", State: ecs.InvocationFailed, Output: "%%%", Dropped: 7, ErrorCode: "ExecutionTimeout"},
		{InstanceID: "i-4"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(asked) != 2 || asked[0].Get("InvokeId") != "t-1" || asked[1].Get("NextToken") != "n" {
		t.Errorf("%v", asked)
	}
}

func TestAnswersAboutGuestsThatAreNoAnswers(t *testing.T) {
	for _, body := range []string{`{}`, `{"Invocation":{"InvocationResults":{"InvocationResult":[{"InvocationStatus":"Success"}]}}}`, `{"Invocation":{"InvocationResults":{"InvocationResult":[{"InvokeId":"t-2","InstanceId":"i-1"}]}}}`, `[`} {
		if got, err := decodeResults([]byte(body), "t-1"); err == nil {
			t.Errorf("%s: %+v", body, got)
		}
	}
	for _, body := range []string{`{}`, `{"InstanceCloudAssistantStatusSet":{"InstanceCloudAssistantStatus":[{"InstanceId":"i-1","CloudAssistantStatus":"true"},{"InstanceId":"i-1","CloudAssistantStatus":"false"}]}}`, `{"InstanceCloudAssistantStatusSet":{"InstanceCloudAssistantStatus":[{"InstanceId":"i-9","CloudAssistantStatus":"true"}]}}`} {
		if got, err := decodeAgents([]byte(body), []string{"i-1"}); err == nil {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func agentsOf(w http.ResponseWriter, r *http.Request, most int) {
	var b strings.Builder
	for i := 1; i <= most; i++ {
		id := r.URL.Query().Get("InstanceId." + strconv.Itoa(i))
		if id == "" {
			break
		}
		if i > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`{"InstanceId":"` + id + `","CloudAssistantStatus":"true","LastHeartbeatTime":"2026-11-22T09:00:00Z"}`)
	}
	answer(w, 200, `{"RequestId":"r","InstanceCloudAssistantStatusSet":{"InstanceCloudAssistantStatus":[`+b.String()+`]}}`)
}

func TestAgentsAreAskedForAHundredACall(t *testing.T) {
	ids := make([]string, 120)
	for i := range ids {
		ids[i] = "i-" + strings.Repeat("x", i+1)
	}
	for name, tt := range map[string]struct {
		serve http.HandlerFunc
		calls int // of the first time and of the second
		again int
	}{
		"all":            {func(w http.ResponseWriter, r *http.Request) { agentsOf(w, r, 100) }, 2, 2},
		"the first half": {func(w http.ResponseWriter, r *http.Request) { agentsOf(w, r, 50) }, 3, 3},
		"fifty at most": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("InstanceId.51") != "" {
				answer(w, 403, `{"Code":"InstanceIds.ExceedLimit","Message":"The number of instance IDs exceeds the limit.","RequestId":"r"}`)
				return
			}
			agentsOf(w, r, 50)
		}, 4, 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actAgents: tt.serve})
			c := newTestClient(t, f, nil)
			for round, want := range []int{tt.calls, tt.again} {
				got, calls, err := c.Agents(t.Context(), testScope, ids)
				if err != nil || len(got) != len(ids) || calls != want {
					t.Fatalf("round %d: %d agents in %d calls, %v; want %d in %d", round, len(got), calls, err, len(ids), want)
				}
				if last := got[len(got)-1]; !last.Installed || last.InstanceID != ids[119] || last.Heartbeat.IsZero() {
					t.Errorf("%+v", last)
				}
			}
		})
	}
}
