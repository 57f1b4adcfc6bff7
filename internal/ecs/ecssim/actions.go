package ecssim

import "encoding/json"

// action is how the simulator answers one action of the API.
type action struct {
	version string
	// params are the parameters that are implemented, beside commonParams; "#"
	// stands for a number. A call with any other is refused.
	params []string
	// everywhere is true where the action is not asked of a region: its handler
	// then gets no scope.
	everywhere bool
	handle     handler
	errorAs200 errorAs200
}

// handler answers a call that is known to be permitted, to have the right version
// and no parameter that is not implemented.
type handler func(s *Simulator, call *call, sc *scope) (object, *apiError)

// object is a JSON object.
type object = map[string]any

// errorAs200 is a contradiction under which an action is answered by an error that
// comes as a 200, and where its answer has the list that is empty then.
type errorAs200 struct {
	contradiction Contradiction
	outer, inner  string
}

// body is that answer.
func (e errorAs200) body() object {
	err := errForbidden
	return object{"Code": err.code, "Message": err.message, e.outer: list(e.inner, []object(nil)), "TotalCount": 0, "PageNumber": 1, "PageSize": 10}
}

const (
	versionECS       = "2014-05-26"
	versionSTS       = "2015-04-01"
	versionDirectory = "2020-03-31"
)

// The most frequent action, whose answers are written by hand: describeInstances.
const actInstances = "DescribeInstances"

// actions are all that the simulator answers. Whatever else would change something
// is refused as RAM refuses it.
var actions = map[string]action{
	actInstances: {
		version: versionECS,
		params:  []string{"InstanceIds", "InstanceTypeFamily", "InstanceType", "ImageId", "ZoneId", "Status", "AdditionalAttributes.#", "Filter.#.Key", "Filter.#.Value", "PageNumber", "PageSize", "MaxResults", "NextToken", "DryRun"},
	},
	"DescribeImages": {
		version: versionECS, handle: (*Simulator).describeImages, errorAs200: errorAs200{ImagesErrorAs200, "Images", "Image"},
		params: []string{"ImageId", "Status", "ShowExpired", "ImageOwnerAlias", "IsPublic", "Architecture", "OSType", "PageNumber", "PageSize"},
	},
	"DescribeImageSupportInstanceTypes": {
		version: versionECS, handle: (*Simulator).describeImageSupport, errorAs200: errorAs200{OfferedErrorAs200, "InstanceTypes", "InstanceType"},
		params: []string{"ImageId", "ActionType"},
	},
	"DescribeAvailableResource": {
		version: versionECS, handle: (*Simulator).describeAvailableResource,
		params: []string{"DestinationResource", "InstanceChargeType", "InstanceType", "IoOptimized", "ResourceType", "ZoneId"},
	},
	"DescribeCloudAssistantStatus": {version: versionECS, params: []string{"InstanceId.#", "PageSize", "PageNumber"}, handle: (*Simulator).describeAgents},
	"GetInstanceConsoleOutput":     {version: versionECS, params: []string{"InstanceId", "RemoveSymbols"}, handle: (*Simulator).consoleOutput},
	"DescribeLaunchTemplates": {
		version: versionECS, handle: (*Simulator).describeTemplates, errorAs200: errorAs200{TemplatesErrorAs200, "LaunchTemplateSets", "LaunchTemplateSet"},
		params: []string{"PageNumber", "PageSize"},
	},
	"DescribeLaunchTemplateVersions": {version: versionECS, params: []string{"LaunchTemplateId", "LaunchTemplateVersion.#", "PageNumber", "PageSize"}, handle: (*Simulator).describeVersions},
	"DescribeResourcesModification": {
		version: versionECS, handle: (*Simulator).describeChanges, errorAs200: errorAs200{ChangesErrorAs200, "AvailableZones", "AvailableZone"},
		params: []string{"ResourceId", "DestinationResource", "OperationType", "Conditions.#", "MigrateAcrossZone"},
	},
	"DescribeDisks": {
		version: versionECS, handle: (*Simulator).describeDisks, errorAs200: errorAs200{DisksErrorAs200, "Disks", "Disk"},
		params: []string{"DiskIds", "InstanceId", "MaxResults", "NextToken", "PageNumber", "PageSize"},
	},
	"RunCommand": {
		version: versionECS, handle: (*Simulator).runCommand,
		params: []string{"Name", "Description", "Type", "CommandContent", "ContentEncoding", "EnableParameter", "KeepCommand", "RepeatMode", "TerminationMode", "Timeout", "ClientToken", "InstanceId.#"},
	},
	"DescribeInvocationResults": {version: versionECS, params: []string{"InvokeId", "ContentEncoding", "MaxResults", "NextToken"}, handle: (*Simulator).describeResults},

	"DescribeRegions": {version: versionECS, params: []string{"AcceptLanguage"}, everywhere: true, handle: (*Simulator).describeRegions},
	"DescribeInstanceTypes": {
		version: versionECS, everywhere: true, handle: (*Simulator).describeInstanceTypes,
		params: []string{"InstanceTypes.#", "InstanceTypeFamily", "CpuArchitecture", "MaxResults", "NextToken"},
	},
	"AssumeRole":           {version: versionSTS, params: []string{"RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"}, everywhere: true, handle: (*Simulator).assumeRole},
	"GetCallerIdentity":    {version: versionSTS, everywhere: true, handle: (*Simulator).callerIdentity},
	"ListAccounts":         {version: versionDirectory, params: []string{"PageNumber", "PageSize"}, everywhere: true, handle: (*Simulator).listAccounts},
	"GetResourceDirectory": {version: versionDirectory, everywhere: true, handle: (*Simulator).resourceDirectory},
}

// list is a list as the API wraps it; one without rows is empty and not null.
func list[T any](name string, rows []T) object {
	if rows == nil {
		rows = []T{}
	}
	return object{name: rows}
}

// paged is the answer that has a page of rows.
func paged[T any](at paging, total int, outer, inner string, rows []T) object {
	return object{"TotalCount": total, "PageNumber": at.number(), "PageSize": at.size, outer: list(inner, cut(at, rows))}
}

// cut is the rows of a page.
func cut[T any](at paging, rows []T) []T {
	return rows[min(at.from, len(rows)):min(at.from+at.size, len(rows))]
}

func appendMarshalled(b []byte, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // maps and texts of our own
		panic(err)
	}
	return append(b, body...)
}
