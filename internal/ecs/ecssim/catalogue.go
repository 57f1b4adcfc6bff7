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
	out := append(append([]byte(`{"RequestId":"`), requestID...), `","Regions":{"Region":[`...)
	written := 0
	for index, regionRow := range s.fleet.data.regions[:s.opt.Regions] {
		if s.against(RegionsEmpty) || index == 1 && s.against(RegionVanishes) {
			continue
		}
		out = appendComma(out, written)
		written++
		name := regionRow.localNameEn
		if lang == "" || lang == "zh-CN" {
			name = regionRow.localName
		}
		out = append(out, `{"RegionId":`...)
		out = appendJSON(out, regionRow.id)
		out = append(out, `,"RegionEndpoint":`...)
		out = appendJSON(out, call.req.Host)
		out = append(out, `,"LocalName":`...)
		out = appendJSON(out, name)
		out = append(out, `,"Status":`...)
		out = append(appendJSON(out, s.regionStatus(index)), '}')
	}
	return append(out, "]}}"...), nil
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
	out := append(append([]byte(`{"RequestId":"`), requestID...), `","InstanceTypes":{"InstanceType":[`...)
	written, types := 0, s.fleet.data.types
	for ; at < len(types) && written < limit; at++ {
		instanceType := types[at]
		if (len(want) > 0 && !slices.Contains(want, instanceType.id)) || (family != "" && family != instanceType.family) || (arch != "" && arch != instanceType.arch) {
			continue
		}
		out = appendComma(out, written)
		out = appendType(out, instanceType)
		written++
	}
	next := ""
	if at < len(types) {
		next = s.tokens.seal(bound, at, 0, s.opt.Now())
	}
	return append(append(append(out, `]},"NextToken":"`...), next...), `"}`...), nil
}

func appendType(out []byte, instanceType *instanceType) []byte {
	out = append(out, `{"InstanceTypeId":`...)
	out = appendJSON(out, instanceType.id)
	out = append(out, `,"InstanceTypeFamily":`...)
	out = appendJSON(out, instanceType.family)
	out = append(out, `,"InstanceFamilyLevel":"EnterpriseLevel","InstanceCategory":"General-purpose","CpuArchitecture":`...)
	out = appendJSON(out, instanceType.arch)
	out = append(out, `,"CpuCoreCount":`...)
	out = appendInt(out, instanceType.vcpu)
	out = append(out, `,"MemorySize":`...)
	out = strconv.AppendFloat(out, instanceType.memoryGiB, 'f', 1, 64)
	out = append(out, `,"NvmeSupport":`...)
	out = appendJSON(out, instanceType.nvme)
	out = append(out, `,"SupportedBootModes":{"SupportedBootMode":[`...)
	for i, m := range instanceType.bootModes {
		out = appendComma(out, i)
		out = appendJSON(out, m)
	}
	return append(out, `]},"PhysicalProcessorModel":"Intel Xeon Platinum","CpuSpeedFrequency":2.7,"CpuTurboFrequency":3.5,"LocalStorageCategory":"","GPUAmount":0,"GPUSpec":"","GPUMemorySize":0.0,`+
		`"DiskQuantity":17,"EniQuantity":3,"EniTotalQuantity":3,"EniPrivateIpAddressQuantity":6,"EniIpv6AddressQuantity":6,"EniTrunkSupported":false,"PrimaryEniQueueNumber":2,"SecondaryEniQueueNumber":2,`+
		`"MaximumQueueNumberPerEni":2,"TotalEniQueueQuantity":6,"InstanceBandwidthRx":1024000,"InstanceBandwidthTx":1024000,"InstancePpsRx":300000,"InstancePpsTx":300000,"NetworkCardQuantity":1,`+
		`"NetworkCards":{"NetworkCardInfo":[{"NetworkCardIndex":0}]},"CpuOptions":{"Core":1,"CoreFactor":1,"HyperThreadingAdjustable":true,"ThreadsPerCore":2,"SupportedTopologyTypes":{"SupportedTopologyType":[]}}}`...)
}

// describeAvailableResource says which types the zones of a region sell.
func (s *Simulator) describeAvailableResource(call *call, sc *scope, out []byte, answer *answer) ([]byte, *apiError) {
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
	out = append(append(append(out, `{"RequestId":"`...), answer.requestID...), `","AvailableZones":{"AvailableZone":[`...)
	zones := 0
	for _, z := range sc.zones {
		if zone != "" && zone != z {
			continue
		}
		out = appendComma(out, zones)
		zones++
		out = append(out, `{"RegionId":`...)
		out = appendJSON(out, sc.region.id)
		out = append(out, `,"ZoneId":`...)
		out = appendJSON(out, z)
		out = append(out, `,"Status":"Available","StatusCategory":"WithStock","AvailableResources":{"AvailableResource":[{"Type":"InstanceType","SupportedResources":{"SupportedResource":[`...)
		written := 0
		for _, instanceType := range s.fleet.data.types {
			stock := s.stock(z, instanceType, charge)
			if stock == "" || want != "" && want != instanceType.id {
				continue
			}
			status := "Available"
			if stock == "WithoutStock" {
				status = "SoldOut"
			}
			out = appendComma(out, written)
			out = append(out, `{"Value":`...)
			out = appendJSON(out, instanceType.id)
			out = append(append(append(append(out, `,"Status":"`...), status...), `","StatusCategory":"`...), stock...)
			out = append(out, `"}`...)
			written++
		}
		out = append(out, `]}}]}}`...)
	}
	return append(out, "]}}"...), nil
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
