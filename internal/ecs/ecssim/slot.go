package ecssim

import (
	"fmt"
	"strconv"
)

// slot is one image of a scope, with the label of its operating system. What
// instances show of it was copied when they were created.
type slot struct {
	kind    *osKind // what the image and its instances show
	inside  *osKind // what is in it where that is another system; nil: it is as it shows
	imageID string
	name    string
	public  bool
	present bool   // DescribeImages knows it
	status  string // Available, Deprecated, UnAvailable
	owner   string // system, self, others, marketplace
	noIO    bool   // IsSupportIoOptimized false
	virtio  bool   // the image check found virtio
	nvme    bool   // Features.NvmeSupport
	boot    string // BootMode, "" when the API does not say
	created string
	ownerID string
	noName  bool // instances made from it show no OSName

	frag []byte // the part of an instance that comes from the image
}

// community says whether an image of somebody else is one of the community,
// and not shared with the account alone.
func (s *slot) community() bool { return s.owner == "others" && hashString(s.imageID)%2 == 0 }

// shown is IsPublic.
func (s *slot) shown() bool { return s.public || s.community() }

// newSlot makes image k of the scope.
func (sc *scope) newSlot(kind *osKind, k int) *slot {
	sum := hash(sc.fleet.seed, 'k', uint64(sc.index), uint64(k))
	if s := sc.publicSlot(kind, sum); s != nil {
		return s
	}
	if kind.flags[flagMissing] && len(kind.imageIDs) > 0 {
		kind = sc.fleet.data.commonKind() // its only id is in use here already
	}
	slot := sc.customSlot(kind, sum)
	sc.disposeCustom(slot, mix(sum))
	sc.mislabel(slot, sum)
	slot.render()
	return slot
}

// customSlot makes an image of the account itself.
func (sc *scope) customSlot(kind *osKind, sum uint64) *slot {
	place := &slot{kind: kind, present: true, status: "Available", owner: "self", boot: "BIOS", ownerID: sc.account.ID}
	place.imageID = string(appendBase36([]byte("m-"+sc.region.prefix), sum, 12)) + string(appendBase36(nil, hash(sum), 5))
	place.name = fmt.Sprintf("%s-base-%04d", [...]string{"app", "web", "golden", "batch", "db", "gateway"}[sum%6], sum>>32%10000)
	place.created = fmt.Sprintf("20%02d-%02d-%02dT06:07:05Z", 16+sum>>8%10, 1+sum>>16%12, 1+sum>>24%28)
	place.virtio = kind.flags[flagVirtio]
	place.nvme = kind.hosts == "new" || kind.hosts == "arm"
	if kind.arch == "arm64" {
		place.boot = "UEFI"
	}
	return place
}

// disposeCustom makes some custom images shared, bought, broken or deleted.
func (sc *scope) disposeCustom(slot *slot, seed uint64) {
	flags := slot.kind.flags
	switch x := seed % 100; {
	case flags[flagOthers], !flags[flagSelf] && x < 10:
		slot.owner, slot.ownerID = "others", "1098765432109876"
	case !flags[flagSelf] && !flags[flagVirtio] && x < 18:
		slot.owner, slot.ownerID = "marketplace", "1012345678901234"
		slot.name = fmt.Sprintf("LNMP stack V%d.%d", 1+seed>>8%4, seed>>16%10)
	}
	fixed := flags[flagFound] || flags[flagVirtio] || flags[flagSelf]
	switch x := seed >> 24 % 100; {
	case flags[flagMissing], !fixed && slot.kind.osName != "" && x < 5:
		slot.present = false
	case x < 8:
		slot.status = "UnAvailable"
	}
	slot.noName = slot.present && slot.kind.osName != "" && seed>>32%100 < 3
}

// publicSlot takes a public image of the kind that the scope does not have
// yet, half of the time.
func (sc *scope) publicSlot(kind *osKind, sum uint64) *slot {
	if len(kind.imageIDs) == 0 || (sum>>40&1 == 0 && !kind.flags[flagMissing]) {
		return nil
	}
	for j := range kind.imageIDs {
		id := kind.imageIDs[(int(sum>>48)+j)%len(kind.imageIDs)]
		if sc.images[id] == nil {
			s := newPublicSlot(kind, id)
			s.render()
			return s
		}
	}
	return nil
}

// newPublicSlot describes a public image; it is the same in every region.
func newPublicSlot(kind *osKind, id string) *slot {
	year, date := imageDate(id)
	place := &slot{kind: kind, imageID: id, name: id, public: true, present: true, status: "Available", owner: "system", created: date}
	if year < 2022 {
		place.status = "Deprecated"
	}
	gone := year < 2017 && hashString(id)%3 == 0 && !kind.flags[flagFound]
	place.present = !gone && !kind.flags[flagMissing]
	place.noIO = kind.flags[flagNoIO]
	place.nvme = year >= 2020 && kind.osType() == "linux" && (kind.hosts == "new" || kind.hosts == "arm")
	if year >= 2019 {
		place.boot = "BIOS"
	}
	if kind.arch == "arm64" {
		place.boot = "UEFI"
	}
	return place
}

// imageDate reads the date that a public image id ends with.
func imageDate(id string) (year int, rfc3339 string) {
	for i := len(id) - 8; i >= 0; i-- {
		d, err := strconv.Atoi(id[i : i+8])
		if err == nil && d > 20100000 && d < 20300000 {
			return d / 10000, fmt.Sprintf("%04d-%02d-%02dT02:20:19Z", d/10000, max(1, d/100%100), max(1, d%100))
		}
	}
	return 2013, "2013-11-21T02:20:19Z"
}

// commonKind is a kind that any image may have.
func (d *data) commonKind() *osKind {
	best := d.kinds[0]
	for _, k := range d.kinds {
		if k.weight > best.weight && len(k.flags) == 1 && k.flags[""] {
			best = k
		}
	}
	return best
}

// render precomputes what instances show of the image.
func (s *slot) render() {
	name, en := s.kind.osName, s.kind.osNameEn
	if s.noName {
		name, en = "", ""
	}
	out := append(s.frag[:0], `"ImageId":`...)
	out = append(appendMarshalled(out, s.imageID), `,"OSName":`...)
	out = append(appendMarshalled(out, name), `,"OSNameEn":`...)
	out = append(appendMarshalled(out, en), `,"OSType":"`...)
	s.frag = append(append(out, s.kind.osType()...), `",`...)
}
