package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Regions implements ecs.API. The endpoints that the answer names are
// remembered for later calls, if they are hosts of Alibaba Cloud and VPC
// endpoints are not asked for. An answer that says that it is not all is an error
// beside the regions that it names.
func (c *Client) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	scope := ecs.Scope{Account: account, Region: c.o.HomeRegion}
	req := ecsRequest(actRegions, "RegionId", c.o.HomeRegion, "AcceptLanguage", "en-US")
	named, err := ask(ctx, c, scope, req, decodingRest((*wireRegions).regions))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range named.regions {
		if len(c.regions) < maxEndpoints {
			c.regions[r.ID] = true
		}
		if !c.o.VPC && r.Endpoint != "" && cloudHost(r.Endpoint, c.o.AllowHosts) {
			c.endpoints[ecs.Scope{Account: account, Region: r.ID}] = r.Endpoint
		}
	}
	if named.cut != "" {
		return named.regions, notBelieved(actRegions, scope, named.requestID, "what is in regions that it does not name is not read and not taken for gone", "the list of regions may not be all: %s", named.cut)
	}
	return named.regions, nil
}

// namedRegions is what an answer of DescribeRegions says.
type namedRegions struct {
	regions        []ecs.Region
	requestID, cut string // cut is why there may be others
}

// wireRegions is an answer of DescribeRegions.
type wireRegions struct {
	RequestID string `json:"RequestId"`
	Ending    ending `json:",inline"`
	Regions   maybe[struct {
		Region list[struct {
			RegionID       string `json:"RegionId"`
			RegionEndpoint string
		}]
	}]
}

func (w *wireRegions) regions(rest present) (out namedRegions, err error) {
	if w.Regions.v.Region == nil {
		return out, missing("Regions.Region")
	}
	distinct := map[string]bool{}
	for _, r := range w.Regions.v.Region {
		if !regionID.MatchString(r.RegionID) {
			return out, fmt.Errorf("RegionId %q is no region id", clip(r.RegionID, 60))
		}
		distinct[r.RegionID] = true
		out.regions = append(out.regions, ecs.Region{ID: r.RegionID, Endpoint: r.RegionEndpoint})
	}
	out.requestID = w.RequestID
	out.cut, err = w.Ending.cut(rest, len(distinct), "regions")
	return out, err
}

const typePages = 500

// InstanceTypes implements ecs.API.
func (c *Client) InstanceTypes(ctx context.Context, account string) ([]ecs.InstanceType, error) {
	scope := ecs.Scope{Account: account, Region: c.o.HomeRegion}
	var out []ecs.InstanceType
	seen := map[string]int{} // the place of each in out
	doubt := func(page *typePage, format string, args ...any) error {
		return notBelieved(actTypes, scope, page.requestID, "plans do without it or with the one of before", "the catalogue is not believed: "+format, args...)
	}
	token := ""
	for range typePages {
		req := ecsRequest(actTypes, "MaxResults", "100", "NextToken", token)
		page, err := ask(ctx, c, scope, req, decodingRest((*wireTypes).pageOf))
		if err != nil {
			return nil, err
		}
		for _, instanceType := range page.types {
			switch at, twice := seen[instanceType.ID]; {
			case !twice:
				seen[instanceType.ID] = len(out)
				out = append(out, instanceType)
			case isAnother(&out[at], &instanceType):
				return nil, doubt(&page, "instance type %q comes twice, and is another each time", clip(instanceType.ID, 60))
			}
		}
		switch {
		case page.next != "":
		case len(out) == 0:
			return nil, doubt(&page, "it names no instance type at all")
		case page.total > len(out):
			return nil, doubt(&page, "it counts %d instance types and names %d", page.total, len(out))
		case page.more:
			return nil, doubt(&page, "its last answer says that there are more instance types, and not where")
		default:
			return out, nil
		}
		if page.next == token {
			break
		}
		token = page.next
	}
	return nil, &ecs.Error{Action: actTypes, Scope: scope, Class: ecs.BadAnswer, Err: errors.New("the listing does not end")}
}

// isAnother reports whether two rows of an instance type say something else of it. What
// one of them leaves out is no contradiction.
func isAnother(a, b *ecs.InstanceType) bool {
	differ := func(one, other string) bool { return one != "" && other != "" && one != other }
	return differ(a.Family, b.Family) || differ(a.Arch, b.Arch) || differ(a.NVMe, b.NVMe) ||
		a.CPU > 0 && b.CPU > 0 && a.CPU != b.CPU || a.MemoryGiB > 0 && b.MemoryGiB > 0 && a.MemoryGiB != b.MemoryGiB ||
		len(a.BootModes) > 0 && len(b.BootModes) > 0 && !slices.Equal(a.BootModes, b.BootModes)
}

// wireTypes is an answer of DescribeInstanceTypes.
type wireTypes struct {
	RequestID     string `json:"RequestId"`
	NextToken     string
	TotalCount    count
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
	types           []ecs.InstanceType
	requestID, next string
	total           int  // ecs.NoCount where there is none
	more            bool // it says that there are more
}

// pageOf is page for an answer with other members.
func (w *wireTypes) pageOf(rest present) (page typePage, err error) {
	if page, err = w.page(); err != nil {
		return page, err
	}
	page.more, err = goesOn(rest)
	return page, err
}

func (w *wireTypes) page() (typePage, error) {
	if w.InstanceTypes.v.InstanceType == nil {
		return typePage{}, missing("InstanceTypes.InstanceType")
	}
	types, err := typesOf(w.InstanceTypes.v.InstanceType)
	return typePage{types: types, requestID: w.RequestID, next: w.NextToken, total: orNone(w.TotalCount)}, err
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
