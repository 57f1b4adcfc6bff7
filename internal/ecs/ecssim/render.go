package ecssim

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
func (sc *scope) appendInstance(b []byte, in *instance, opt instanceOptions) []byte {
	h := in.h
	zone := in.zone(sc)
	b = append(b, `{"InstanceId":"`...)
	at := len(b)
	b = sc.appendID(b, in.i)
	id := b[at+2:]
	b = append(b, `","InstanceName":"`...)
	b = appendName(b, h)
	b = append(b, `","HostName":"iZ`...)
	b = append(append(b, id...), `Z",`...)
	b = append(b, in.slot.frag...)
	b = append(append(b, sc.frag.group...), sc.frag.zone[zone]...)
	b = append(append(b, `,"InstanceType":"`...), in.typ.id...)
	b = append(append(b, `","InstanceTypeFamily":"`...), in.typ.family...)
	b = append(append(b, `","Status":"`...), in.status.String()...)
	b = append(b, `","StoppedMode":"`...)
	if in.status == statusStopped {
		b = append(b, `KeepCharging","Cpu":`...)
	} else {
		b = append(b, `Not-applicable","Cpu":`...)
	}
	b = appendInt(b, in.typ.vcpu)
	b = append(b, `,"Memory":`...)
	b = appendInt(b, int(in.typ.memoryGiB*1024))
	b = append(b, `,"CpuOptions":{"CoreCount":`...)
	b = appendInt(b, max(1, in.typ.vcpu/2))
	b = append(b, `,"ThreadsPerCore":2,"Numa":"ON"},"IoOptimized":`...)
	b = appendBool(b, in.ioOptimized)
	b = append(b, `,"SerialNumber":"`...)
	b = appendUUID(b, h, mix(h^'u'))
	b = append(b, `","DeletionProtection":`...)
	b = appendBool(b, h>>20&15 == 0)
	b = append(b, `,"InternetMaxBandwidthOut":`...)
	b = appendInt(b, int(h>>24&7))
	b = appendTimes(b, in)
	b = append(b, fixedHead...)
	b = sc.appendNetwork(b, in, zone)
	b = appendImageOptions(b, in, opt)
	b = appendTags(b, in)
	return append(b, '}')
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
func appendTimes(b []byte, in *instance) []byte {
	b = append(b, `,"CreationTime":"`...)
	b = appendMinute(b, in.minute)
	b = append(b, `","StartTime":"`...)
	b = appendMinute(b, in.started())
	if in.h>>50&1 == 0 {
		b = append(b, `","InstanceChargeType":"PostPaid","SaleCycle":"","ExpiredTime":"2099-12-31T15:59Z"`...)
		return b
	}
	return append(b, `","InstanceChargeType":"PrePaid","SaleCycle":"month","ExpiredTime":"2027-06-21T16:00Z"`...)
}

// appendNetwork appends the VPC or, for the oldest Xen machines, the classic
// network.
func (sc *scope) appendNetwork(b []byte, in *instance, zone int) []byte {
	sum := mix(in.h ^ 'n')
	if in.typ.pool == "xen" && sum&1 == 0 {
		b = append(b, `"InstanceNetworkType":"classic","SecurityGroupIds":{"SecurityGroupId":["`...)
		b = append(append(b, sc.frag.tail...), `"]},"VpcAttributes":{"VpcId":"","VSwitchId":"","NatIpAddress":"","PrivateIpAddress":{"IpAddress":[]}},`...)
		b = append(b, `"NetworkInterfaces":{"NetworkInterface":[]},"InnerIpAddress":{"IpAddress":["10.170.`...)
		b = appendInt(b, int(sum>>16&255))
		b = append(b, '.')
		b = appendInt(b, int(sum>>24&255))
		b = append(b, `"]},"PublicIpAddress":{"IpAddress":["203.0.113.`...)
		b = appendInt(b, int(sum>>8&255))
		return append(b, `"]}`...)
	}
	b = append(b, sc.frag.network[zone][1:]...)
	b = appendIP(b, sum)
	b = append(b, `"]}},"NetworkInterfaces":{"NetworkInterface":[{"Type":"Primary","NetworkInterfaceId":"eni-`...)
	b = append(b, sc.region.prefix...)
	b = appendBase36(b, sum, 12)
	b = appendBase36(b, sum>>7, 5)
	b = append(b, `","MacAddress":"00:16:3e:`...)
	b = append(appendHex(b, sum>>40, 2), ':')
	b = append(appendHex(b, sum>>48, 2), ':')
	b = appendHex(b, sum>>56, 2)
	b = append(b, `","PrimaryIpAddress":"`...)
	b = appendIP(b, sum)
	b = append(b, `","PrivateIpSets":{"PrivateIpSet":[{"Primary":true,"PrivateIpAddress":"`...)
	b = appendIP(b, sum)
	b = append(b, `","PrivateDnsName":""}]},"Ipv6Sets":{"Ipv6Set":[]},"Ipv4PrefixSets":{"Ipv4PrefixSet":[]},"Ipv6PrefixSets":{"Ipv6PrefixSet":[]}}]},"InnerIpAddress":{"IpAddress":[]},"PublicIpAddress":{"IpAddress":[`...)
	if sum>>16&3 == 0 {
		b = append(b, `"203.0.113.`...)
		b = appendInt(b, int(sum>>8&255))
		b = append(b, '"')
	}
	return append(b, `]}`...)
}

func appendImageOptions(b []byte, in *instance, opt instanceOptions) []byte {
	if !opt.nvme {
		return append(b, `,"ImageOptions":{},`...)
	}
	b = append(b, `,"ImageOptions":{"LoginAsNonRoot":false,"CurrentOSNVMeSupported":`...)
	b = appendBool(b, in.slot.nvme)
	return append(b, `},`...)
}

// appendTags appends none to eight tags. What a group started carries those that
// the cloud gives it, whatever its owner forgot.
func appendTags(b []byte, in *instance) []byte {
	sum := in.h
	if sum>>44&7 == 0 && in.group == 0 {
		return append(b, noTags...)
	}
	b = append(b, `"Tags":{"Tag":[{"TagKey":"team","TagValue":"`...)
	b = append(b, [...]string{"payments", "search", "数据平台", "core"}[sum>>47&3]...)
	b = append(b, `"},{"TagKey":"env","TagValue":"`...)
	b = append(b, [...]string{"prod", "staging", "dev", "test"}[sum>>49&3]...)
	b = append(b, `"},{"TagKey":"cost-center","TagValue":"cc-`...)
	b = appendInt(b, int(1000+sum>>51&1023))
	b = append(b, `"},{"TagKey":"deployment","TagValue":"dep-`...)
	b = appendBase36(b, sum, 12)
	b = append(b, `"},{"TagKey":"acs:rm:rgId","TagValue":"rg-acfm`...)
	b = appendBase36(b, sum>>3, 10)
	if in.group != 0 {
		if in.group&1 == 1 { // a node pool, which has a scaling group beneath it
			b = append(b, `"},{"TagKey":"ack.aliyun.com","TagValue":"c`...)
			b = appendHex(b, hash(in.group>>8), 16)
			b = append(b, `"},{"TagKey":"ack.alibabacloud.com/nodepool-id","TagValue":"np`...)
			b = appendHex(b, in.group, 16)
		}
		b = append(b, `"},{"TagKey":"acs:autoscaling:scalingGroupId","TagValue":"asg-`...)
		b = appendBase36(b, hash(in.group), 12)
	}
	return append(b, `"},{"TagKey":"managed-by","TagValue":"terraform"}]}`...)
}
