package ecsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Regions implements ecs.API. The endpoints that the answer names are
// remembered for later calls, if they are hosts of Alibaba Cloud and VPC
// endpoints are not asked for.
func (c *Client) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	s := ecs.Scope{Account: account, Region: c.o.HomeRegion}
	req := newRequest(ecsVersion, actRegions)
	req.set("RegionId", c.o.HomeRegion)
	req.set("AcceptLanguage", "en-US")
	var out []ecs.Region
	err := c.do(ctx, s, req, func(body []byte) (err error) {
		out, err = decodeRegions(body)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range out {
		if !c.o.VPC && r.Endpoint != "" && cloudHost(r.Endpoint, c.o.AllowHosts) {
			c.endpoints[ecs.Scope{Account: account, Region: r.ID}] = r.Endpoint
		}
	}
	return out, nil
}

func decodeRegions(body []byte) ([]ecs.Region, error) {
	var m struct {
		Regions *struct {
			Region []struct {
				RegionID                          string `json:"RegionId"`
				RegionEndpoint, LocalName, Status string
			}
		}
	}
	if err := unmarshal(body, &m); err != nil {
		return nil, err
	}
	if m.Regions == nil || m.Regions.Region == nil {
		return nil, missing("Regions.Region")
	}
	var out []ecs.Region
	for _, r := range m.Regions.Region {
		if !regionID.MatchString(r.RegionID) {
			return nil, fmt.Errorf("RegionId %q is no region id", clip(r.RegionID, 60))
		}
		out = append(out, ecs.Region{ID: r.RegionID, Endpoint: r.RegionEndpoint, LocalName: r.LocalName, Status: r.Status})
	}
	return out, nil
}

// minuteTime is how creation time filters are written.
const minuteTime = "2006-01-02T15:04Z"

// instancesRequest writes a query; targeted calls name at most ecs.MaxPage
// ids.
func instancesRequest(s ecs.Scope, q ecs.Query) (*request, error) {
	req := newRequest(ecsVersion, actInstances)
	req.set("RegionId", s.Region)
	req.set("AdditionalAttributes.1", "CURRENT_OS_NVME_SUPPORTED")
	if len(q.InstanceIDs) > ecs.MaxPage {
		return nil, fmt.Errorf("%d instance ids are more than the %d that one call takes", len(q.InstanceIDs), ecs.MaxPage)
	}
	if len(q.InstanceIDs) > 0 {
		ids, err := json.Marshal(q.InstanceIDs)
		if err != nil {
			return nil, err
		}
		req.set("InstanceIds", string(ids))
	}
	n := 0
	for _, f := range []struct {
		key string
		at  time.Time
	}{{"CreationStartTime", q.CreatedFrom}, {"CreationEndTime", q.CreatedTo}} {
		if f.at.IsZero() {
			continue
		}
		n++
		req.set("Filter."+strconv.Itoa(n)+".Key", f.key)
		req.set("Filter."+strconv.Itoa(n)+".Value", f.at.UTC().Format(minuteTime))
	}
	return req, nil
}

// Instances implements ecs.API.
func (c *Client) Instances(ctx context.Context, s ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	req, err := instancesRequest(s, q)
	if err != nil {
		return nil, badRequest(actInstances, s, err)
	}
	req.set("MaxResults", strconv.Itoa(ecs.MaxPage))
	if q.NextToken != "" {
		req.set("NextToken", q.NextToken)
	}
	var page *ecs.Page
	err = c.do(ctx, s, req, func(body []byte) (err error) {
		if page, err = decodePage(body); err == nil && len(page.Instances) > ecs.MaxPage {
			err = fmt.Errorf("the page holds %d instances, %d were asked for", len(page.Instances), ecs.MaxPage)
		}
		if err == nil && page.NextToken != "" && page.NextToken == q.NextToken {
			err = errors.New("NextToken leads back to the same page")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	page.Asked = req.asked
	if len(page.Instances) == 0 && page.NextToken == "" {
		if err := c.VerifyAccess(ctx, s); err != nil {
			return nil, err
		}
		page.Asked = time.Now() // it shows nothing that could be too old
	}
	return page, nil
}

func badRequest(action string, s ecs.Scope, err error) error {
	return &ecs.Error{Action: action, Scope: s, Class: ecs.BadRequest, Err: err}
}

// CountInstances implements ecs.API.
func (c *Client) CountInstances(ctx context.Context, s ecs.Scope, q ecs.Query) (int, error) {
	req, err := instancesRequest(s, q)
	if err != nil {
		return 0, badRequest(actInstances, s, err)
	}
	req.set("PageNumber", "1")
	req.set("PageSize", "1")
	n := 0
	err = c.do(ctx, s, req, func(body []byte) error {
		var m struct {
			TotalCount *int
			Instances  *struct{}
		}
		if err := unmarshal(body, &m); err != nil {
			return err
		}
		if m.Instances == nil {
			return missing("Instances")
		}
		n = ecs.NoCount
		if m.TotalCount != nil {
			n = max(*m.TotalCount, ecs.NoCount)
		}
		return nil
	})
	return n, err
}

const dryRunAllowed = "DryRunOperation"

// VerifyAccess implements ecs.API.
func (c *Client) VerifyAccess(ctx context.Context, s ecs.Scope) error {
	req := newRequest(ecsVersion, actInstances)
	req.set("RegionId", s.Region)
	req.set("DryRun", "true")
	return c.doExpect(ctx, s, req, func([]byte) error {
		return errors.New("a dry run was answered as if it were none")
	}, dryRunAllowed)
}

const typePages = 500

// InstanceTypes implements ecs.API.
func (c *Client) InstanceTypes(ctx context.Context, account string) ([]ecs.InstanceType, error) {
	s := ecs.Scope{Account: account, Region: c.o.HomeRegion}
	var out []ecs.InstanceType
	token := ""
	seen := map[string]bool{}
	for range typePages {
		req := newRequest(ecsVersion, actTypes)
		req.set("MaxResults", "100")
		if token != "" {
			req.set("NextToken", token)
		}
		var got []ecs.InstanceType
		var next string
		err := c.do(ctx, s, req, func(body []byte) (err error) {
			got, next, err = decodeTypes(body)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, t := range got {
			if !seen[t.ID] {
				seen[t.ID] = true
				out = append(out, t)
			}
		}
		if next == "" {
			return out, nil
		}
		if next == token {
			break
		}
		token = next
	}
	return nil, &ecs.Error{Action: actTypes, Scope: s, Class: ecs.BadAnswer, Err: errors.New("the listing does not end")}
}

// wireTypes is an answer of DescribeInstanceTypes.
type wireTypes struct {
	NextToken     string
	InstanceTypes *struct {
		InstanceType []struct {
			InstanceTypeID     string `json:"InstanceTypeId"`
			InstanceTypeFamily string
			CPUArchitecture    string `json:"CpuArchitecture"`
			CPUCoreCount       int    `json:"CpuCoreCount"`
			MemorySize         float64
			NvmeSupport        string
			SupportedBootModes struct{ SupportedBootMode []string }
		}
	}
}

func decodeTypes(body []byte) ([]ecs.InstanceType, string, error) {
	var m wireTypes
	if err := unmarshal(body, &m); err != nil {
		return nil, "", err
	}
	if m.InstanceTypes == nil || m.InstanceTypes.InstanceType == nil {
		return nil, "", missing("InstanceTypes.InstanceType")
	}
	var out []ecs.InstanceType
	for _, t := range m.InstanceTypes.InstanceType {
		if t.InstanceTypeID == "" {
			return nil, "", missing("InstanceTypeId")
		}
		out = append(out, ecs.InstanceType{
			ID: t.InstanceTypeID, Family: t.InstanceTypeFamily, Arch: t.CPUArchitecture,
			CPU: t.CPUCoreCount, MemoryGiB: t.MemorySize, NVMe: t.NvmeSupport, BootModes: t.SupportedBootModes.SupportedBootMode,
		})
	}
	return out, m.NextToken, nil
}
