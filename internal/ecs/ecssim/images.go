package ecssim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// describeImages answers DescribeImages: pages by number, Status Available
// unless asked otherwise, deleted images absent.
func (s *Simulator) describeImages(call *call, sc *scope) (object, *apiError) {
	params := call.params
	s.stats.ask(&s.stats.images, call.caller.account.ID, sc.region.id, params.get("ImageId"))
	at, err := params.page(100)
	if err != nil {
		return nil, err
	}
	filter := imageFilter{status: []string{"Available"}, owner: params.get("ImageOwnerAlias"), public: params.get("IsPublic"), byAlias: s.against(ImagesByAlias), arch: params.get("Architecture"), osType: params.get("OSType")}
	if v := params.get("Status"); v != "" {
		filter.status = strings.Split(v, ",")
	}
	if !slices.Contains([]string{"", "system", "self", "others", "marketplace"}, filter.owner) {
		return nil, &apiError{400, "InvalidImageOwnerAlias.ValueNotSupported", "The specified parameter ImageOwnerAlias is not valid."}
	}
	found := sc.findImages(s.imageIDs(params.get("ImageId")), filter)
	if s.against(ImagesEmpty) || s.against(ImageIDsEmpty) && params.get("ImageId") != "" {
		found = nil
	}
	var rows []object
	for _, img := range cut(at, found) {
		rows = append(rows, img.body())
		if s.against(ImagesTwice) {
			other := *sc.fleet.data.onSale
			other.imageID = img.imageID
			rows = append(rows, other.body())
		}
	}
	return object{"RegionId": sc.region.id, "TotalCount": len(found), "PageNumber": at.number(), "PageSize": at.size, "Images": list("Image", rows)}, nil
}

type imageFilter struct {
	status              []string
	owner, arch, osType string
	public              string // IsPublic as it was asked: "", "true" or "false"
	byAlias             bool
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
	unused := sc.fleet.data.onSale
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
		for _, s := range sc.fleet.data.public {
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

// body is one element of Images.Image. What old public images do not say
// (BootMode, DetectionOptions) is absent, not empty; a checked image carries what
// the check found.
func (s *slot) body() object {
	body := object{
		"ImageId": s.imageID, "ImageName": s.name, "Description": "", "ImageOwnerAlias": s.owner, "ImageVersion": "", "ImageFamily": "",
		"OSName": s.kind.osName, "OSNameEn": s.kind.osNameEn, "OSType": s.kind.osType(), "Platform": s.kind.platform, "Architecture": s.kind.arch,
		"Status": s.status, "Progress": "100%", "Size": 40, "Usage": "instance", "IsSupportIoOptimized": !s.noIO, "IsSupportCloudinit": s.boot != "",
		"IsCopied": false, "IsPublic": s.shown(), "IsSelfShared": "", "IsSubscribed": s.owner == "marketplace", "ProductCode": "", "ResourceGroupId": "",
		"SupplierName": "", "CreationTime": s.created, "LoginAsNonRootSupported": false, "Features": object{"NvmeSupport": "unsupported"},
	}
	if s.nvme {
		body["Features"] = object{"NvmeSupport": "supported"}
	}
	if s.boot != "" {
		body["BootMode"] = s.boot
	}
	var disks, tags []object
	if !s.public {
		body["ImageOwnerId"], body["IsSelfShared"], body["DetectionOptions"] = json.Number(s.ownerID), "False", object{}
		disks = []object{{"Device": "/dev/xvda", "Type": "system", "Size": "40", "Format": "", "SnapshotId": "s-" + s.imageID[2:], "Progress": "", "ImportOSSBucket": "", "ImportOSSObject": ""}}
		if s.kind.tagOS != "" {
			tags = []object{{"TagKey": "acs:ecs:image:osVersion", "TagValue": s.kind.tagOS}, {"TagKey": "acs:ecs:image:kernelVersion", "TagValue": s.kind.tagKernel}}
		}
	}
	if s.virtio {
		var checks []object
		for _, name := range []string{"Virtio", "Fstab", "GRUB"} {
			checks = append(checks, object{"Name": name, "Value": "Supported", "RiskCode": "", "RiskLevel": ""})
		}
		body["DetectionOptions"] = object{"Status": "Finished", "Items": list("Item", checks)}
	}
	body["DiskDeviceMappings"], body["Tags"] = list("DiskDeviceMapping", disks), list("Tag", tags)
	return body
}
