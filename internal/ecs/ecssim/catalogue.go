package ecssim

import (
	"slices"
	"strconv"
	"strings"
)

// describeRegions answers DescribeRegions; every region's endpoint is the
// simulator itself.
func (s *Simulator) describeRegions(call *call, requestID string) ([]byte, *apiError) {
	lang := call.params.get("AcceptLanguage")
	switch lang {
	case "", "zh-CN", "en-US", "ja", "de-DE", "fr-FR", "pt-BR":
	default:
		return nil, &apiError{404, "InvalidAcceptLanguage.NotFound", "The specified AcceptLanguage is not found."}
	}
	b := append(append([]byte(`{"RequestId":"`), requestID...), `","Regions":{"Region":[`...)
	n := 0
	for i, regionRow := range s.fleet.data.regions[:s.opt.Regions] {
		if s.against(RegionsEmpty) || i == 1 && s.against(RegionVanishes) {
			continue
		}
		b = appendComma(b, n)
		n++
		name := regionRow.localNameEn
		if lang == "" || lang == "zh-CN" {
			name = regionRow.localName
		}
		b = append(b, `{"RegionId":`...)
		b = appendJSON(b, regionRow.id)
		b = append(b, `,"RegionEndpoint":`...)
		b = appendJSON(b, call.req.Host)
		b = append(b, `,"LocalName":`...)
		b = appendJSON(b, name)
		b = append(b, `,"Status":`...)
		b = append(appendJSON(b, s.regionStatus(i)), '}')
	}
	return append(b, "]}}"...), nil
}

// describeInstanceTypes answers DescribeInstanceTypes: one catalogue for all
// regions, at most 100 types a page.
func (s *Simulator) describeInstanceTypes(call *call, requestID string) ([]byte, *apiError) {
	limit, err := call.params.int("MaxResults", 100)
	if err != nil || limit < 1 {
		return nil, errInvalid("MaxResults")
	}
	limit = min(limit, 100)
	want := call.params.list("InstanceTypes")
	if len(want) > 10 {
		return nil, errInvalid("InstanceTypes")
	}
	family, arch := call.params.get("InstanceTypeFamily"), call.params.get("CpuArchitecture")
	bound := hash(hashString(strings.Join(want, ",")), hashString(family), hashString(arch), 'c')
	at := 0
	if token := call.params.get("NextToken"); token != "" {
		if at, err = s.tokens.open(token, bound, s.opt.Now()); err != nil {
			return nil, err
		}
	}
	b := append(append([]byte(`{"RequestId":"`), requestID...), `","InstanceTypes":{"InstanceType":[`...)
	n, types := 0, s.fleet.data.types
	for ; at < len(types) && n < limit; at++ {
		instanceType := types[at]
		if (len(want) > 0 && !slices.Contains(want, instanceType.id)) || (family != "" && family != instanceType.family) || (arch != "" && arch != instanceType.arch) {
			continue
		}
		b = appendComma(b, n)
		b = appendType(b, instanceType)
		n++
	}
	next := ""
	if at < len(types) {
		next = s.tokens.seal(bound, at, 0, s.opt.Now())
	}
	return append(append(append(b, `]},"NextToken":"`...), next...), `"}`...), nil
}

func appendType(b []byte, instanceType *instanceType) []byte {
	b = append(b, `{"InstanceTypeId":`...)
	b = appendJSON(b, instanceType.id)
	b = append(b, `,"InstanceTypeFamily":`...)
	b = appendJSON(b, instanceType.family)
	b = append(b, `,"InstanceFamilyLevel":"EnterpriseLevel","InstanceCategory":"General-purpose","CpuArchitecture":`...)
	b = appendJSON(b, instanceType.arch)
	b = append(b, `,"CpuCoreCount":`...)
	b = appendInt(b, instanceType.vcpu)
	b = append(b, `,"MemorySize":`...)
	b = strconv.AppendFloat(b, instanceType.memoryGiB, 'f', 1, 64)
	b = append(b, `,"NvmeSupport":`...)
	b = appendJSON(b, instanceType.nvme)
	b = append(b, `,"SupportedBootModes":{"SupportedBootMode":[`...)
	for i, m := range instanceType.bootModes {
		b = appendComma(b, i)
		b = appendJSON(b, m)
	}
	return append(b, `]},"PhysicalProcessorModel":"Intel Xeon Platinum","CpuSpeedFrequency":2.7,"CpuTurboFrequency":3.5,"LocalStorageCategory":"","GPUAmount":0,"GPUSpec":"","GPUMemorySize":0.0,`+
		`"DiskQuantity":17,"EniQuantity":3,"EniTotalQuantity":3,"EniPrivateIpAddressQuantity":6,"EniIpv6AddressQuantity":6,"EniTrunkSupported":false,"PrimaryEniQueueNumber":2,"SecondaryEniQueueNumber":2,`+
		`"MaximumQueueNumberPerEni":2,"TotalEniQueueQuantity":6,"InstanceBandwidthRx":1024000,"InstanceBandwidthTx":1024000,"InstancePpsRx":300000,"InstancePpsTx":300000,"NetworkCardQuantity":1,`+
		`"NetworkCards":{"NetworkCardInfo":[{"NetworkCardIndex":0}]},"CpuOptions":{"Core":1,"CoreFactor":1,"HyperThreadingAdjustable":true,"ThreadsPerCore":2,"SupportedTopologyTypes":{"SupportedTopologyType":[]}}}`...)
}

// describeAvailableResource says which types the zones of a region sell.
func (s *Simulator) describeAvailableResource(call *call, sc *scope, requestID string) ([]byte, *apiError) {
	charge, want, zone := call.params.get("InstanceChargeType"), call.params.get("InstanceType"), call.params.get("ZoneId")
	switch {
	case call.params.get("DestinationResource") == "":
		return nil, errMissing("DestinationResource")
	case call.params.get("DestinationResource") != "InstanceType": // no other is needed
		return nil, errInvalid("DestinationResource")
	case call.params.get("ResourceType") != "" && call.params.get("ResourceType") != "instance":
		return nil, errInvalid("ResourceType")
	case call.params.get("IoOptimized") != "" && call.params.get("IoOptimized") != "optimized": // no other is sold
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
		for _, instanceType := range s.fleet.data.types {
			stock := s.stock(z, instanceType, charge)
			if stock == "" || want != "" && want != instanceType.id {
				continue
			}
			status := "Available"
			if stock == "WithoutStock" {
				status = "SoldOut"
			}
			b = appendComma(b, n)
			b = append(b, `{"Value":`...)
			b = appendJSON(b, instanceType.id)
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
func (s *Simulator) stock(zone string, instanceType *instanceType, charge string) string {
	if instanceType.pool == "xen" || instanceType.pool == "byio" {
		return ""
	}
	place, family := hashString(zone), hashString(instanceType.family)
	at := strings.IndexAny(instanceType.family, "123456789")
	old := at < 0 || instanceType.family[at] <= '5' // the digit of the generation, near enough
	switch there := share(hash(s.fleet.seed, 'z', place, family)); {
	case there < 0.08 || old && there < 0.25:
		return ""
	case there < 0.18 || old && there < 0.45:
		return "WithoutStock"
	}
	if charge == "" {
		charge = "PostPaid"
	}
	switch left := share(hash(s.fleet.seed, 'l', place, hashString(instanceType.id), hashString(charge))); {
	case left < 0.04:
		return "WithoutStock"
	case left < 0.10:
		return "ClosedWithStock"
	}
	return "WithStock"
}
