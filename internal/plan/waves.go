package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
	"github.com/shenscan/shenscan/rules/waves"
)

// newWaves are the waves in order, empty.
func newWaves() []Wave {
	return []Wave{
		{ID: waves.Ready, Title: waves.Ready.Title(), What: "They boot on the target as they are. Work through the checklist and move them."},
		{ID: waves.AfterChecks, Title: waves.AfterChecks.Title(), What: "They boot once the named checks pass; nothing is known to be broken."},
		{ID: waves.Repair, Title: waves.Repair.Title(), What: "They boot after a repair inside the machine: virtio or NVMe drivers, the Windows registry, a kernel patch, the boot configuration."},
		{ID: waves.MinorUpgrade, Title: waves.MinorUpgrade.Title(), What: "They boot after an upgrade to the last minor release of the same operating system."},
		{ID: waves.ReplaceOS, Title: waves.ReplaceOS.Title(), What: "Their operating system does not boot on the target; it is replaced, or the application moves to a new instance."},
		{ID: waves.StayGen5, Title: waves.StayGen5.Title(), What: "They cannot be mended, or are to keep their system: they stay on the family where they run, or on one that is not SHENLONG."},
		{ID: waves.Unknown, Title: waves.Unknown.Title(), What: "What is known does not tell whether they boot. Settle the question; do not move them on a guess."},
		{ID: waves.Waived, Title: waves.Waived.Title(), What: "A rule of your own set their verdict aside until a day: nothing was mended. On that day they return to the wave of their verdict."},
		{ID: waves.AlreadyThere, Title: waves.AlreadyThere.Title(), What: "They run on hardware of the target and their verdict is compatible. Nothing is to be done."},
	}
}

// repairs keep the operating system, in the order in which they are done.
var repairs = waves.Repairs()

func has(v *rules.Verdict, ids ...string) bool {
	return slices.ContainsFunc(v.Remedies, func(m rules.Remedy) bool { return slices.Contains(ids, m.ID) })
}

// remedies divides a verdict's remedies into those that its wave stands for,
// all needed in this order, and the other ways out. An upgraded system needs
// its repairs too; a replaced one does not.
func remedies(verdict *rules.Verdict, id waves.ID) (needed, others []*rules.Remedy) {
	rank := func(remedy *rules.Remedy) int {
		repair := slices.Contains(repairs, remedy.ID)
		switch {
		case id == waves.Repair && repair, remedy.ID == string(id), id == waves.StayGen5 && remedy.ID == "stay-family", id == waves.ReplaceOS && remedy.ID == "change-arch":
			return 0
		case id == waves.MinorUpgrade && repair:
			return 1
		}
		return 2
	}
	for i := range verdict.Remedies {
		remedy := &verdict.Remedies[i]
		switch {
		case rank(remedy) < 2:
			needed = append(needed, remedy)
		case !slices.Contains(repairs, remedy.ID): // a repair alone is no way out of another wave
			others = append(others, remedy)
		}
	}
	slices.SortStableFunc(needed, func(x, y *rules.Remedy) int {
		return cmp.Or(rank(x)-rank(y), slices.Index(repairs, x.ID)-slices.Index(repairs, y.ID))
	})
	return needed, others
}

// windowsMemoryMiB is the least memory with which Windows may be started
// (Alibaba Cloud, images and the instance families that they match, 2026).
const windowsMemoryMiB = 1024

// checkOrder is the order in which a checklist is worked through; what it does
// not name comes before the snapshot.
var checkOrder = []string{
	"confirm-version", "restart", "remove-security-software", "sfc", "verify-virtio", essdDisks, entryDisks, disksTaken, convertDisks, notOffered, soldOutNow, acrossClusters, "nvme-io-timeout", "igb-uio",
	"plan-network", "windows-memory", "new-instance", "snapshot", "custom-image-trial",
}

// The checks about disks of a move to where some alone are taken: to look for others
// among them, to find out which are taken, and to convert those that are known.
const (
	essdDisks    = "essd-disks"
	entryDisks   = "essd-entry-disks"
	disksTaken   = "disks-taken"
	convertDisks = "convert-disks"
)

// diskAdvice is the check to look at the disks, by which the target takes.
var diskAdvice = map[string]string{family.ESSD: essdDisks, family.ESSDEntry: entryDisks, family.Unknown: disksTaken}

// IsDiskAdvice says whether a check of a verdict is to look at the disks.
func IsDiskAdvice(check string) bool {
	return check == essdDisks || check == entryDisks || check == disksTaken
}

// The checks about what the cloud offers.
const (
	notOffered     = "not-offered"
	soldOutNow     = "sold-out-now"
	acrossClusters = "across-clusters"
)

// checkTexts are what a check means where the rule set has no text for it.
var checkTexts = map[string]string{
	"restart":                  "Restart the instance before the move and see that it comes back.",
	"snapshot":                 "Create snapshots of all disks right before the move.",
	"custom-image-trial":       "Create a custom image and start a test instance of the target family from it.",
	"sfc":                      "Run sfc /scannow on Windows and mend what it finds.",
	"remove-security-software": "Uninstall third-party security software from Windows before the move.",
	essdDisks:                  "Convert disks that are not ESSD or ESSD AutoPL; the target takes no others.",
	entryDisks:                 "Convert disks that are not ESSD, ESSD AutoPL or ESSD Entry; the target takes no others.",
	disksTaken:                 "Find out which disks the target takes before the move: which they are is not known, and many families take ESSD and ESSD AutoPL disks alone.",
	notOffered:                 "The cloud does not offer to upgrade the instance to this type now: see the reason in the console (a subscription may need a downgrade instead), choose another type, or create a new instance from a custom image.",
	soldOutNow:                 "The type is sold out where the instance is: wait until it is in stock, or choose another type.",
	acrossClusters:             "The change moves the instance to another cluster of its zone (MigrateAcrossZone): read what that changes before it is made.",
	convertDisks:               "Convert the disks that are named with the instance, or copy their data off: the target does not take them. A new instance from an image gets a new system disk instead.",
}

// checklist is what to do before any move: the verdict's checks, those that
// always apply and those that Windows needs.
func (b *builder) checklist(rec *record.Record, checks []string) []string {
	ids := append([]string{"restart", "snapshot", "custom-image-trial"}, checks...)
	if strings.HasPrefix(rec.OS.Family, "windows") {
		ids = append(ids, "sfc", "remove-security-software")
		if 0 < rec.MemoryMiB && rec.MemoryMiB < windowsMemoryMiB {
			ids = append(ids, "windows-memory")
		}
	}
	if rec.NetworkType == "classic" {
		ids = append(ids, "plan-network")
	}
	place := func(id string) int {
		if at := slices.Index(checkOrder, id); at >= 0 {
			return at
		}
		return slices.Index(checkOrder, "snapshot") - 1
	}
	slices.SortStableFunc(ids, func(x, y string) int { return place(x) - place(y) })
	seen := ids[:0]
	for _, id := range ids {
		if !slices.Contains(seen, id) {
			seen = append(seen, id)
		}
	}
	key := strings.Join(seen, " ")
	if list, ok := b.lists[key]; ok {
		return list
	}
	list := make([]string, len(seen))
	for i, id := range seen {
		switch {
		case b.o.Checks[id] != "":
			list[i] = b.o.Checks[id]
		case checkTexts[id] != "":
			list[i] = checkTexts[id]
		default:
			list[i] = id
		}
	}
	b.lists[key] = list
	return list
}

// diskChecks are the verdict's checks, with what is known of the disks in place of the
// advice to look at them all. Where it is not known whether there are others, the
// advice stays beside it.
func (b *builder) diskChecks(at *candidate) []string {
	if at.takes == family.AnyDisks {
		return at.verdict.Checks
	}
	own := b.o.Disks.Of(at.rec.Account, at.rec.Region, at.rec.InstanceID)
	b.o.Disks.count(own)
	out := slices.DeleteFunc(slices.Clone(at.verdict.Checks), func(id string) bool { return IsDiskAdvice(id) })
	if own == nil || own.Why != "" {
		out = append(out, diskAdvice[at.takes])
	}
	if own != nil && own.State == record.DisksConvert {
		out = append(out, convertDisks)
	}
	return out
}

// settle says how the question of an unknown verdict is settled.
func (b *builder) settle(v *rules.Verdict) string {
	text := b.o.Checks["confirm-version"]
	if !slices.Contains(v.Checks, "confirm-version") || text == "" {
		text = "Start a test instance of the target from a custom image and see whether it boots."
	}
	return "To settle it: " + text
}

func osName(rec *record.Record) string {
	name := report.OSName(rec.OS.Family, rec.OS.Version)
	if rec.OS.ServicePack != "" {
		name += " SP" + rec.OS.ServicePack
	}
	if rec.OS.Edition != "" {
		name += " " + rec.OS.Edition
	}
	return report.Short(name, 120)
}

// completeness says how whole the records are.
func completeness(summary *record.Summary) (whole bool, words string) {
	if summary == nil {
		return false, "it is not known how complete the records are"
	}
	w := report.NewDigest(summary).Whole
	return w.All(), report.Completeness(w)
}
