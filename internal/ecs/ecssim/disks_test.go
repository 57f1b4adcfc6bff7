package ecssim

import (
	"encoding/json"
	"fmt"
	"testing"

	ecs "github.com/alibabacloud-go/ecs-20140526/v4/client"
)

// listDisks asks for disks and follows the tokens.
func listDisks(t *testing.T, s *Server, kv ...string) (rows []*ecs.DescribeDisksResponseBodyDisksDisk, pages int) {
	t.Helper()
	for token := ""; ; {
		r := ask(t, s, "DescribeDisks", append([]string{"RegionId", here, "NextToken", token}, kv...)...)
		if r.status != 200 || r.code() != "" {
			t.Fatalf("%d %s", r.status, r.body)
		}
		var body ecs.DescribeDisksResponseBody
		if err := json.Unmarshal(r.body, &body); err != nil {
			t.Fatal(err)
		}
		pages++
		rows = append(rows, body.Disks.Disk...)
		if body.NextToken == nil || *body.NextToken == "" {
			return rows, pages
		}
		token = *body.NextToken
	}
}

// The disks of a region are those of the truth, and a few that nobody uses.
func TestDisksAreThoseOfTheTruth(t *testing.T) {
	s := start(t, Options{Instances: 700, Regions: 2, Seed: 5})
	truth, categories, shared := map[string]string{}, map[string]int{}, 0
	instance := ""
	if err := s.EachTruth(func(tr *Truth) error {
		if tr.Region != here {
			return nil
		}
		instance = tr.InstanceID
		for k, d := range tr.Disks {
			truth[d.ID] = fmt.Sprint(tr.InstanceID, d.Category, d.Type, d.SizeGiB, d.Shared)
			categories[d.Category]++
			if (d.Type == "system") != (k == 0) {
				t.Errorf("%+v", tr.Disks)
			}
			if d.Shared {
				shared++
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cloud", "cloud_efficiency", "cloud_ssd", "cloud_essd", "cloud_auto", "cloud_essd_entry"} {
		if categories[want] == 0 {
			t.Errorf("no disk is %s: %v", want, categories)
		}
	}
	for _, size := range []string{"10", "100", "500"} {
		rows, _ := listDisks(t, s, "MaxResults", size)
		seen, loose := map[string]bool{}, 0
		for _, d := range rows {
			if seen[*d.DiskId] {
				t.Fatalf("%s stands in the list twice", *d.DiskId)
			}
			seen[*d.DiskId] = true
			owner, multi := *d.InstanceId, *d.MultiAttach == "Enabled"
			if multi {
				owner = *d.Attachments.Attachment[0].InstanceId
			}
			if owner == "" {
				loose++
				continue
			}
			if got := fmt.Sprint(owner, *d.Category, *d.Type, *d.Size, multi); truth[*d.DiskId] != got {
				t.Errorf("%s is %s, in truth %s", *d.DiskId, got, truth[*d.DiskId])
			}
		}
		if len(rows) != len(truth)+loose || loose == 0 || shared == 0 {
			t.Errorf("%d rows, %d of them of nobody, %d in truth, %d shared", len(rows), loose, len(truth), shared)
		}
		var counted struct{ TotalCount int }
		if err := json.Unmarshal(ask(t, s, "DescribeDisks", "RegionId", here, "PageNumber", "1", "PageSize", "1").body, &counted); err != nil || counted.TotalCount != len(rows) {
			t.Errorf("%d are counted, %d listed, %v", counted.TotalCount, len(rows), err)
		}
	}
	own, _ := listDisks(t, s, "MaxResults", "100", "InstanceId", instance)
	byID, _ := listDisks(t, s, "MaxResults", "100", "DiskIds", quoted([]string{*own[0].DiskId, "d-nobodys"}))
	if none, _ := listDisks(t, s, "DiskIds", "[]"); len(own) == 0 || len(byID) != 1 || len(none) != 0 {
		t.Errorf("%d of the instance, %d by id, %d of no ids", len(own), len(byID), len(none))
	}
}

func TestDisksRefuseWhatIsNotImplemented(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 1})
	for _, c := range []struct {
		code string
		kv   []string
	}{
		{"UnsupportedParameter", []string{"Category", "cloud_ssd"}},
		{"UnsupportedParameter", []string{"AdditionalAttributes.1", "Placement"}},
		{"InvalidParameter", []string{"PageNumber", "0"}},
		{"InvalidParameter", []string{"PageSize", "101"}},
		{"InvalidParameter", []string{"DiskIds", "d-1"}},
		{"InvalidParameter", []string{"MaxResults", "10", "NextToken", "x"}},
	} {
		if r := ask(t, s, "DescribeDisks", append([]string{"RegionId", here}, c.kv...)...); r.code() != c.code {
			t.Errorf("%v: %s", c.kv, r.body)
		}
	}
}

// disks asks for the first disks of the region.
func (p probe) disks() (counted int, ids []string, body string) {
	r := ask(p.T, p.s, "DescribeDisks", "RegionId", here, "MaxResults", "500")
	var got struct {
		Disks struct{ Disk []struct{ DiskId string } }
	}
	if err := json.Unmarshal(r.body, &got); err != nil {
		p.T.Fatal(err)
	}
	for _, d := range got.Disks.Disk {
		ids = append(ids, d.DiskId)
	}
	var count struct{ TotalCount int }
	if err := json.Unmarshal(ask(p.T, p.s, "DescribeDisks", "RegionId", here, "PageNumber", "1", "PageSize", "1").body, &count); err != nil {
		p.T.Fatal(err)
	}
	return count.TotalCount, ids, string(r.body)
}
