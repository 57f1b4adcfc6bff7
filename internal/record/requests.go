package record

// ScanRequest is the body of a request on shenscan.scan. Empty lists are all
// accounts and all regions.
type ScanRequest struct {
	Accounts []string `json:"accounts"`
	Regions  []string `json:"regions"`
	Reason   string   `json:"reason"`
}

// ScanReply answers it with the id of the scan that does what was asked, which
// may have run already.
type ScanReply struct {
	ScanID string `json:"scan_id"`
}

// RescanRequest is the body of a request on shenscan.rescan and of POST
// /api/v1/rescan: instances to look at again. Account and region may be empty.
type RescanRequest struct {
	Account     string   `json:"account"`
	Region      string   `json:"region"`
	InstanceIDs []string `json:"instance_ids"`
	Reason      string   `json:"reason"`
}

// RescanReply answers it. What is accepted is stored durably.
type RescanReply struct {
	ScanID   string     `json:"scan_id"`
	Accepted int        `json:"accepted"`
	Rejected []Rejected `json:"rejected"`
}

// Rejected is an instance id that will not be looked at, and why.
type Rejected struct {
	InstanceID string `json:"instance_id"`
	Error      string `json:"error"`
}
