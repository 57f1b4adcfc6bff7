package ecsapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Regions implements ecs.API. The endpoints that the answer names are
// remembered for later calls, if they are hosts of Alibaba Cloud and VPC
// endpoints are not asked for.
func (c *Client) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	scope := ecs.Scope{Account: account, Region: c.o.HomeRegion}
	req := ecsRequest(actRegions, "RegionId", c.o.HomeRegion, "AcceptLanguage", "en-US")
	out, err := ask(ctx, c, scope, req, decoding((*wireRegions).regions))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range out {
		if len(c.regions) < maxEndpoints {
			c.regions[r.ID] = true
		}
		if !c.o.VPC && r.Endpoint != "" && cloudHost(r.Endpoint, c.o.AllowHosts) {
			c.endpoints[ecs.Scope{Account: account, Region: r.ID}] = r.Endpoint
		}
	}
	return out, nil
}

// wireRegions is an answer of DescribeRegions.
type wireRegions struct {
	Regions maybe[struct {
		Region list[struct {
			RegionID       string `json:"RegionId"`
			RegionEndpoint string
		}]
	}]
}

func (w *wireRegions) regions() ([]ecs.Region, error) {
	if w.Regions.v.Region == nil {
		return nil, missing("Regions.Region")
	}
	var out []ecs.Region
	for _, r := range w.Regions.v.Region {
		if !regionID.MatchString(r.RegionID) {
			return nil, fmt.Errorf("RegionId %q is no region id", clip(r.RegionID, 60))
		}
		out = append(out, ecs.Region{ID: r.RegionID, Endpoint: r.RegionEndpoint})
	}
	return out, nil
}

const typePages = 500

// InstanceTypes implements ecs.API.
func (c *Client) InstanceTypes(ctx context.Context, account string) ([]ecs.InstanceType, error) {
	scope := ecs.Scope{Account: account, Region: c.o.HomeRegion}
	var out []ecs.InstanceType
	seen := map[string]bool{}
	token := ""
	for range typePages {
		req := ecsRequest(actTypes, "MaxResults", "100", "NextToken", token)
		page, err := ask(ctx, c, scope, req, decoding((*wireTypes).page))
		if err != nil {
			return nil, err
		}
		for _, instanceType := range page.types {
			if !seen[instanceType.ID] {
				seen[instanceType.ID] = true
				out = append(out, instanceType)
			}
		}
		if page.next == "" {
			return out, nil
		}
		if page.next == token {
			break
		}
		token = page.next
	}
	return nil, &ecs.Error{Action: actTypes, Scope: scope, Class: ecs.BadAnswer, Err: errors.New("the listing does not end")}
}

// wireTypes is an answer of DescribeInstanceTypes.
type wireTypes struct {
	NextToken     string
	InstanceTypes maybe[struct{ InstanceType list[wireType] }]
}

// wireType is one instance type of DescribeInstanceTypes.
type wireType struct {
	InstanceTypeID     string `json:"InstanceTypeId"`
	InstanceTypeFamily string
	CPUArchitecture    string `json:"CpuArchitecture"`
	CPUCoreCount       int    `json:"CpuCoreCount"`
	MemorySize         float64
	NvmeSupport        string
	SupportedBootModes maybe[struct{ SupportedBootMode list[string] }]
}

// typePage is what one says.
type typePage struct {
	types []ecs.InstanceType
	next  string
}

func (w *wireTypes) page() (typePage, error) {
	if w.InstanceTypes.v.InstanceType == nil {
		return typePage{}, missing("InstanceTypes.InstanceType")
	}
	types, err := typesOf(w.InstanceTypes.v.InstanceType)
	return typePage{types, w.NextToken}, err
}

func typesOf(items []wireType) ([]ecs.InstanceType, error) {
	var out []ecs.InstanceType
	for _, wireType := range items {
		if wireType.InstanceTypeID == "" {
			return nil, missing("InstanceTypeId")
		}
		out = append(out, ecs.InstanceType{
			ID: wireType.InstanceTypeID, Family: wireType.InstanceTypeFamily, Arch: wireType.CPUArchitecture,
			CPU: wireType.CPUCoreCount, MemoryGiB: wireType.MemorySize, NVMe: wireType.NvmeSupport, BootModes: wireType.SupportedBootModes.v.SupportedBootMode,
		})
	}
	return out, nil
}
