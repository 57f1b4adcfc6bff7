package ecssim

import (
	"encoding/json"
	"slices"
)

// TruthOfDisk is a disk of an instance.
type TruthOfDisk struct {
	ID       string `json:"id"`
	Category string `json:"category"`
	Type     string `json:"type"` // system or data
	SizeGiB  int    `json:"size_gib"`
	Device   string `json:"device"`
	// Shared says that it may be attached to several instances, of which
	// DescribeDisks tells in Attachments alone.
	Shared bool `json:"shared,omitempty"`
}

// diskCategories are those that disks of a machine class have, each as often as it
// stands here: the newer the machine, the newer its disks. From the 7th generation
// on a machine takes ESSD and ESSD AutoPL disks alone.
var diskCategories = map[machineClass][]string{
	classXen:       {"cloud", "cloud", "cloud_efficiency", "cloud_ssd"},
	classKVM:       {"cloud_efficiency", "cloud_efficiency", "cloud_ssd", "cloud_ssd", "cloud_essd", "cloud"},
	classShenlong6: {"cloud_efficiency", "cloud_ssd", "cloud_essd", "cloud_essd", "cloud_essd", "cloud_auto", "cloud_essd_entry"},
	classShenlong7: {"cloud_essd", "cloud_essd", "cloud_auto"},
	classShenlong8: {"cloud_essd", "cloud_auto", "cloud_auto"},
	classOther:     {"cloud_essd", "cloud_essd_entry", "cloud_auto"},
}

// disks are those of the instance: a system disk and up to three others. Two in a
// hundred have a local disk as well, and as many one that may be shared.
func (sc *scope) disks(in *instance) []TruthOfDisk {
	sum := mix(in.h ^ 'd')
	class := in.typ.class(in.ioOptimized)
	categories := diskCategories[class]
	of := categories[sum%uint64(len(categories))]
	disk := func(k int, kind, category string) TruthOfDisk { return sc.disk(in.i, k, kind, category) }
	out := []TruthOfDisk{disk(0, "system", of)}
	for k := range int(sum >> 8 % 4) {
		data := of
		if sum>>(16+4*k)&7 == 0 {
			data = categories[sum>>(24+k)%uint64(len(categories))]
		}
		out = append(out, disk(k+1, "data", data))
	}
	switch k := len(out); sum >> 40 % 50 {
	case 0:
		if class == classXen || class == classKVM {
			local := disk(k, "data", "ephemeral_ssd")
			if class == classKVM {
				local.Category = "local_ssd_pro"
			}
			out = append(out, local)
		}
	case 1:
		if class >= classShenlong7 {
			shared := disk(k, "data", "cloud_essd")
			shared.Shared = true
			out = append(out, shared)
		}
	}
	return out
}

// disk is disk k of instance i.
func (sc *scope) disk(i, k int, kind, category string) TruthOfDisk {
	own := hash(sc.fleet.seed, 'd', uint64(sc.index), uint64(i)<<3|uint64(k))
	return TruthOfDisk{
		ID: "d-" + sc.region.prefix + string(appendBase36(nil, own, 13)) + string(appendBase36(nil, hash(own), 4)), Category: category, Type: kind,
		SizeGiB: 20 << (own % 5), Device: "/dev/xvd" + string(rune('a'+k)),
	}
}

// loose says whether a disk that is attached to nothing lies beside those of
// instance i.
func (sc *scope) loose(i int) bool {
	return hash(sc.fleet.seed, 'l', uint64(sc.index), uint64(i))%25 == 0
}

// diskRow is a disk with the instance that it is attached to, "" for none.
type diskRow struct {
	TruthOfDisk
	instance, zone string
}

// diskRows are the rows of instance i. The caller holds mu.
func (sc *scope) diskRows(i int) (out []diskRow) {
	in := sc.at(i)
	id, zone := in.id(sc), sc.zones[in.zone(sc)]
	for _, disk := range sc.disks(&in) {
		out = append(out, diskRow{disk, id, zone})
	}
	if sc.loose(i) {
		spare := sc.disk(i, len(out), "data", "cloud_efficiency")
		spare.Device = ""
		out = append(out, diskRow{spare, "", zone})
	}
	return out
}

// describeDisks answers DescribeDisks: the disks of an instance, of some ids or of
// the region, by token or by page number.
func (s *Simulator) describeDisks(call *call, sc *scope) (object, *apiError) {
	p := call.params
	var wanted []string
	if text := p.get("DiskIds"); text != "" {
		if err := json.Unmarshal([]byte(text), &wanted); err != nil || len(wanted) > maxTargeted {
			return nil, errInvalid("DiskIds")
		}
		if wanted == nil {
			wanted = []string{}
		}
	}
	limit, err := p.int("MaxResults", 10)
	if err != nil {
		return nil, err
	}
	limit = min(max(limit, 10), 500)
	byPage := p.get("NextToken") == "" && p.get("MaxResults") == ""
	asked := paging{0, limit}
	if byPage {
		if asked, err = p.page(100); err != nil {
			return nil, err
		}
	}
	instance := p.get("InstanceId")
	bound := hash(hashString(instance), hashString(p.get("DiskIds")), 'D')
	if token := p.get("NextToken"); token != "" {
		if asked.from, err = s.tokens.open(token, bound, s.opt.Now()); err != nil {
			return nil, err
		}
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	rows, next, total := sc.listDisks(instance, wanted, asked, byPage)
	if s.against(DisksCut) && !byPage && asked.from == 0 && len(rows) > 1 {
		rows, next = rows[:(len(rows)+1)/2], -1
	}
	if s.against(DisksEmpty) {
		rows, next = nil, -1
	}
	var bodies []object
	for _, row := range rows {
		bodies = append(bodies, s.diskBody(sc, &row))
	}
	if s.against(DisksTwice) && len(rows) > 0 {
		again := rows[0]
		again.Category = "cloud_essd"
		bodies = append(bodies, s.diskBody(sc, &again))
	}
	answer := object{"TotalCount": total, "Disks": list("Disk", bodies)}
	if byPage {
		answer["PageNumber"], answer["PageSize"] = asked.number(), asked.size
	} else {
		answer["NextToken"] = ""
		if next >= 0 {
			answer["NextToken"] = s.tokens.seal(bound, next, 0, s.opt.Now())
		}
	}
	return answer, nil
}

// listDisks finds the rows behind the first ones that a list takes, where a token's
// place is an instance times eight and a row of it; total is meaningful beside page
// numbers alone, as in the documents. The caller holds mu.
func (sc *scope) listDisks(instance string, wanted []string, asked paging, byPage bool) (rows []diskRow, next, total int) {
	first, last := 0, sc.count()
	if instance != "" {
		in, ok := sc.find(instance)
		if first, last = in.i, in.i+1; !ok {
			return nil, -1, 0
		}
	} else if !byPage {
		first = asked.from >> 3
	}
	for i := first; i < last; i++ {
		if !sc.live(i) {
			continue
		}
		for k, row := range sc.diskRows(i) {
			if wanted != nil && !slices.Contains(wanted, row.ID) || instance != "" && row.instance != instance {
				continue
			}
			total++
			switch place := i<<3 | k; {
			case byPage && total <= asked.from, !byPage && place < asked.from:
			case len(rows) < asked.size:
				rows = append(rows, row)
			case !byPage:
				return rows, place, len(rows)
			}
		}
	}
	return rows, -1, total
}

// diskBody is a row as it is sent.
func (s *Simulator) diskBody(sc *scope, row *diskRow) object {
	status, instance, region, multi := "In_use", row.instance, sc.region.id, "Disabled"
	if instance == "" {
		status = "Available"
	}
	var attached []object
	if instance != "" {
		attached = append(attached, object{"InstanceId": instance, "Device": row.Device, "AttachedTime": "2021-06-07T06:08:56Z"})
	}
	category, device := row.Category, row.Device
	switch {
	case s.against(DisksOfOthers):
		instance = "i-" + sc.region.prefix + "nobodysinstance"
		attached = []object{{"InstanceId": instance, "Device": row.Device}}
	case s.against(DisksElsewhere):
		region = s.next(sc).region.id
	case s.against(DisksUnknown):
		category = "cloud_quantum"
	}
	if row.Shared {
		multi, instance, device = "Enabled", "", ""
	}
	body := object{
		"DiskId": row.ID, "RegionId": region, "Category": category, "Type": row.Type, "Size": row.SizeGiB, "Device": device, "InstanceId": instance, "Status": status,
		"Attachments": list("Attachment", attached), "MultiAttach": multi, "Portable": row.Type == "data", "DiskChargeType": "PostPaid", "DiskName": "", "Description": "",
		"Encrypted": false, "DeleteWithInstance": true, "CreationTime": "2021-06-07T06:08:54Z", "AttachedTime": "2021-06-07T06:08:56Z", "DetachedTime": "", "ImageId": "", "SerialNumber": row.ID[2:],
		"OperationLocks": list("OperationLock", []object(nil)), "Tags": list("Tag", []object(nil)), "PerformanceLevel": "",
	}
	if region == sc.region.id {
		body["ZoneId"] = row.zone
	}
	return body
}
