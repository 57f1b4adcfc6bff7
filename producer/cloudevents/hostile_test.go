package cloudevents_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/producer/cloudevents"
)

// event is a sound event with some fields replaced; nil removes one. A name
// that begins with "data." is one of the data.
func event(t testing.TB, fields map[string]any) string {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(recorded(t, "replace-system-disk.json")), &e); err != nil {
		t.Fatal(err)
	}
	data, _ := e["data"].(map[string]any)
	for name, value := range fields {
		in := e
		if inner, ok := strings.CutPrefix(name, "data."); ok {
			in, name = data, inner
		}
		if in[name] = value; value == nil {
			delete(in, name)
		}
	}
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestEventsThatDoNotSayWhereToLookAreRefused(t *testing.T) {
	noIDs := map[string]any{"data.requestParameters": nil, "data.responseElements": nil, "data.referencedResources": nil}
	withIDs := func(ids ...string) map[string]any {
		return map[string]any{"data.requestParameters": nil, "data.responseElements": nil, "data.referencedResources": map[string]any{"ACS::ECS::Instance": ids}}
	}
	var many []string
	for i := range 1001 {
		many = append(many, fmt.Sprintf("i-bp10000000000%06d", i))
	}
	e := serve(t, nil)
	for name, c := range map[string]struct {
		fields map[string]any
		detail string
	}{
		"no_account":          {map[string]any{"aliyunaccountid": nil, "aliyunoriginalaccountid": nil, "data.recipientAccountId": nil}, "which account"},
		"account_no_id":       {map[string]any{"aliyunoriginalaccountid": "1547353256850001 OR 1=1"}, "no account id"},
		"account_masked":      {map[string]any{"aliyunoriginalaccountid": "123456789098****"}, "no account id"},
		"account_huge":        {map[string]any{"aliyunoriginalaccountid": strings.Repeat("9", 900)}, "no account id"},
		"no_region":           {map[string]any{"aliyunregionid": nil, "data.acsRegion": nil}, "which region"},
		"region_no_id":        {map[string]any{"data.acsRegion": "cn-hangzhou.evil.example"}, "no region id"},
		"region_bidi":         {map[string]any{"data.acsRegion": "cn-\u202egnaijieb"}, `\u202e`},
		"region_huge":         {map[string]any{"data.acsRegion": "cn-" + strings.Repeat("a", 900)}, "no region id"},
		"no_instance":         {noIDs, "names no instance"},
		"instance_no_id":      {withIDs("i-\u202ebp1", "../../etc/passwd", "i-*", "i-2zeip56clb391fpf****"), "none of the ids"},
		"instance_huge":       {withIDs("i-" + strings.Repeat("a", 10_000)), "none of the ids"},
		"too_many_instances":  {withIDs(many...), "at most 1000"},
		"data_no_object":      {map[string]any{"data": "ReplaceSystemDisk"}, "JSON object"},
		"no_data":             {map[string]any{"data": nil}, "JSON object"},
		"no_event_name":       {map[string]any{"data.eventName": nil}, "no eventName"},
		"event_name_no_text":  {map[string]any{"data.eventName": []string{"RunInstances"}}, "no eventName"},
		"no_specversion":      {map[string]any{"specversion": nil}, "not a CloudEvent"},
		"other_specversion":   {map[string]any{"specversion": "0.3"}, "1.0 is understood"},
		"specversion_number":  {map[string]any{"specversion": 1.0}, "not a string"},
		"no_id":               {map[string]any{"id": nil}, "id is missing"},
		"empty_id":            {map[string]any{"id": ""}, "id is empty"},
		"id_huge":             {map[string]any{"id": strings.Repeat("x", 2000)}, "more than 1024 bytes"},
		"id_object":           {map[string]any{"id": map[string]any{}}, "no plain value"},
		"type_list":           {map[string]any{"type": []string{"a"}}, "no plain value"},
		"no_source":           {map[string]any{"source": nil}, "source is missing"},
		"data_and_base64":     {map[string]any{"data_base64": "e30="}, "both"},
		"base64_broken":       {map[string]any{"data": nil, "data_base64": "%%%"}, "not base64"},
		"base64_of_no_json":   {map[string]any{"data": nil, "data_base64": "AAAA"}, "not JSON"},
		"system_without_id":   {map[string]any{"type": "ecs:Instance:StateChange"}, "names no instance"},
		"system_without_data": {map[string]any{"type": "ecs:Instance:StateChange", "data": 3}, "JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			got := e.send(t, event(t, c.fields))
			detail := got.Detail
			if len(got.Results) == 1 {
				detail = got.Results[0].Detail
			}
			if got.Status != http.StatusBadRequest || !strings.Contains(detail, c.detail) || len(detail) > 500 {
				t.Errorf("%+v, want %q", got, c.detail)
			}
		})
	}
	if n := len(e.requester.requests()); n != 0 {
		t.Errorf("%d rescans", n)
	}
}

func TestEventsWithNothingToDoAreTaken(t *testing.T) {
	e := serve(t, nil)
	for name, c := range map[string]struct {
		fields  map[string]any
		outcome cloudevents.Outcome
	}{
		"other_account":        {map[string]any{"aliyunoriginalaccountid": "1000000000000001"}, cloudevents.OutcomeUnknownAccount},
		"call_failed":          {map[string]any{"data.errorCode": "IncorrectInstanceStatus"}, cloudevents.OutcomeIgnored},
		"other_service":        {map[string]any{"data.serviceName": "Rds"}, cloudevents.OutcomeIgnored},
		"only_read":            {map[string]any{"data.eventRW": "Read"}, cloudevents.OutcomeIgnored},
		"other_call":           {map[string]any{"data.eventName": "TagResources"}, cloudevents.OutcomeIgnored},
		"other_type":           {map[string]any{"type": "oss:Object:PutObject"}, cloudevents.OutcomeIgnored},
		"type_is_hostile":      {map[string]any{"type": "\u202e<script>"}, cloudevents.OutcomeIgnored},
		"snapshot":             {map[string]any{"type": "ecs:Snapshot:CreateSnapshotCompleted"}, cloudevents.OutcomeIgnored},
		"trail_of_other":       {map[string]any{"type": "rds:ActionTrail:ApiCall"}, cloudevents.OutcomeIgnored},
		"passing_state":        {map[string]any{"type": "ecs:Instance:StateChange", "data": map[string]any{"resourceId": "i-bp1ecr000000005go2go", "state": "Starting"}}, cloudevents.OutcomeIgnored},
		"scheduled":            {map[string]any{"type": "ecs:Instance:SystemMaintenance.Reboot", "data": map[string]any{"instanceId": "i-bp1ecr000000005go2go", "eventStatus": "Scheduled"}}, cloudevents.OutcomeIgnored},
		"scheduled_as_type":    {map[string]any{"type": "ecs:Instance:SystemMaintenance.Reboot:Scheduled", "data": map[string]any{"instanceId": "i-bp1ecr000000005go2go"}}, cloudevents.OutcomeIgnored},
		"executed_as_type":     {map[string]any{"type": "ecs:Instance:SystemMaintenance.Reboot:Executed", "data": map[string]any{"instanceId": "i-bp1ecr000000005go2go"}}, cloudevents.OutcomeRescan},
		"null_attribute":       {map[string]any{"subject": json.RawMessage("null")}, cloudevents.OutcomeRescan},
		"number_for_extension": {map[string]any{"sequence": 7, "last": true}, cloudevents.OutcomeRescan},
		"some_ids_are_none":    {map[string]any{"data.requestParameters": map[string]any{"InstanceIds": `["i-2zeip56clb391fpf0002","../x"]`}}, cloudevents.OutcomeRescan},
		"old_event":            {map[string]any{"time": "1999-01-01T00:00:00Z", "id": "old"}, cloudevents.OutcomeRescan},
		"resource_by_name":     {map[string]any{"aliyunoriginalaccountid": nil, "type": "ecs:Instance:StateChange", "data": map[string]any{"resourceId": "acs:ecs:cn-hangzhou:" + account + ":instance/i-bp1ecr000000005go2go"}}, cloudevents.OutcomeRescan},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "old_event" {
				c.fields["id"] = name
			}
			got := e.send(t, event(t, c.fields))
			if got.Status != http.StatusOK || len(got.Results) != 1 || got.Results[0].Outcome != c.outcome {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestRequestsThatAreNoEventsAreRefused(t *testing.T) {
	sound := recorded(t, "state-change.json")
	e := serve(t, func(o *cloudevents.Options) { o.MaxBatch = 3 })
	for name, c := range map[string]struct {
		body    string
		status  int
		detail  string
		headers []string
	}{
		"empty":               {"", 400, "ends too early", nil},
		"cut_short":           {sound[:len(sound)-3], 400, "", nil},
		"twice":               {sound + sound, 400, "more behind", nil},
		"deep":                {strings.Repeat(`{"a":`, 100_000), 400, "nested", nil},
		"deep_lists":          {strings.Repeat(`[`, 500_000), 400, "nested", nil},
		"same_name_twice":     {`{"id":"a","id":"b","specversion":"1.0"}`, 400, "twice", nil},
		"same_name_escaped":   {`{"id":"a","\u0069d":"b","specversion":"1.0"}`, 400, "twice", nil},
		"same_name_inside":    {strings.Replace(sound, `"state": "Running"`, `"state": "Running", "state": "Deleted"`, 1), 400, "twice", nil},
		"not_utf8":            {strings.Replace(sound, "Running", "\xff\xfe", 1), 400, "UTF-8", nil},
		"a_number":            {"17", 400, "object", nil},
		"null":                {"null", 400, "object", nil},
		"a_list":              {"[]", 400, "object", nil},
		"many_attributes":     {manyAttributes(), 400, "at most 64", nil},
		"too_large":           {`"` + strings.Repeat("a", 1<<20) + `"`, 413, "larger", nil},
		"no_content_type":     {sound, 415, "content type", []string{"Content-Type", ""}},
		"form":                {sound, 415, "application/cloudevents+json", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		"other_charset":       {sound, 415, "utf-8", []string{"Content-Type", "application/json; charset=utf-16"}},
		"compressed":          {sound, 415, "compressed", []string{"Content-Encoding", "gzip"}},
		"batch_is_an_object":  {sound, 400, "array", []string{"Content-Type", "application/cloudevents-batch+json"}},
		"batch_is_null":       {"null", 400, "array", []string{"Content-Type", "application/cloudevents-batch+json"}},
		"batch_too_long":      {"[" + strings.Repeat(sound+",", 3) + sound + "]", 413, "at most 3", []string{"Content-Type", "application/cloudevents-batch+json"}},
		"binary_of_xml":       {"<a/>", 415, "JSON", []string{"Content-Type", "text/xml", "Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "acs.ecs", "Ce-Type", "ecs:Instance:StateChange"}},
		"binary_without_id":   {"{}", 400, "id is missing", []string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Source", "acs.ecs", "Ce-Type", "x"}},
		"binary_bad_escape":   {"{}", 400, "percent", []string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "%zz", "Ce-Source", "acs.ecs", "Ce-Type", "x"}},
		"binary_escaped_junk": {"{}", 400, "UTF-8", []string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "%ff", "Ce-Source", "acs.ecs", "Ce-Type", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := e.send(t, c.body, c.headers...)
			if got.Status != c.status || !strings.Contains(got.Detail, c.detail) || len(got.Detail) > 500 || got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%+v, want %d %q", got, c.status, c.detail)
			}
		})
	}
	if n := len(e.requester.requests()); n != 0 {
		t.Errorf("%d rescans", n)
	}
	resp, err := http.Get(e.url)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodPost {
		t.Errorf("GET: %d", resp.StatusCode)
	}
}

func manyAttributes() string {
	var b strings.Builder
	b.WriteString(`{"specversion":"1.0"`)
	for i := range 100 {
		fmt.Fprintf(&b, `,"a%d":"x"`, i)
	}
	return b.String() + "}"
}

func TestASoundEventInABadBatchIsStored(t *testing.T) {
	e := serve(t, nil)
	batch := "[" + event(t, map[string]any{"id": nil}) + "," + recorded(t, "state-change.json") + "," + recorded(t, "meeting.json") + "]"
	got := e.send(t, batch, "Content-Type", "application/cloudevents-batch+json")
	var outcomes []string
	for _, r := range got.Results {
		outcomes = append(outcomes, string(r.Outcome))
	}
	if got.Status != http.StatusBadRequest || strings.Join(outcomes, " ") != "refused rescan ignored" || len(e.requester.requests()) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestOneAddressMayNotAskForEver(t *testing.T) {
	e := serve(t, func(o *cloudevents.Options) { o.SourceRate, o.SourceBurst = 0.001, 5 })
	body := recorded(t, "meeting.json")
	var statuses []string
	for range 7 { // strangers do not use up what is the sender's
		statuses = append(statuses, fmt.Sprint(e.send(t, body, "X-Eventbridge-Signature-Token", "wrong").Status))
	}
	for range 6 {
		statuses = append(statuses, fmt.Sprint(e.send(t, body).Status))
	}
	if got := strings.Join(statuses, " "); got != "401 401 401 401 401 429 429 200 200 200 200 200 429" {
		t.Error(got)
	}
	if got := e.send(t, body); got.header.Get("Retry-After") == "" {
		t.Errorf("%+v", got)
	}
}

func TestBodiesHeldAtOnceAreBounded(t *testing.T) {
	e := serve(t, func(o *cloudevents.Options) { o.MaxInFlight, o.Timeout = 1, 50*time.Millisecond })
	// The first is slow to send: whoever waited too long meanwhile is told to
	// come back.
	body, unread := io.Pipe()
	first := make(chan int, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, body)
		if err != nil {
			first <- 0
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			first <- 0
			return
		}
		_ = resp.Body.Close()
		first <- resp.StatusCode
	}()
	if _, err := io.WriteString(unread, recorded(t, "meeting.json")[:100]); err != nil { // it is being read
		t.Fatal(err)
	}
	for { // until the first has its place
		got := e.send(t, recorded(t, "meeting.json"))
		if got.Status == http.StatusServiceUnavailable && got.header.Get("Retry-After") != "" {
			break
		}
	}
	if _, err := io.WriteString(unread, recorded(t, "meeting.json")[100:]); err != nil {
		t.Fatal(err)
	}
	_ = unread.Close()
	if status := <-first; status != http.StatusOK {
		t.Errorf("the first: %d", status)
	}
	if got := e.send(t, recorded(t, "meeting.json")); got.Status != http.StatusOK {
		t.Errorf("afterwards: %+v", got)
	}
}
