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

// AboutOf describes m; the zero About stands for nil and for what is no
// message of this package.
func AboutOf(m Message) About {
	switch message := m.(type) {
	case *ScanRequested:
		return About{"scan.requested", message.ScanID, ecs.Scope{}, len(message.InstanceIDs)}
	case *ScopeJob:
		return About{"scope.job", message.ScanID, message.Scope, 0}
	case *LaneJob:
		return About{"lane.job", message.ScanID, message.Scope, 0}
	case *InstancesListed:
		return About{"instances.listed", message.ScanID, message.Scope, message.Rows.Len()}
	case *InstancesClassified:
		return About{"instances.classified", message.ScanID, message.Scope, message.Rows.Len()}
	case *ScanPlanned:
		return About{"scan.planned", message.ScanID, ecs.Scope{}, 0}
	case *ScopePlanned:
		return About{"scope.planned", message.ScanID, message.Scope, 0}
	case *LaneEnded:
		return About{"lane.ended", message.ScanID, message.Scope, message.Instances}
	case *ScopeCheck:
		return About{"scope.check", message.ScanID, message.Scope, len(message.InstanceIDs)}
	case *ScopeChecked:
		return About{"scope.checked", message.ScanID, message.Scope, message.Found}
	case *ScopeFailed:
		return About{"scope.failed", message.ScanID, message.Scope, 0}
	case *PageFailed:
		return About{"page.failed", message.ScanID, message.Scope, 0}
	case *EvidenceRead:
		return About{"evidence.read", "", message.Scope, 0}
	case *ScanAborted:
		return About{"scan.aborted", message.ScanID, ecs.Scope{}, 0}
	}
	return About{}
}

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
