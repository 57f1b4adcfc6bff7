package ecssim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// describeRegions answers DescribeRegions; every region's endpoint is the
// simulator itself.
func (s *Simulator) describeRegions(call *call, _ *scope) (object, *apiError) {
	lang := call.params.get("AcceptLanguage")
	if !slices.Contains([]string{"", "zh-CN", "en-US", "ja", "de-DE", "fr-FR", "pt-BR"}, lang) {
		return nil, &apiError{404, "InvalidAcceptLanguage.NotFound", "The specified AcceptLanguage is not found."}
	}
	var rows []object
	for index, region := range s.fleet.data.regions[:s.opt.Regions] {
		if s.against(RegionsEmpty) || index == 1 && s.against(RegionVanishes) {
			continue
		}
		name := region.localNameEn
		if lang == "" || lang == "zh-CN" {
			name = region.localName
		}
		rows = append(rows, object{"RegionId": region.id, "RegionEndpoint": call.req.Host, "LocalName": name, "Status": s.regionStatus(index)})
	}
	body := object{"Regions": list("Region", rows)}
	if half := (len(rows) + 1) / 2; s.against(RegionsCut) {
		body["Regions"], body["NextToken"] = list("Region", rows[:half]), "2"
	}
	return body, nil
}

// describeInstanceTypes answers DescribeInstanceTypes: one catalogue for all
// regions, at most 100 types a page.
func (s *Simulator) describeInstanceTypes(call *call, _ *scope) (object, *apiError) {
	limit, err := call.params.int("MaxResults", 100)
	if err != nil || limit < 1 {
		return nil, errInvalid("MaxResults")
	}
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
	var rows []json.RawMessage
	types := s.fleet.data.types
	for ; at < len(types) && len(rows) < min(limit, 100); at++ {
		offered := types[at]
		if (len(want) == 0 || slices.Contains(want, offered.id)) && (family == "" || family == offered.family) && (arch == "" || arch == offered.arch) {
			rows = append(rows, typeRows()[offered.id])
		}
	}
	next := ""
	if at < len(types) {
		next = s.tokens.seal(bound, at, 0, s.opt.Now())
	}
	return object{"InstanceTypes": list("InstanceType", rows), "NextToken": next}, nil
}

// typeRows are the types of types.tsv as DescribeInstanceTypes shows them, by id.
// Every scan asks for all of them: encoded anew for each scan, they took half of a
// simulator's time where fleets are small.
var typeRows = sync.OnceValue(func() map[string]json.RawMessage {
	loaded, err := loadData()
	if err != nil { // no simulator was made of it
		panic(fmt.Sprintf("ecssim: the catalogue of types: %v", err))
	}
	rows := make(map[string]json.RawMessage, len(loaded.types))
	for _, t := range loaded.types {
		rows[t.id] = appendMarshalled(nil, t.body())
	}
	return rows
})

// body is the type as DescribeInstanceTypes shows it: what nobody asks
// for is the same for every type.
func (t *instanceType) body() object {
	return object{
		"InstanceTypeId": t.id, "InstanceTypeFamily": t.family, "CpuArchitecture": t.arch, "CpuCoreCount": t.vcpu, "MemorySize": t.memoryGiB, "NvmeSupport": t.nvme,
		"SupportedBootModes": list("SupportedBootMode", t.bootModes), "InstanceFamilyLevel": "EnterpriseLevel", "InstanceCategory": "General-purpose",
		"PhysicalProcessorModel": "Intel Xeon Platinum", "CpuSpeedFrequency": 2.7, "CpuTurboFrequency": 3.5, "LocalStorageCategory": "", "GPUAmount": 0, "GPUSpec": "", "GPUMemorySize": 0.0,
		"DiskQuantity": 17, "EniQuantity": 3, "EniTotalQuantity": 3, "EniPrivateIpAddressQuantity": 6, "EniIpv6AddressQuantity": 6, "EniTrunkSupported": false,
		"PrimaryEniQueueNumber": 2, "SecondaryEniQueueNumber": 2, "MaximumQueueNumberPerEni": 2, "TotalEniQueueQuantity": 6,
		"InstanceBandwidthRx": 1024000, "InstanceBandwidthTx": 1024000, "InstancePpsRx": 300000, "InstancePpsTx": 300000,
		"NetworkCardQuantity": 1, "NetworkCards": list("NetworkCardInfo", []object{{"NetworkCardIndex": 0}}),
		"CpuOptions": object{"Core": 1, "CoreFactor": 1, "HyperThreadingAdjustable": true, "ThreadsPerCore": 2, "SupportedTopologyTypes": list("SupportedTopologyType", []string{})},
	}
}

// describeAvailableResource says which types the zones of a region sell.
func (s *Simulator) describeAvailableResource(call *call, sc *scope) (object, *apiError) {
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
	var zones []object
	for _, z := range sc.zones {
		if zone != "" && zone != z {
			continue
		}
		var rows []object
		for _, offered := range s.fleet.data.types {
			if stock := s.stock(z, offered, charge); stock != "" && (want == "" || want == offered.id) {
				rows = append(rows, soldAs(offered, stock))
			}
		}
		zones = append(zones, zoneOf(sc, z, object{"Type": "InstanceType", "SupportedResources": list("SupportedResource", rows)}))
	}
	return object{"AvailableZones": list("AvailableZone", zones)}, nil
}

// zoneOf is a zone with what is to be had there.
func zoneOf(sc *scope, zone string, resource object) object {
	return object{"RegionId": sc.region.id, "ZoneId": zone, "Status": "Available", "StatusCategory": "WithStock", "AvailableResources": list("AvailableResource", []object{resource})}
}

// soldAs is a type with its stock.
func soldAs(offered *instanceType, stock string) object {
	status := "Available"
	if stock == "WithoutStock" {
		status = "SoldOut"
	}
	return object{"Value": offered.id, "Status": status, "StatusCategory": stock}
}

// stock is the StatusCategory of a type in a zone, the same for the same seed;
// "" for what the zone does not sell at all: retired types, and families that
// never came there.
func (s *Simulator) stock(zone string, instanceType *instanceType, charge string) string {
	if instanceType.pool == "xen" || instanceType.pool == "byio" {
		return ""
	}
	place, family := hashString(zone), hashString(instanceType.family)
	old := instanceType.generation() <= '5'
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
