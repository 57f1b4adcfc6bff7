package ecssim

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
}

// handler answers a call that is known to be permitted, to have the right version
// and no parameter that is not implemented. It appends to out.
type handler func(s *Simulator, call *call, sc *scope, out []byte, answer *answer) ([]byte, *apiError)

const (
	versionECS       = "2014-05-26"
	versionSTS       = "2015-04-01"
	versionDirectory = "2020-03-31"
)

// actions are all that the simulator answers. Whatever else would change something
// is refused as RAM refuses it.
var actions = map[string]action{
	"DescribeInstances": {
		version: versionECS, handle: (*Simulator).describeInstances,
		params: []string{"InstanceIds", "InstanceTypeFamily", "InstanceType", "ImageId", "ZoneId", "Status", "AdditionalAttributes.#", "Filter.#.Key", "Filter.#.Value", "PageNumber", "PageSize", "MaxResults", "NextToken", "DryRun"},
	},
	"DescribeImages": {
		version: versionECS, handle: (*Simulator).describeImages,
		params: []string{"ImageId", "Status", "ShowExpired", "ImageOwnerAlias", "IsPublic", "Architecture", "OSType", "PageNumber", "PageSize"},
	},
	actOffered: {version: versionECS, params: []string{"ImageId", "ActionType"}, handle: (*Simulator).describeImageSupport},
	"DescribeAvailableResource": {
		version: versionECS, handle: (*Simulator).describeAvailableResource,
		params: []string{"DestinationResource", "InstanceChargeType", "InstanceType", "IoOptimized", "ResourceType", "ZoneId"},
	},
	"DescribeCloudAssistantStatus": {version: versionECS, params: []string{"InstanceId.#", "PageSize", "PageNumber"}, handle: inRegion((*Simulator).describeAgents)},
	actConsole:                     {version: versionECS, params: []string{"InstanceId", "RemoveSymbols"}, handle: inRegion((*Simulator).consoleOutput)},
	actTemplates:                   {version: versionECS, params: []string{"PageNumber", "PageSize"}, handle: inRegion((*Simulator).describeTemplates)},
	actVersions:                    {version: versionECS, params: []string{"LaunchTemplateId", "LaunchTemplateVersion.#", "PageNumber", "PageSize"}, handle: inRegion((*Simulator).describeVersions)},
	actChanges: {
		version: versionECS, handle: inRegion((*Simulator).describeChanges),
		params: []string{"ResourceId", "DestinationResource", "OperationType", "Conditions.#", "MigrateAcrossZone"},
	},
	actDisks: {version: versionECS, params: []string{"DiskIds", "InstanceId", "MaxResults", "NextToken", "PageNumber", "PageSize"}, handle: inRegion((*Simulator).describeDisks)},
	"RunCommand": {
		version: versionECS, handle: (*Simulator).runCommand,
		params: []string{"Name", "Description", "Type", "CommandContent", "ContentEncoding", "EnableParameter", "KeepCommand", "RepeatMode", "TerminationMode", "Timeout", "ClientToken", "InstanceId.#"},
	},
	"DescribeInvocationResults": {version: versionECS, params: []string{"InvokeId", "ContentEncoding", "MaxResults", "NextToken"}, handle: inRegion((*Simulator).describeResults)},

	"DescribeRegions": {version: versionECS, params: []string{"AcceptLanguage"}, everywhere: true, handle: ofAccount((*Simulator).describeRegions)},
	"DescribeInstanceTypes": {
		version: versionECS, everywhere: true, handle: ofAccount((*Simulator).describeInstanceTypes),
		params: []string{"InstanceTypes.#", "InstanceTypeFamily", "CpuArchitecture", "MaxResults", "NextToken"},
	},
	"AssumeRole":           {version: versionSTS, params: []string{"RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"}, everywhere: true, handle: ofAccount((*Simulator).assumeRole)},
	"GetCallerIdentity":    {version: versionSTS, everywhere: true, handle: ofAccount((*Simulator).callerIdentity)},
	"ListAccounts":         {version: versionDirectory, params: []string{"PageNumber", "PageSize"}, everywhere: true, handle: ofAccount((*Simulator).listAccounts)},
	"GetResourceDirectory": {version: versionDirectory, everywhere: true, handle: ofAccount((*Simulator).resourceDirectory)},
}

// inRegion is the handler of an action whose answer depends on a region and on the
// parameters alone.
func inRegion(answerOf func(s *Simulator, sc *scope, p params, out []byte, requestID string) ([]byte, *apiError)) handler {
	return func(s *Simulator, call *call, sc *scope, out []byte, answer *answer) ([]byte, *apiError) {
		return answerOf(s, sc, call.params, out, answer.requestID)
	}
}

// ofAccount is the handler of an action that is not asked of a region.
func ofAccount(answerOf func(s *Simulator, call *call, requestID string) ([]byte, *apiError)) handler {
	return func(s *Simulator, call *call, _ *scope, _ []byte, answer *answer) ([]byte, *apiError) {
		return answerOf(s, call, answer.requestID)
	}
}
