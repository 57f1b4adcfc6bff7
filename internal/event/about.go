package event

import "github.com/shenscan/shenscan/internal/ecs"

// About says what a message is of, for log lines and traces: its type, its
// scan, its scope where it has one, and how many instances it carries or
// counts. It holds nothing that an instance's owner wrote.
type About struct {
	Type      string // scan.requested, instances.listed, …
	Scan      string
	Scope     ecs.Scope
	Instances int
}

// AboutOf describes message; nil has the zero About.
func AboutOf(message Message) About {
	if message == nil {
		return About{}
	}
	return message.about()
}

func (m *ScanRequested) about() About {
	return About{"scan.requested", m.ScanID, ecs.Scope{}, len(m.InstanceIDs)}
}
func (m *ScopeJob) about() About { return About{"scope.job", m.ScanID, m.Scope, 0} }
func (m *LaneJob) about() About  { return About{"lane.job", m.ScanID, m.Scope, 0} }
func (m *InstancesListed) about() About {
	return About{"instances.listed", m.ScanID, m.Scope, m.Rows.Len()}
}

func (m *InstancesClassified) about() About {
	return About{"instances.classified", m.ScanID, m.Scope, m.Rows.Len()}
}
func (m *ScanPlanned) about() About  { return About{"scan.planned", m.ScanID, ecs.Scope{}, 0} }
func (m *ScopePlanned) about() About { return About{"scope.planned", m.ScanID, m.Scope, 0} }
func (m *LaneEnded) about() About    { return About{"lane.ended", m.ScanID, m.Scope, m.Instances} }
func (m *ScopeCheck) about() About {
	return About{"scope.check", m.ScanID, m.Scope, len(m.InstanceIDs)}
}
func (m *ScopeChecked) about() About { return About{"scope.checked", m.ScanID, m.Scope, m.Found} }
func (m *ScopeFailed) about() About  { return About{"scope.failed", m.ScanID, m.Scope, 0} }
func (m *PageFailed) about() About   { return About{"page.failed", m.ScanID, m.Scope, 0} }
func (m *EvidenceRead) about() About { return About{"evidence.read", "", m.Scope, 0} }
func (m *ScanAborted) about() About  { return About{"scan.aborted", m.ScanID, ecs.Scope{}, 0} }

// LogArgs are the attributes of a log line about m: scan, account and region,
// those that it has.
func (a About) LogArgs() []any {
	out := make([]any, 0, 6)
	for _, kv := range [...][2]string{{"scan", a.Scan}, {"account", a.Scope.Account}, {"region", a.Scope.Region}} {
		if kv[1] != "" {
			out = append(out, kv[0], kv[1])
		}
	}
	return out
}
