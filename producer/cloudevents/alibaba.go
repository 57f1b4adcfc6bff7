package cloudevents

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/producer"
)

// Change says where to look anew.
type Change struct {
	Source, ID  string // of the event; repeats have the same
	Scope       ecs.Scope
	InstanceIDs []string // sorted, each once
	Reason      string   // one of a bounded set of texts
}

// NothingToDoError is why an event asks for no rescan, and is no mistake either.
type NothingToDoError struct {
	Outcome Outcome // OutcomeIgnored or OutcomeUnknownAccount
	Why     string
}

func (e *NothingToDoError) Error() string { return e.Why }

func ignored(format string, args ...any) error {
	return &NothingToDoError{OutcomeIgnored, fmt.Sprintf(format, args...)}
}

// actions are the calls of the ECS API after which shenscan may see something
// else of an instance: what it runs, where it runs, whether it runs.
var actions = []string{
	"AttachDisk", "CreateAutoProvisioningGroup", "CreateInstance", "DetachDisk", "ModifyInstanceAttribute", "ModifyInstanceDeployment",
	"ModifyInstanceSpec", "ModifyPrepayInstanceSpec", "ReInitDisk", "ReInitDisks", "RebootInstance", "RebootInstances",
	"RedeployInstance", "ReplaceSystemDisk", "RunInstances", "StartInstance", "StartInstances", "StopInstance", "StopInstances",
}

// systemEvents are the types of acs.ecs after which the same holds; a status
// such as ":Executed" may follow. Scheduled maintenance and limits of
// performance change nothing yet, and disks, snapshots and interfaces are not
// looked at.
//
// Source: help.aliyun.com/en/eventbridge/user-guide/ecs-events.
var systemEvents = []string{
	"ecs:Instance:AutoReactivateCompleted", "ecs:Instance:InstanceFailure.Reboot", "ecs:Instance:LiveMigrationAcrossDDH",
	"ecs:Instance:StateChange", "ecs:Instance:SystemFailure.Reboot", "ecs:Instance:SystemFailure.Redeploy", "ecs:Instance:SystemFailure.Stop",
	"ecs:Instance:SystemMaintenance.Reboot", "ecs:Instance:SystemMaintenance.Redeploy", "ecs:Instance:SystemMaintenance.Stop",
}

// passing are states of a StateChange that another one follows, which then
// brings a rescan; an instance that is Deleted is found gone by the next
// complete scan, which alone may say so.
var passing = []string{"Pending", "Starting", "Stopping", "Deleted"}

// waiting are statuses of a system event before which nothing has happened.
var waiting = []string{"Avoided", "Canceled", "Inquiring", "Scheduled"}

// trail tells the types of ActionTrail: under its own name, or under that of
// the service whose call it recorded.
//
// Source: alibabacloud.com/help/en/eventbridge/user-guide/actiontrail-events
// for actiontrail:ActionTrail:ApiCall and its like, and
// alibabacloud.com/help/en/eventbridge/user-guide/cloud-photos-events for
// {service}:ActionTrail:ApiCall.
var trail = regexp.MustCompile(`^(actiontrail|ecs):ActionTrail:(ApiCall|ConsoleOperation|AliyunServiceEvent)$`)

// Bounds and shapes of what an event may say; what does not have them is never
// sent to the cloud.
const maxInstances = 1000

var (
	accountID = regexp.MustCompile(`^[0-9]{5,20}$`)
	regionID  = regexp.MustCompile(`^[a-z]{2,4}(-[a-z0-9]{1,20}){1,4}$`)
	resource  = regexp.MustCompile(`^acs[:.]ecs:([a-z0-9-]+):([0-9]+):(.*)$`)
)

// interpret says what an event asks for. scanned says whether an account is
// looked at. The error is a *NothingToDoError where no rescan
// is due; any other says what is wrong with the event.
func interpret(event *Event, scanned func(account string) bool) (*Change, error) {
	var data map[string]json.RawMessage
	if event.Data != nil {
		if err := json.Unmarshal(event.Data, &data); err != nil {
			data = nil
		}
	}
	var change *Change
	var account string
	var err error
	switch kind := strings.SplitN(event.Type(), ":", 4); {
	case trail.MatchString(event.Type()):
		change, account, err = fromTrail(event, data)
	case slices.Contains(systemEvents, strings.Join(kind[:min(3, len(kind))], ":")):
		change, account, err = fromSystem(event, data, kind)
	default:
		return nil, ignored("events of the type %.80q change nothing that shenscan looks at", event.Type())
	}
	if err != nil {
		return nil, err
	}
	switch {
	case account == "":
		return nil, errors.New("the event does not say of which account: aliyunoriginalaccountid and aliyunaccountid are missing")
	case !accountID.MatchString(account):
		return nil, fmt.Errorf("the account %.40q is no account id", account)
	case change.Scope.Region == "":
		return nil, errors.New("the event does not say in which region: acsRegion and aliyunregionid are missing")
	case !regionID.MatchString(change.Scope.Region):
		return nil, fmt.Errorf("the region %.60q is no region id", change.Scope.Region)
	}
	if change.Scope.Account = account; !scanned(account) {
		return nil, &NothingToDoError{OutcomeUnknownAccount, "the account " + account + " is not among those that this process scans"}
	}
	change.Source, change.ID = event.Source(), event.ID()
	return change, change.tidy()
}

// tidy sorts the instance ids, leaves each once and drops what is none. It refuses a
// change without any, and one with more than maxInstances.
func (c *Change) tidy() error {
	asked := len(c.InstanceIDs)
	c.InstanceIDs = slices.DeleteFunc(c.InstanceIDs, func(id string) bool { return !producer.IsInstanceID(id) })
	slices.Sort(c.InstanceIDs)
	c.InstanceIDs = slices.Compact(c.InstanceIDs)
	switch {
	case len(c.InstanceIDs) == 0 && asked > 0:
		return errors.New("none of the ids in the event is an instance id")
	case len(c.InstanceIDs) == 0:
		return errors.New("the event names no instance")
	case len(c.InstanceIDs) > maxInstances:
		return fmt.Errorf("the event names %d instances, and at most %d are taken", len(c.InstanceIDs), maxInstances)
	}
	return nil
}

// fromTrail reads what ActionTrail recorded of one call. The account that owns
// the instance is that of the event: the caller may be of another.
//
// Source: alibabacloud.com/help/doc-detail/28819 (fields of a management event)
// and doc-detail/28821 (recorded ECS events).
func fromTrail(event *Event, data map[string]json.RawMessage) (*Change, string, error) {
	if data == nil {
		return nil, "", errors.New("the data of an ActionTrail event is a JSON object")
	}
	name, service := text(data["eventName"]), text(data["serviceName"])
	switch {
	case name == "" || service == "":
		return nil, "", errors.New("the ActionTrail event has no eventName or no serviceName")
	case !strings.EqualFold(service, "Ecs"):
		return nil, "", ignored("a call of %.40q changes no instance", service)
	case strings.EqualFold(text(data["eventRW"]), "Read"):
		return nil, "", ignored("%.60q only reads", name)
	case text(data["errorCode"]) != "":
		return nil, "", ignored("the call of %.60q failed, so that it changed nothing", name)
	case !slices.Contains(actions, name):
		return nil, "", ignored("%.60q changes nothing that shenscan looks at", name)
	}
	change := &Change{Reason: "event: " + name}
	change.Scope.Region = cmp.Or(text(data["acsRegion"]), event.Attributes["aliyunregionid"])
	var referenced map[string]json.RawMessage
	if json.Unmarshal(plain(data["referencedResources"]), &referenced) == nil {
		change.InstanceIDs = texts(referenced["ACS::ECS::Instance"], change.InstanceIDs, 0)
	}
	for _, part := range []string{"requestParameters", "requestParameterJson", "responseElements"} {
		change.InstanceIDs = instanceIDs(plain(data[part]), change.InstanceIDs, 0)
	}
	account := cmp.Or(event.Attributes["aliyunoriginalaccountid"], text(data["recipientAccountId"]), event.Attributes["aliyunaccountid"])
	return change, account, nil
}

// fromSystem reads an event that ECS sent itself.
//
// Source: help.aliyun.com/en/ecs/user-guide/overview-35: resourceId and state
// of a state change, instanceId and eventStatus of a system event. There they
// are the content of a notification; that they are the data of the CloudEvent
// is not shown anywhere that could be read, so that the resource's full name
// and the event's subject are looked at as well.
func fromSystem(event *Event, data map[string]json.RawMessage, kind []string) (*Change, string, error) {
	if data == nil {
		return nil, "", errors.New("the data of an ECS event is a JSON object")
	}
	what := kind[2]
	status := text(data["eventStatus"])
	if len(kind) > 3 {
		status = kind[3]
	}
	if state := text(data["state"]); what == "StateChange" && slices.Contains(passing, state) {
		return nil, "", ignored("%s is a state that another follows, or the end", state)
	}
	if slices.Contains(waiting, status) {
		return nil, "", ignored("the event is %s: nothing has happened yet", status)
	}
	change := &Change{Reason: "event: " + what}
	account := event.Attributes["aliyunoriginalaccountid"]
	change.Scope.Region = text(data["regionId"])
	for _, id := range []string{text(data["resourceId"]), text(data["instanceId"]), event.Subject()} {
		if m := resource.FindStringSubmatch(id); m != nil {
			change.Scope.Region, account = cmp.Or(change.Scope.Region, m[1]), cmp.Or(account, m[2])
			id = m[3]
		}
		if id = id[strings.LastIndexByte(id, '/')+1:]; producer.IsInstanceID(id) {
			change.InstanceIDs = append(change.InstanceIDs, id)
		}
	}
	change.Scope.Region = cmp.Or(change.Scope.Region, event.Attributes["aliyunregionid"])
	return change, cmp.Or(account, event.Attributes["aliyunaccountid"]), nil
}

// text is a JSON string, or a number as it is written; "" for anything else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// plain unpacks JSON that was packed into a string, as some services do with
// lists and ActionTrail with whole objects.
func plain(raw json.RawMessage) json.RawMessage {
	s := strings.TrimSpace(text(raw))
	if (strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")) && check([]byte(s)) == nil {
		return json.RawMessage(s)
	}
	return raw
}

// texts appends the strings of a JSON string or list.
func texts(raw json.RawMessage, to []string, depth int) []string {
	raw = plain(raw)
	var list []json.RawMessage
	if depth < 4 && json.Unmarshal(raw, &list) == nil {
		for _, item := range list {
			to = texts(item, to, depth+1)
		}
		return to
	}
	if s := text(raw); s != "" {
		to = append(to, s)
	}
	return to
}

// idField are the names under which calls of the ECS API ask for and return
// instances: InstanceId, InstanceId.1, InstanceIds, InstanceIdSets.InstanceIdSet.
var idField = regexp.MustCompile(`^InstanceId(s|\.[0-9]{1,4}|Sets?)?$`)

// instanceIDs appends what stands under such a name, in objects and lists.
func instanceIDs(raw json.RawMessage, to []string, depth int) []string {
	if depth > 6 {
		return to
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) == nil {
		for name, value := range fields {
			if idField.MatchString(name) {
				to = texts(value, to, 0)
			}
			to = instanceIDs(value, to, depth+1)
		}
		return to
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		for _, item := range list {
			to = instanceIDs(item, to, depth+1)
		}
	}
	return to
}
