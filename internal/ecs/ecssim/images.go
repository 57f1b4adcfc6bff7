package ecssim

import (
	"slices"
	"strconv"
	"strings"
)

// describeImages answers DescribeImages: pages by number, Status Available
// unless asked otherwise, deleted images absent.
func (s *Simulator) describeImages(call *call, sc *scope, out []byte, answer *answer) ([]byte, *apiError) {
	params, requestID := call.params, answer.requestID
	s.stats.images(call.caller.account.ID, sc.region.id, params.get("ImageId"))
	page, err := params.int("PageNumber", 1)
	if err != nil || page < 1 {
		return nil, errInvalid("PageNumber")
	}
	size, err := params.int("PageSize", 10)
	if err != nil || size < 1 || size > 100 {
		return nil, errInvalid("PageSize")
	}
	filter := imageFilter{status: []string{"Available"}, owner: params.get("ImageOwnerAlias"), public: params.get("IsPublic"), byAlias: s.against(ImagesByAlias), arch: params.get("Architecture"), osType: params.get("OSType"), expired: params.bool("ShowExpired")}
	if v := params.get("Status"); v != "" {
		filter.status = strings.Split(v, ",")
	}
	switch filter.owner {
	case "", "system", "self", "others", "marketplace":
	default:
		return nil, &apiError{400, "InvalidImageOwnerAlias.ValueNotSupported", "The specified parameter ImageOwnerAlias is not valid."}
	}
	if s.against(ImagesErrorAs200) {
		return errorBody(out, requestID, noImages), nil
	}
	found := sc.findImages(s.imageIDs(params.get("ImageId")), filter)
	if s.against(ImagesEmpty) {
		found = nil
	}
	out = append(append(append(out, `{"RequestId":"`...), requestID...), `","RegionId":`...)
	out = appendJSON(out, sc.region.id)
	out = append(out, `,"TotalCount":`...)
	out = appendInt(out, len(found))
	out = append(out, `,"PageNumber":`...)
	out = appendInt(out, page)
	out = append(out, `,"PageSize":`...)
	out = appendInt(out, size)
	out = append(out, `,"Images":{"Image":[`...)
	from := min((page-1)*size, len(found))
	for n, img := range found[from:min(from+size, len(found))] {
		out = appendComma(out, n)
		out = appendImage(out, img)
		if s.against(ImagesTwice) {
			other := *sc.fleet.data.onSale()
			other.imageID = img.imageID
			out = appendImage(appendComma(out, 1), &other)
		}
	}
	return append(out, "]}}"...), nil
}

type imageFilter struct {
	status              []string
	owner, arch, osType string
	public              string // IsPublic as it was asked: "", "true" or "false"
	byAlias, expired    bool
}

// match reports whether DescribeImages lists an image with the parameters.
func (f imageFilter) match(slot *slot) bool {
	return slot.present && slices.Contains(f.status, slot.status) &&
		(f.owner == "" || f.owner == slot.owner) &&
		(f.public == "" || strings.EqualFold(f.public, strconv.FormatBool(slot.shown()))) &&
		(!f.byAlias || f.owned(slot)) &&
		(f.arch == "" || f.arch == slot.kind.arch) &&
		(f.osType == "" || f.osType == slot.kind.osType())
}

// owned says whether an image is returned where the owner must be asked for:
// images of the marketplace, the community and of others are not without.
func (f imageFilter) owned(slot *slot) bool {
	switch {
	case slot.owner == "marketplace":
		return f.owner == "marketplace"
	case slot.owner != "others":
		return true
	case slot.community():
		return f.owner == "others" && strings.EqualFold(f.public, "true")
	}
	return f.owner == "others"
}

// findImages lists the images of the scope: those of the comma-joined ids, or
// all, in order of id.
func (sc *scope) findImages(ids string, imageFilter imageFilter) []*slot {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	var out []*slot
	unused := sc.fleet.data.onSale()
	if ids != "" {
		seen := map[string]bool{}
		for id := range strings.SplitSeq(ids, ",") {
			place := sc.images[id]
			if place == nil && unused != nil && id == unused.imageID {
				place = unused
			}
			if place != nil && !seen[id] && imageFilter.match(place) {
				seen[id] = true
				out = append(out, place)
			}
		}
		return out
	}
	for _, s := range sc.images {
		if imageFilter.match(s) {
			out = append(out, s)
		}
	}
	if imageFilter.owner == "system" { // every region sells all public images
		for _, s := range sc.fleet.data.public() {
			if sc.images[s.imageID] == nil && imageFilter.match(s) {
				out = append(out, s)
			}
		}
	} else if unused != nil && sc.images[unused.imageID] == nil && imageFilter.match(unused) {
		out = append(out, unused)
	}
	slices.SortFunc(out, func(a, b *slot) int { return strings.Compare(a.imageID, b.imageID) })
	return out
}

// public are the public images.
func (d *data) public() []*slot {
	var out []*slot
	for _, kind := range d.kinds {
		for _, id := range kind.imageIDs {
			out = append(out, newPublicSlot(kind, id))
		}
	}
	return out
}

// onSale is a public image of every region, which nothing may run of: no region
// is without any.
func (d *data) onSale() *slot {
	for _, kind := range d.kinds {
		for _, id := range kind.imageIDs {
			if s := newPublicSlot(kind, id); s.present && s.status == "Available" {
				return s
			}
		}
	}
	return nil // the data know no such image
}

// appendImage appends one element of Images.Image. What old public images do
// not say (BootMode, DetectionOptions) is absent, not empty.
func appendImage(out []byte, slot *slot) []byte {
	str := func(key, v string) {
		out = appendJSON(append(append(append(out, '"'), key...), `":`...), v)
		out = append(out, ',')
	}
	flag := func(key string, v bool) {
		out = append(appendBool(append(append(append(out, '"'), key...), `":`...), v), ',')
	}
	out = append(out, '{')
	str("ImageId", slot.imageID)
	str("ImageName", slot.name)
	str("Description", "")
	str("ImageOwnerAlias", slot.owner)
	if !slot.public {
		out = append(append(append(out, `"ImageOwnerId":`...), slot.ownerID...), ',')
	}
	str("ImageVersion", "")
	str("ImageFamily", "")
	str("OSName", slot.kind.osName)
	str("OSNameEn", slot.kind.osNameEn)
	str("OSType", slot.kind.osType())
	str("Platform", slot.kind.platform)
	str("Architecture", slot.kind.arch)
	if slot.boot != "" {
		str("BootMode", slot.boot)
	}
	str("Status", slot.status)
	str("Progress", "100%")
	out = append(out, `"Size":40,"Usage":"instance",`...)
	flag("IsSupportIoOptimized", !slot.noIO)
	flag("IsSupportCloudinit", slot.boot != "")
	flag("IsCopied", false)
	flag("IsPublic", slot.shown())
	if slot.public {
		str("IsSelfShared", "")
	} else {
		str("IsSelfShared", "False")
	}
	flag("IsSubscribed", slot.owner == "marketplace")
	str("ProductCode", "")
	str("ResourceGroupId", "")
	str("SupplierName", "")
	str("CreationTime", slot.created)
	flag("LoginAsNonRootSupported", false)
	out = append(out, `"Features":{"NvmeSupport":"`...)
	if !slot.nvme {
		out = append(out, "un"...)
	}
	out = append(out, `supported"},`...)
	return append(appendImageChecks(out, slot), '}')
}

// appendImageChecks appends the image check, disks and tags. A checked image
// carries what the check found; the others carry an empty object or nothing.
func appendImageChecks(out []byte, slot *slot) []byte {
	if slot.virtio {
		out = append(out, `"DetectionOptions":{"Status":"Finished","Items":{"Item":[{"Name":"Virtio","Value":"Supported","RiskCode":"","RiskLevel":""},`...)
		out = append(out, `{"Name":"Fstab","Value":"Supported","RiskCode":"","RiskLevel":""},{"Name":"GRUB","Value":"Supported","RiskCode":"","RiskLevel":""}]}},`...)
	} else if !slot.public {
		out = append(out, `"DetectionOptions":{},`...)
	}
	if slot.public {
		return append(out, `"DiskDeviceMappings":{"DiskDeviceMapping":[]},"Tags":{"Tag":[]}`...)
	}
	out = append(out, `"DiskDeviceMappings":{"DiskDeviceMapping":[{"Device":"/dev/xvda","Type":"system","Size":"40","Format":"","SnapshotId":"s-`...)
	out = append(out, slot.imageID[2:]...)
	out = append(out, `","Progress":"","ImportOSSBucket":"","ImportOSSObject":""}]},"Tags":{"Tag":[`...)
	if slot.kind.tagOS != "" {
		out = append(out, `{"TagKey":"acs:ecs:image:osVersion","TagValue":`...)
		out = appendJSON(out, slot.kind.tagOS)
		out = append(out, `},{"TagKey":"acs:ecs:image:kernelVersion","TagValue":`...)
		out = appendJSON(out, slot.kind.tagKernel)
		out = append(out, '}')
	}
	return append(out, `]}`...)
}
