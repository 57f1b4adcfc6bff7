package ecs

import (
	"context"
	"time"
)

// MaxCommandInstances is how many instances one RunCommand is given: the most
// that every version of its documents allows.
const MaxCommandInstances = 50

// CommandType is the shell that runs a command.
type CommandType string

// The types of command.
const (
	ShellCommand      CommandType = "RunShellScript"
	PowerShellCommand CommandType = "RunPowerShellScript"
)

// Command is a script that Cloud Assistant is to run once on some machines.
type Command struct {
	Type        CommandType
	Content     string   // as it is; nothing is filled in
	InstanceIDs []string // at most MaxCommandInstances
	// Token makes a repeat of the call the same call: the cloud answers it with
	// the invocation of the first and runs nothing again.
	Token   string
	Timeout time.Duration // after which a machine stops it
}

// InvocationState is what became of a command on one machine.
type InvocationState uint8

// The states of an invocation. A state that is not known is Running: it is
// asked about until the time for it is over.
const (
	InvocationRunning  InvocationState = iota // or waiting for its machine
	InvocationFinished                        // it came to an end with the exit code 0
	InvocationFailed                          // it came to another end, or to none
)

// Invoked is what one machine made of a command. Every text is the machine's or
// the cloud's, and untrusted.
type Invoked struct {
	InstanceID string
	State      InvocationState
	Output     string
	Dropped    int // bytes of the output that were lost
	ErrorCode  string
	Finished   time.Time // zero where it is not told
}

// Agent says whether a machine has an agent of Cloud Assistant that answers.
type Agent struct {
	InstanceID string
	Installed  bool      // CloudAssistantStatus
	Heartbeat  time.Time // the last one; zero where there was none
}

// AgentAPI tells of the agents of Cloud Assistant. It runs nothing. It is an
// ability of some implementations of API.
type AgentAPI interface {
	// Agents tells of the agents of instances (DescribeCloudAssistantStatus), and
	// how many calls that took. An instance that the answer does not name is left
	// out.
	Agents(ctx context.Context, s Scope, ids []string) (agents []Agent, calls int, err error)
}

// Console is the console log of an instance's last start, restart or shutdown.
type Console struct {
	// Updated is when the last line was written. Where the answer can be read as
	// several times it is the earliest; zero where it tells none.
	Updated time.Time
	Log     []byte // its end; at most MaxConsole bytes, the machine's and untrusted
}

// MaxConsole is how much of a console log is kept.
const MaxConsole = 64 << 10

// ConsoleAPI reads console logs. It is an ability of some implementations of
// API.
type ConsoleAPI interface {
	// ConsoleOutput reads the log of one instance (GetInstanceConsoleOutput).
	ConsoleOutput(ctx context.Context, s Scope, id string) (Console, error)
}

// MaxAgents is how many instances one call of Agents is best given.
const MaxAgents = 100

// GuestAPI reaches into machines, through the agent of Cloud Assistant. It is an
// ability of its own, and not part of API: what only lists machines can never
// run anything on them.
type GuestAPI interface {
	AgentAPI
	// RunCommand has a command run and returns the id of its invocation. One
	// instance that cannot run it fails the whole call.
	RunCommand(ctx context.Context, s Scope, c *Command) (invocation string, err error)
	// Invocation tells what became of an invocation on each of its machines
	// (DescribeInvocationResults).
	Invocation(ctx context.Context, s Scope, invocation string) ([]Invoked, error)
}
