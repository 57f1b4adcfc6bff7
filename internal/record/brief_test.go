package record_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
)

// A scan of 18,000 scopes of which 600 failed fits a message, and the message
// says what it leaves out.
func TestBriefFitsAMessage(t *testing.T) {
	s := record.Scan{ID: "s-1", State: record.ScanPartial, Regions: 18_000}
	for i := range 18_000 {
		sc := record.ScanScope{Account: fmt.Sprintf("%016d", i/30), Region: fmt.Sprintf("region-%d", i%30), Completeness: record.ScopeComplete}
		if i%30 == 7 {
			sc.Completeness = record.ScopeFailed
			sc.Failures = []record.Failure{{Account: sc.Account, Region: sc.Region, API: "DescribeInstances", Error: strings.Repeat("x", 1000)}}
		}
		s.Scopes = append(s.Scopes, sc)
	}
	const most = 256 << 10
	brief := s.Brief(most)
	b, err := json.Marshal(&brief)
	if err != nil || len(b) > most+1024 {
		t.Fatalf("%d bytes (%v)", len(b), err)
	}
	var got struct {
		Regions       int
		Scopes        []record.ScanScope
		ScopesLeftOut int `json:"scopes_left_out"`
		Details       string
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, sc := range got.Scopes {
		if sc.Completeness == record.ScopeFailed {
			failed++
		}
	}
	if got.Regions != 18_000 || got.ScopesLeftOut+len(got.Scopes) != 18_000 || got.Details != "/api/v1/scans/s-1" || failed < 150 {
		t.Errorf("%d regions, %d scopes (%d failed), %d left out, details %q", got.Regions, len(got.Scopes), failed, got.ScopesLeftOut, got.Details)
	}
	small := record.Scan{ID: "s-2", Scopes: s.Scopes[:20]}
	if brief := small.Brief(most); len(brief.Scopes) != 20 || brief.ScopesLeftOut != 0 || brief.Details != "" {
		t.Errorf("a small scan: %+v", brief)
	}
}
