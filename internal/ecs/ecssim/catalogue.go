package ecssim

import (
	"slices"
	"strconv"
	"strings"
)

// describeRegions answers DescribeRegions; every region's endpoint is the
// simulator itself.
func (s *Simulator) describeRegions(c *call, requestID string) ([]byte, *apiError) {
	lang := c.params.get("AcceptLanguage")
	switch lang {
	case "", "zh-CN", "en-US", "ja", "de-DE", "fr-FR", "pt-BR":
	default:
		return nil, &apiError{404, "InvalidAcceptLanguage.NotFound", "The specified AcceptLanguage is not found."}
	}
	b := append(append([]byte(`{"RequestId":"`), requestID...), `","Regions":{"Region":[`...)
	n := 0
	for i, r := range s.fleet.data.regions[:s.opt.Regions] {
		if s.against(RegionsEmpty) || i == 1 && s.against(RegionVanishes) {
			continue
		}
		b = appendComma(b, n)
		n++
		name := r.localNameEn
		if lang == "" || lang == "zh-CN" {
			name = r.localName
		}
		b = append(b, `{"RegionId":`...)
		b = appendJSON(b, r.id)
		b = append(b, `,"RegionEndpoint":`...)
		b = appendJSON(b, c.req.Host)
		b = append(b, `,"LocalName":`...)
		b = appendJSON(b, name)
		b = append(b, `,"Status":`...)
		b = append(appendJSON(b, s.regionStatus(i)), '}')
	}
	return append(b, "]}}"...), nil
}

// describeInstanceTypes answers DescribeInstanceTypes: one catalogue for all
// regions, at most 100 types a page.
func (s *Simulator) describeInstanceTypes(c *call, requestID string) ([]byte, *apiError) {
	limit, err := c.params.int("MaxResults", 100)
	if err != nil || limit < 1 {
		return nil, errInvalid("MaxResults")
	}
	limit = min(limit, 100)
	want := c.params.list("InstanceTypes")
	if len(want) > 10 {
		return nil, errInvalid("InstanceTypes")
	}
	family, arch := c.params.get("InstanceTypeFamily"), c.params.get("CpuArchitecture")
	bound := hash(hashString(strings.Join(want, ",")), hashString(family), hashString(arch), 'c')
	at := 0
	if token := c.params.get("NextToken"); token != "" {
		if at, err = s.tokens.open(token, bound, s.opt.Now()); err != nil {
			return nil, err
		}
	}
	b := append(append([]byte(`{"RequestId":"`), requestID...), `","InstanceTypes":{"InstanceType":[`...)
	n, types := 0, s.fleet.data.types
	for ; at < len(types) && n < limit; at++ {
		t := types[at]
		if (len(want) > 0 && !slices.Contains(want, t.id)) || (family != "" && family != t.family) || (arch != "" && arch != t.arch) {
			continue
		}
		b = appendComma(b, n)
		b = appendType(b, t)
		n++
	}
	next := ""
	if at < len(types) {
		next = s.tokens.seal(bound, at, 0, s.opt.Now())
	}
	return append(append(append(b, `]},"NextToken":"`...), next...), `"}`...), nil
}

func appendType(b []byte, t *instanceType) []byte {
	b = append(b, `{"InstanceTypeId":`...)
	b = appendJSON(b, t.id)
	b = append(b, `,"InstanceTypeFamily":`...)
	b = appendJSON(b, t.family)
	b = append(b, `,"InstanceFamilyLevel":"EnterpriseLevel","InstanceCategory":"General-purpose","CpuArchitecture":`...)
	b = appendJSON(b, t.arch)
	b = append(b, `,"CpuCoreCount":`...)
	b = appendInt(b, t.vcpu)
	b = append(b, `,"MemorySize":`...)
	b = strconv.AppendFloat(b, t.memoryGiB, 'f', 1, 64)
	b = append(b, `,"NvmeSupport":`...)
	b = appendJSON(b, t.nvme)
	b = append(b, `,"SupportedBootModes":{"SupportedBootMode":[`...)
	for i, m := range t.bootModes {
		b = appendComma(b, i)
		b = appendJSON(b, m)
	}
	return append(b, `]},"PhysicalProcessorModel":"Intel Xeon Platinum","CpuSpeedFrequency":2.7,"CpuTurboFrequency":3.5,"LocalStorageCategory":"","GPUAmount":0,"GPUSpec":"","GPUMemorySize":0.0,`+
		`"DiskQuantity":17,"EniQuantity":3,"EniTotalQuantity":3,"EniPrivateIpAddressQuantity":6,"EniIpv6AddressQuantity":6,"EniTrunkSupported":false,"PrimaryEniQueueNumber":2,"SecondaryEniQueueNumber":2,`+
		`"MaximumQueueNumberPerEni":2,"TotalEniQueueQuantity":6,"InstanceBandwidthRx":1024000,"InstanceBandwidthTx":1024000,"InstancePpsRx":300000,"InstancePpsTx":300000,"NetworkCardQuantity":1,`+
		`"NetworkCards":{"NetworkCardInfo":[{"NetworkCardIndex":0}]},"CpuOptions":{"Core":1,"CoreFactor":1,"HyperThreadingAdjustable":true,"ThreadsPerCore":2,"SupportedTopologyTypes":{"SupportedTopologyType":[]}}}`...)
}

// describeAvailableResource says which types the zones of a region sell.
func (s *Simulator) describeAvailableResource(c *call, sc *scope, requestID string) ([]byte, *apiError) {
	charge, want, zone := c.params.get("InstanceChargeType"), c.params.get("InstanceType"), c.params.get("ZoneId")
	switch {
	case c.params.get("DestinationResource") == "":
		return nil, errMissing("DestinationResource")
	case c.params.get("DestinationResource") != "InstanceType": // no other is needed
		return nil, errInvalid("DestinationResource")
	case c.params.get("ResourceType") != "" && c.params.get("ResourceType") != "instance":
		return nil, errInvalid("ResourceType")
	case c.params.get("IoOptimized") != "" && c.params.get("IoOptimized") != "optimized": // no other is sold
		return nil, errInvalid("IoOptimized")
	case charge != "" && charge != "PostPaid" && charge != "PrePaid":
		return nil, errInvalid("InstanceChargeType")
	case zone != "" && !slices.Contains(sc.zones, zone):
		return nil, &apiError{404, "InvalidZoneId.NotFound", "The specified ZoneId does not exist."}
	}
	b := append(append([]byte(`{"RequestId":"`), requestID...), `","AvailableZones":{"AvailableZone":[`...)
	zones := 0
	for _, z := range sc.zones {
		if zone != "" && zone != z {
			continue
		}
		b = appendComma(b, zones)
		zones++
		b = append(b, `{"RegionId":`...)
		b = appendJSON(b, sc.region.id)
		b = append(b, `,"ZoneId":`...)
		b = appendJSON(b, z)
		b = append(b, `,"Status":"Available","StatusCategory":"WithStock","AvailableResources":{"AvailableResource":[{"Type":"InstanceType","SupportedResources":{"SupportedResource":[`...)
		n := 0
		for _, t := range s.fleet.data.types {
			stock := s.stock(z, t, charge)
			if stock == "" || want != "" && want != t.id {
				continue
			}
			status := "Available"
			if stock == "WithoutStock" {
				status = "SoldOut"
			}
			b = appendComma(b, n)
			b = append(b, `{"Value":`...)
			b = appendJSON(b, t.id)
			b = append(append(append(append(b, `,"Status":"`...), status...), `","StatusCategory":"`...), stock...)
			b = append(b, `"}`...)
			n++
		}
		b = append(b, `]}}]}}`...)
	}
	return append(b, "]}}"...), nil
}

// stock is the StatusCategory of a type in a zone, the same for the same seed;
// "" for what the zone does not sell at all: retired types, and families that
// never came there.
func (s *Simulator) stock(zone string, t *instanceType, charge string) string {
	if t.pool == "xen" || t.pool == "byio" {
		return ""
	}
	place, family := hashString(zone), hashString(t.family)
	at := strings.IndexAny(t.family, "123456789")
	old := at < 0 || t.family[at] <= '5' // the digit of the generation, near enough
	switch there := share(hash(s.fleet.seed, 'z', place, family)); {
	case there < 0.08 || old && there < 0.25:
		return ""
	case there < 0.18 || old && there < 0.45:
		return "WithoutStock"
	}
	if charge == "" {
		charge = "PostPaid"
	}
	switch left := share(hash(s.fleet.seed, 'l', place, hashString(t.id), hashString(charge))); {
	case left < 0.04:
		return "WithoutStock"
	case left < 0.10:
		return "ClosedWithStock"
	}
	return "WithStock"
}
