package record

import "encoding/json"

// ScanBrief is a scan as a message tells it: as many of its scopes as fit, those
// that are not complete first.
type ScanBrief struct {
	Scan
	Scopes []ScanScope `json:"scopes"`
	// Accounts are those of Scan, where all of them fit.
	Accounts []ScanAccount `json:"accounts,omitempty"`
	// ScopesLeftOut is how many scopes are not among them, and Details where all
	// of them are.
	ScopesLeftOut int    `json:"scopes_left_out,omitempty"`
	Details       string `json:"details,omitempty"`
}

// mostAccounts is how many accounts a message tells of one by one.
const mostAccounts = 500

// Brief returns s with at most so many bytes of scopes, as they are encoded.
func (s *Scan) Brief(most int) ScanBrief {
	out := ScanBrief{Scan: *s, Scopes: []ScanScope{}}
	if len(s.Accounts) <= mostAccounts {
		out.Accounts = s.Accounts
	}
	kept, size := make([]bool, len(s.Scopes)), 0
	for _, bad := range []bool{true, false} {
		for i := range s.Scopes {
			if (s.Scopes[i].Completeness != ScopeComplete) != bad {
				continue
			}
			encoded, err := json.Marshal(&s.Scopes[i])
			if err != nil || size+len(encoded)+1 > most {
				continue // a smaller one may still fit
			}
			size += len(encoded) + 1
			kept[i] = true
		}
	}
	for i, fits := range kept {
		if fits {
			out.Scopes = append(out.Scopes, s.Scopes[i])
		}
	}
	if out.ScopesLeftOut = len(s.Scopes) - len(out.Scopes); out.ScopesLeftOut > 0 {
		out.Details = "/api/v1/scans/" + s.ID
	}
	return out
}
