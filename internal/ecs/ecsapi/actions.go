package ecsapi

import "time"

// The actions that this package calls, and nothing else.
const (
	actRegions   = "DescribeRegions"
	actInstances = "DescribeInstances"
	actImages    = "DescribeImages"
	actTypes     = "DescribeInstanceTypes"
	actStock     = "DescribeAvailableResource"
	actAgents    = "DescribeCloudAssistantStatus"
	actConsole   = "GetInstanceConsoleOutput"
	actRun       = "RunCommand"
	actResults   = "DescribeInvocationResults"
	actOffered   = "DescribeImageSupportInstanceTypes"
	actTemplates = "DescribeLaunchTemplates"
	actVersions  = "DescribeLaunchTemplateVersions"
	actDisks     = "DescribeDisks"
	actChanges   = "DescribeResourcesModification"
	actAssume    = "AssumeRole"
	actIdentity  = "GetCallerIdentity"
	actMembers   = "ListAccounts"
	actDirectory = "GetResourceDirectory"
)

// Action is one API action that this package calls and the permission it
// needs.
type Action struct {
	Name       string
	Permission string // RAM action, "" when every identity may call it
	// Hub is true when only the base credentials need it, to assume roles or
	// to list the resource directory.
	Hub bool
	// Probe is true when only asking the machines themselves needs it, which is
	// off unless somebody turns it on.
	Probe bool
	// Console is true when only reading console logs needs it, which is off unless
	// somebody turns it on: they may hold secrets.
	Console bool
}

// Policy is the file of deploy whose policy allows the action.
func (a *Action) Policy() string {
	switch {
	case a.Probe:
		return "deploy/ram-policy-probe.json"
	case a.Console:
		return "deploy/ram-policy-console.json"
	}
	return "deploy/ram-policy.json"
}

// Actions returns every action that this package calls.
// deploy/ram-policy.json grants exactly the ones that are neither Hub nor Probe nor
// Console, deploy/ram-policy-probe.json those that are Probe,
// deploy/ram-policy-console.json those that are Console.
func Actions() []Action {
	return []Action{
		{Name: actRegions, Permission: "ecs:DescribeRegions"},
		{Name: actInstances, Permission: "ecs:DescribeInstances"},
		{Name: actImages, Permission: "ecs:DescribeImages"},
		{Name: actTypes, Permission: "ecs:DescribeInstanceTypes"},
		{Name: actStock, Permission: "ecs:DescribeAvailableResource"},     // plan --availability
		{Name: actAgents, Permission: "ecs:DescribeCloudAssistantStatus"}, // --heartbeat-share
		{Name: actAgents, Permission: "ecs:DescribeCloudAssistantStatus", Probe: true},
		{Name: actRun, Permission: "ecs:RunCommand", Probe: true},
		{Name: actResults, Permission: "ecs:DescribeInvocationResults", Probe: true},
		{Name: actOffered, Permission: "ecs:DescribeImageSupportInstanceTypes"}, // --platform-evidence
		{Name: actTemplates, Permission: "ecs:DescribeLaunchTemplates"},         // --launch-templates
		{Name: actVersions, Permission: "ecs:DescribeLaunchTemplateVersions"},   // --launch-templates
		{Name: actDisks, Permission: "ecs:DescribeDisks"},                       // plan --disks, check --disks
		{Name: actChanges, Permission: "ecs:DescribeResourcesModification"},     // plan --offered, check --offered
		{Name: actConsole, Permission: "ecs:GetInstanceConsoleOutput", Console: true},
		{Name: actAssume, Permission: "sts:AssumeRole", Hub: true},
		{Name: actIdentity, Hub: true},
		{Name: actMembers, Permission: "resourcemanager:ListAccounts", Hub: true},
		{Name: actDirectory, Permission: "resourcemanager:GetResourceDirectory", Hub: true}, // delegated administrators
	}
}

// Observer is told what happens, for metrics. Implementations are safe for
// concurrent use and return at once.
type Observer interface {
	// Request is told of every HTTP exchange; code is "" for a good answer.
	Request(account, region, action, code string, d time.Duration)
	// Retry is told that an attempt is repeated because of code.
	Retry(account, region, action, code string)
	// Rate is told the limiter's rate whenever it changes.
	Rate(account, region, action string, perSecond float64)
}

type noObserver struct{}

func (noObserver) Request(_, _, _, _ string, _ time.Duration) {}
func (noObserver) Retry(_, _, _, _ string)                    {}
func (noObserver) Rate(_, _, _ string, _ float64)             {}
