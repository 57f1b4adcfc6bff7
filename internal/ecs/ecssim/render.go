package ecssim

import "strconv"

// The rendering of DescribeInstances: no reflection, no map, one append after
// the other into one buffer. Field names and nesting are those of
// InstancesInstance in the SDK v4.26.10 and of the recorded answers; a test
// reads every field back through the SDK's own types.

// scopeFragments are the parts of an instance that are the same in a scope.
type scopeFragments struct {
	network []string // by zone: VpcId, VSwitchId and security group of the VPC form
	zone    []string // by zone
	group   string   // resource group
	tail    string
}

const (
	fixedHead = `,"Description":"","ClusterId":"","VlanId":"","ISP":"","HpcClusterId":"","AutoReleaseTime":"","CreditSpecification":"","DeploymentSetId":"","GPUAmount":0,"GPUSpec":"",` +
		`"LocalStorageAmount":0,"LocalStorageCapacity":0,"DeviceAvailable":true,"Recyclable":false,"SpotStrategy":"NoSpot","SpotPriceLimit":0.0,"SpotDuration":1,"SpotInterruptionBehavior":"Terminate",` +
		`"InternetMaxBandwidthIn":-1,"InternetChargeType":"PayByTraffic","RdmaIpAddress":{"IpAddress":[]},"OperationLocks":{"LockReason":[]},` +
		`"EipAddress":{"AllocationId":"","IpAddress":"","InternetChargeType":""},"HibernationOptions":{"Configured":false},"MetadataOptions":{"HttpTokens":"","HttpEndpoint":""},` +
		`"DedicatedHostAttribute":{"DedicatedHostId":"","DedicatedHostName":"","DedicatedHostClusterId":""},"DedicatedInstanceAttribute":{"Tenancy":"","Affinity":""},` +
		`"EcsCapacityReservationAttr":{"CapacityReservationPreference":"","CapacityReservationId":""},"AdditionalInfo":{"EnableHighDensityMode":false},` +
		`"PrivateDnsNameOptions":{"EnableInstanceIdDnsARecord":false,"EnableInstanceIdDnsAAAARecord":false,"EnableIpDnsARecord":false,"EnableIpDnsPtrRecord":false,"HostnameType":"Custom"},`
	noTags = `"Tags":{"Tag":[]}`
)

// buildFragments precomputes what all instances of the scope share.
func (sc *scope) buildFragments() {
	p, seed := sc.region.prefix, hash(sc.fleet.seed, 'f', uint64(sc.index))
	id := func(kind string, n uint64) string {
		return kind + "-" + p + string(appendBase36(nil, hash(seed, n, hashString(kind)), 13)) + string(appendBase36(nil, hash(seed, n), 4))
	}
	fragments := scopeFragments{group: `"ResourceGroupId":"` + id("rg-acfm", 0) + `",`}
	for i, z := range sc.zones {
		n := uint64(i)
		fragments.zone = append(fragments.zone, `"RegionId":"`+sc.region.id+`","ZoneId":"`+z+`"`)
		fragments.network = append(fragments.network, `,"InstanceNetworkType":"vpc","SecurityGroupIds":{"SecurityGroupId":["`+id("sg", n)+`"]},"VpcAttributes":{"VpcId":"`+
			id("vpc", 0)+`","VSwitchId":"`+id("vsw", n)+`","NatIpAddress":"","PrivateIpAddress":{"IpAddress":["`)
	}
	fragments.tail = id("sg", 99)
	sc.frag = fragments
}

// instanceOptions are the AdditionalAttributes asked for.
type instanceOptions struct{ nvme bool }

// appendInstance appends one element of Instances.Instance.
func (sc *scope) appendInstance(out []byte, in *instance, opt instanceOptions) []byte {
	h := in.h
	zone := in.zone(sc)
	out = append(out, `{"InstanceId":"`...)
	at := len(out)
	out = sc.appendID(out, in.i)
	id := out[at+2:]
	out = append(out, `","InstanceName":"`...)
	out = appendName(out, h)
	out = append(out, `","HostName":"iZ`...)
	out = append(append(out, id...), `Z",`...)
	out = append(out, in.slot.frag...)
	out = append(append(out, sc.frag.group...), sc.frag.zone[zone]...)
	out = append(append(out, `,"InstanceType":"`...), in.typ.id...)
	out = append(append(out, `","InstanceTypeFamily":"`...), in.typ.family...)
	out = append(append(out, `","Status":"`...), in.status.String()...)
	out = append(out, `","StoppedMode":"`...)
	if in.status == statusStopped {
		out = append(out, `KeepCharging","Cpu":`...)
	} else {
		out = append(out, `Not-applicable","Cpu":`...)
	}
	out = appendInt(out, in.typ.vcpu)
	out = append(out, `,"Memory":`...)
	out = appendInt(out, int(in.typ.memoryGiB*1024))
	out = append(out, `,"CpuOptions":{"CoreCount":`...)
	out = appendInt(out, max(1, in.typ.vcpu/2))
	out = append(out, `,"ThreadsPerCore":2,"Numa":"ON"},"IoOptimized":`...)
	out = strconv.AppendBool(out, in.ioOptimized)
	out = append(out, `,"SerialNumber":"`...)
	out = appendUUID(out, h, mix(h^'u'))
	out = append(out, `","DeletionProtection":`...)
	out = strconv.AppendBool(out, h>>20&15 == 0)
	out = append(out, `,"InternetMaxBandwidthOut":`...)
	out = appendInt(out, int(h>>24&7))
	out = appendTimes(out, in)
	out = append(out, fixedHead...)
	out = sc.appendNetwork(out, in, zone)
	out = appendImageOptions(out, in, opt)
	out = appendTags(out, in)
	return append(out, '}')
}

// appendName makes an instance name such as "payments-api-07f3".
func appendName(b []byte, sum uint64) []byte {
	b = append(b, [...]string{"payments", "orders", "search", "订单", "crm", "ledger", "gateway", "media"}[sum>>32&7]...)
	b = append(b, '-')
	b = append(b, [...]string{"api", "web", "worker", "db", "cache", "batch", "job", "proxy"}[sum>>35&7]...)
	b = append(b, '-')
	return appendHex(b, sum>>40, 5)
}

func appendUUID(b []byte, hi, lo uint64) []byte {
	b = append(appendHex(b, hi>>32, 8), '-')
	b = append(appendHex(b, hi>>16, 4), '-')
	b = append(appendHex(b, hi, 4), '-')
	b = append(appendHex(b, lo>>48, 4), '-')
	return appendHex(b, lo, 12)
}

// started is the minute of the last start.
func (in *instance) started() int64 { return in.minute + 1 + int64(in.h>>28&63) }

// appendTimes appends creation, start and expiry, and how the machine is paid.
func appendTimes(out []byte, in *instance) []byte {
	out = append(out, `,"CreationTime":"`...)
	out = appendMinute(out, in.minute)
	out = append(out, `","StartTime":"`...)
	out = appendMinute(out, in.started())
	if in.h>>50&1 == 0 {
		out = append(out, `","InstanceChargeType":"PostPaid","SaleCycle":"","ExpiredTime":"2099-12-31T15:59Z"`...)
		return out
	}
	return append(out, `","InstanceChargeType":"PrePaid","SaleCycle":"month","ExpiredTime":"2027-06-21T16:00Z"`...)
}

// appendNetwork appends the VPC or, for the oldest Xen machines, the classic
// network.
func (sc *scope) appendNetwork(out []byte, in *instance, zone int) []byte {
	sum := mix(in.h ^ 'n')
	if in.typ.pool == "xen" && sum&1 == 0 {
		out = append(out, `"InstanceNetworkType":"classic","SecurityGroupIds":{"SecurityGroupId":["`...)
		out = append(append(out, sc.frag.tail...), `"]},"VpcAttributes":{"VpcId":"","VSwitchId":"","NatIpAddress":"","PrivateIpAddress":{"IpAddress":[]}},`...)
		out = append(out, `"NetworkInterfaces":{"NetworkInterface":[]},"InnerIpAddress":{"IpAddress":["10.170.`...)
		out = appendInt(out, int(sum>>16&255))
		out = append(out, '.')
		out = appendInt(out, int(sum>>24&255))
		out = append(out, `"]},"PublicIpAddress":{"IpAddress":["203.0.113.`...)
		out = appendInt(out, int(sum>>8&255))
		return append(out, `"]}`...)
	}
	out = append(out, sc.frag.network[zone][1:]...)
	out = appendIP(out, sum)
	out = append(out, `"]}},"NetworkInterfaces":{"NetworkInterface":[{"Type":"Primary","NetworkInterfaceId":"eni-`...)
	out = append(out, sc.region.prefix...)
	out = appendBase36(out, sum, 12)
	out = appendBase36(out, sum>>7, 5)
	out = append(out, `","MacAddress":"00:16:3e:`...)
	out = append(appendHex(out, sum>>40, 2), ':')
	out = append(appendHex(out, sum>>48, 2), ':')
	out = appendHex(out, sum>>56, 2)
	out = append(out, `","PrimaryIpAddress":"`...)
	out = appendIP(out, sum)
	out = append(out, `","PrivateIpSets":{"PrivateIpSet":[{"Primary":true,"PrivateIpAddress":"`...)
	out = appendIP(out, sum)
	out = append(out, `","PrivateDnsName":""}]},"Ipv6Sets":{"Ipv6Set":[]},"Ipv4PrefixSets":{"Ipv4PrefixSet":[]},"Ipv6PrefixSets":{"Ipv6PrefixSet":[]}}]},"InnerIpAddress":{"IpAddress":[]},"PublicIpAddress":{"IpAddress":[`...)
	if sum>>16&3 == 0 {
		out = append(out, `"203.0.113.`...)
		out = appendInt(out, int(sum>>8&255))
		out = append(out, '"')
	}
	return append(out, `]}`...)
}

func appendImageOptions(out []byte, in *instance, opt instanceOptions) []byte {
	if !opt.nvme {
		return append(out, `,"ImageOptions":{},`...)
	}
	out = append(out, `,"ImageOptions":{"LoginAsNonRoot":false,"CurrentOSNVMeSupported":`...)
	out = strconv.AppendBool(out, in.slot.nvme)
	return append(out, `},`...)
}

// appendTags appends none to eight tags. What a group started carries those that
// the cloud gives it, whatever its owner forgot.
func appendTags(out []byte, in *instance) []byte {
	sum := in.h
	if sum>>44&7 == 0 && in.group == 0 {
		return append(out, noTags...)
	}
	out = append(out, `"Tags":{"Tag":[{"TagKey":"team","TagValue":"`...)
	out = append(out, [...]string{"payments", "search", "数据平台", "core"}[sum>>47&3]...)
	out = append(out, `"},{"TagKey":"env","TagValue":"`...)
	out = append(out, [...]string{"prod", "staging", "dev", "test"}[sum>>49&3]...)
	out = append(out, `"},{"TagKey":"cost-center","TagValue":"cc-`...)
	out = appendInt(out, int(1000+sum>>51&1023))
	out = append(out, `"},{"TagKey":"deployment","TagValue":"dep-`...)
	out = appendBase36(out, sum, 12)
	out = append(out, `"},{"TagKey":"acs:rm:rgId","TagValue":"rg-acfm`...)
	out = appendBase36(out, sum>>3, 10)
	if in.group != 0 {
		if in.group&1 == 1 { // a node pool, which has a scaling group beneath it
			out = append(out, `"},{"TagKey":"ack.aliyun.com","TagValue":"c`...)
			out = appendHex(out, hash(in.group>>8), 16)
			out = append(out, `"},{"TagKey":"ack.alibabacloud.com/nodepool-id","TagValue":"np`...)
			out = appendHex(out, in.group, 16)
		}
		out = append(out, `"},{"TagKey":"acs:autoscaling:scalingGroupId","TagValue":"asg-`...)
		out = appendBase36(out, hash(in.group), 12)
	}
	return append(out, `"},{"TagKey":"managed-by","TagValue":"terraform"}]}`...)
}
