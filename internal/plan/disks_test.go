package plan_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/rules/waves"
)

// shelf tells of disks and notes which instances it was asked about.
type shelf struct {
	disks []ecs.Disk
	doubt *ecs.Error
	err   error
	asked []string
}

// InstanceDisks implements ecs.DiskAPI.
func (s *shelf) InstanceDisks(ctx context.Context, _ ecs.Scope, instances []string, each func(*ecs.Disk)) (ecs.DiskListing, error) {
	s.asked = append(s.asked, instances...)
	for i := range s.disks {
		each(&s.disks[i])
	}
	return ecs.DiskListing{Calls: 1, Doubt: s.doubt}, errors.Join(s.err, ctx.Err())
}

// attached is a disk of instance i-1.
func attached(id, kind, category string) ecs.Disk {
	return ecs.Disk{ID: id, Kind: kind, Category: category, SizeGiB: 40, Device: "/dev/xvd" + id[len(id)-1:], Instances: []string{"i-1"}}
}

// judged is the one instance judged on the target.
func judged(t *testing.T, f rules.Facts, target string) iter.Seq2[*record.Record, error] {
	t.Helper()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	to, err := rs.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	return one(t, f, func(r *record.Record) {
		r.Classification = *rs.NewClassifier([]rules.Target{to, rules.DefaultTargets()[rules.ClassKVM]}).Classify(&f)
	})
}

// planned plans one instance to a target with what the shelf says.
func planned(t *testing.T, s *shelf, f rules.Facts, target string) (*plan.Item, *plan.Plan) {
	t.Helper()
	o := options(t, target, nil)
	var err error
	if o.Disks, err = plan.AskDisks(t.Context(), s, o, judged(t, f, target)); err != nil {
		t.Fatal(err)
	}
	p := build(t, judged(t, f, target), o)
	return only(t, p), p
}

const blanket = "Convert disks that are not ESSD or ESSD AutoPL; the target takes no others."

func TestWhatDisksMeanForTheMove(t *testing.T) {
	doubt := &ecs.Error{Action: "DescribeDisks", Class: ecs.Contradicted, Err: errors.New("it is short")}
	system := attached("d-a", "system", "cloud_essd")
	for _, c := range []struct {
		name          string
		disks         []ecs.Disk
		doubt         *ecs.Error
		target        string
		state, why    string
		do            []string // disk and what to do about it
		blanket, list bool     // in the checklist: to look for others, to convert those that are named
		taken         bool     // to find out which are taken
	}{
		{name: "every_disk_is_taken", disks: []ecs.Disk{system, attached("d-b", "data", "cloud_auto")}, state: record.DisksFit},
		{name: "some_are_not", disks: []ecs.Disk{attached("d-b", "data", "cloud_ssd"), attached("d-a", "system", "cloud_efficiency"), attached("d-c", "data", "cloud_essd")}, state: record.DisksConvert, do: []string{"d-a convert", "d-b convert"}, list: true},
		{name: "a_basic_disk", disks: []ecs.Disk{system, attached("d-b", "data", "cloud")}, state: record.DisksConvert, do: []string{"d-b convert"}, list: true},
		{name: "a_local_disk_stays_behind", disks: []ecs.Disk{system, attached("d-b", "data", "local_ssd_pro")}, state: record.DisksConvert, do: []string{"d-b copy-off"}, list: true},
		{name: "entry_disks_are_converted", disks: []ecs.Disk{attached("d-a", "system", "cloud_essd_entry")}, state: record.DisksConvert, do: []string{"d-a convert"}, list: true},
		{name: "but_not_for_families_that_take_them", target: "ecs.u2i", disks: []ecs.Disk{attached("d-a", "system", "cloud_essd_entry")}, state: record.DisksFit},
		{name: "and_so_is_u1", target: "ecs.u1", disks: []ecs.Disk{attached("d-a", "system", "cloud_essd_entry"), attached("d-b", "data", "cloud_auto")}, state: record.DisksFit},
		{name: "which_takes_no_others", target: "ecs.u1", disks: []ecs.Disk{attached("d-a", "system", "cloud_ssd")}, state: record.DisksConvert, do: []string{"d-a convert"}, list: true},
		{name: "which_disks_are_taken_is_not_known", target: "ecs.gn7i", disks: []ecs.Disk{attached("d-a", "system", "cloud_essd")}, state: record.DisksNotKnown, why: "cloud_essd is not known", do: []string{"d-a find-out"}, taken: true},
		{name: "a_local_disk_stays_behind_there_too", target: "ecs.gn7i", disks: []ecs.Disk{attached("d-a", "system", "cloud_ssd"), attached("d-b", "data", "local_ssd_pro")}, state: record.DisksConvert, why: "cloud_ssd is not known", do: []string{"d-a find-out", "d-b copy-off"}, list: true, taken: true},
		{name: "no_disk_is_not_none_to_convert", state: record.DisksNotKnown, why: "no disk was named", blanket: true},
		{name: "nor_is_one_of_another", disks: []ecs.Disk{{ID: "d-a", Kind: "system", Category: "cloud_essd", Instances: []string{"i-2"}}}, state: record.DisksNotKnown, why: "no disk was named", blanket: true},
		{name: "a_system_disk_is_missing", disks: []ecs.Disk{attached("d-b", "data", "cloud_essd")}, state: record.DisksNotKnown, why: "0 system disks", blanket: true},
		{name: "two_system_disks", disks: []ecs.Disk{system, attached("d-b", "system", "cloud_essd")}, state: record.DisksNotKnown, why: "2 system disks", blanket: true},
		{name: "a_category_that_nobody_knows", disks: []ecs.Disk{system, attached("d-b", "data", "cloud_quantum")}, state: record.DisksNotKnown, why: "cloud_quantum is not known", do: []string{"d-b find-out"}, blanket: true},
		{name: "no_category", disks: []ecs.Disk{attached("d-a", "system", "")}, state: record.DisksNotKnown, why: "is not known", do: []string{"d-a find-out"}, blanket: true},
		{name: "a_kind_that_nobody_knows", disks: []ecs.Disk{system, attached("d-b", "spare", "cloud_essd")}, state: record.DisksNotKnown, why: "neither a system disk nor a data disk", blanket: true},
		{name: "a_listing_that_is_contradicted", disks: []ecs.Disk{system}, doubt: doubt, state: record.DisksNotKnown, why: "contradicted", blanket: true},
		{name: "what_it_names_is_converted_all_the_same", disks: []ecs.Disk{system, attached("d-b", "data", "cloud_ssd")}, doubt: doubt, state: record.DisksConvert, why: "contradicted", do: []string{"d-b convert"}, blanket: true, list: true},
		{name: "a_disk_that_is_two_things_is_the_worse", disks: []ecs.Disk{attached("d-a", "system", "cloud_ssd"), system}, doubt: doubt, state: record.DisksConvert, why: "contradicted", do: []string{"d-a convert"}, blanket: true, list: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.target == "" {
				c.target = "ecs.g8i"
			}
			s := &shelf{disks: c.disks, doubt: c.doubt}
			it, p := planned(t, s, facts("Debian 12", "linux", "ecs.g6.large"), c.target)
			if it.Disks == nil || it.Disks.State != c.state || !strings.Contains(it.Disks.Why, c.why) || c.why == "" && it.Disks.Why != "" {
				t.Fatalf("%+v", it.Disks)
			}
			var do []string
			for _, d := range it.Disks.Disks {
				do = append(do, d.ID+" "+d.Do)
			}
			if diff := gocmp.Diff(c.do, do); diff != "" {
				t.Error(diff)
			}
			convert := slices.ContainsFunc(it.Checklist, func(s string) bool { return strings.HasPrefix(s, "Convert the disks that are named") })
			taken := slices.ContainsFunc(it.Checklist, func(s string) bool { return strings.HasPrefix(s, "Find out which disks the target takes") })
			if slices.Contains(it.Checklist, blanket) != c.blanket || convert != c.list || taken != c.taken {
				t.Errorf("checklist %q", it.Checklist)
			}
			if n := p.Disks.Fit + p.Disks.Convert + p.Disks.NotKnown; n != 1 || p.Disks.Calls != 1 || len(p.Disks.Doubts) != min(1, len(p.Disks.Doubts)) || (c.doubt != nil) != (len(p.Disks.Doubts) == 1) {
				t.Errorf("%+v", p.Disks)
			}
		})
	}
}

// Who is asked about: those that are to move to where ESSDs alone are taken.
func TestDisksAreAskedForWhereTheyMatter(t *testing.T) {
	for _, c := range []struct {
		typ, target string
		asked       bool
	}{
		{"ecs.g6.large", "ecs.g7", true},
		{"ecs.g6.large", "ecs.g8i", true},
		{"ecs.g6.large", "ecs.g8i.large", true},
		{"ecs.g6.large", "shenlong-7", true},
		{"ecs.g6.large", "shenlong-8", true},
		{"ecs.g5.large", "ecs.g6e", true},
		{"ecs.g5.large", "ecs.g6", false},
		{"ecs.g5.large", "shenlong-6", false},
		{"ecs.g8i.large", "ecs.g8i", false},
		{"ecs.g7.large", "shenlong-7", false},
	} {
		s := &shelf{disks: []ecs.Disk{attached("d-a", "system", "cloud_ssd")}}
		it, p := planned(t, s, facts("Debian 12", "linux", c.typ), c.target)
		if (len(s.asked) == 1) != c.asked || (it.Disks != nil) != c.asked || p.Disks.Regions != len(s.asked) {
			t.Errorf("%s to %s: asked about %v, %+v", c.typ, c.target, s.asked, it.Disks)
		}
		if advised := slices.ContainsFunc(it.Checklist, func(s string) bool { return strings.HasPrefix(s, "Convert ") }); advised != c.asked {
			t.Errorf("%s to %s: %q", c.typ, c.target, it.Checklist)
		}
		if without := only(t, build(t, judged(t, facts("Debian 12", "linux", c.typ), c.target), options(t, c.target, nil))); slices.Contains(without.Checklist, blanket) != c.asked || without.Disks != nil {
			t.Errorf("%s to %s without asking: %q", c.typ, c.target, without.Checklist)
		}
	}
}

// An instance with disks that the target does not take is not ready, whatever its
// system is.
func TestNothingIsReadyWithDisksThatAreNotTaken(t *testing.T) {
	waveOf := func(p *plan.Plan) waves.ID {
		for _, w := range p.Waves {
			if w.Instances > 0 {
				return w.ID
			}
		}
		return ""
	}
	f := facts("Debian 12", "linux", "ecs.g6.large")
	for category, want := range map[string]waves.ID{"cloud_essd": waves.Ready, "cloud_ssd": waves.AfterChecks} {
		if _, p := planned(t, &shelf{disks: []ecs.Disk{attached("d-a", "system", category)}}, f, "ecs.g7"); waveOf(p) != want {
			t.Errorf("%s: %s", category, waveOf(p))
		}
	}
}

func TestDisksThatMayNotBeAskedFor(t *testing.T) {
	denied := &ecs.Error{
		Action: "DescribeDisks", Scope: hangzhou, Class: ecs.Permission, Code: "Forbidden.RAM", Err: errors.New("not \x1b[31mauthorized"), Mend: "grant ecs:DescribeDisks to the identity that shenscan uses",
	}
	it, p := planned(t, &shelf{err: denied, disks: []ecs.Disk{attached("d-a", "system", "cloud_ssd")}}, facts("Debian 12", "linux", "ecs.g6.large"), "ecs.g8i")
	if it.Disks != nil || !slices.Contains(it.Checklist, blanket) || p.Disks.Unasked != 1 || p.Disks.NotKnown != 1 || p.Disks.Failures[0].API != "DescribeDisks" {
		t.Errorf("%+v, %+v", it, p.Disks)
	}
	for _, format := range plan.Formats() {
		if text := render(t, format, p); format != report.CSV && (!strings.Contains(text, "ecs:DescribeDisks") || strings.Contains(text, "\x1b[31m")) {
			t.Errorf("%s does not say what is missing:\n%s", format, text)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := plan.AskDisks(ended, &shelf{}, options(t, "ecs.g8i", nil), judged(t, facts("Debian 12", "linux", "ecs.g6.large"), "ecs.g8i")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Every format names the disks, and none believes what their names are made of.
func TestDisksInEveryFormat(t *testing.T) {
	disk := attached("d-a", "system", "cloud_ssd")
	disk.Device = "<b>\x1b[2J"
	_, p := planned(t, &shelf{disks: []ecs.Disk{disk}}, facts("Debian 12", "linux", "ecs.g6.large"), "ecs.g8i")
	for _, format := range plan.Formats() {
		text := render(t, format, p)
		if !strings.Contains(text, "d-a") || !strings.Contains(strings.ReplaceAll(text, `\_`, "_"), "cloud_ssd") || strings.Contains(text, "\x1b") || format == report.HTML && strings.Contains(text, "<b>") {
			t.Errorf("%s:\n%s", format, text)
		}
	}
	own := only(t, p).Disks
	own.Disks[0].Device = "/dev/xvda"
	if got := plan.DiskText(own, lang.English); got != "convert d-a (system disk, cloud_ssd, 40 GiB, /dev/xvda)" {
		t.Error(got)
	}
}

// Every disk is read as it was said, however many different ones there are.
func TestManyDisksAreKept(t *testing.T) {
	var disks []ecs.Disk
	for i := range 90 { // an instance has no more than a hundred
		disk := attached(fmt.Sprintf("d-%03d", i), "data", "cloud_ssd")
		disk.Device, disk.SizeGiB = fmt.Sprintf("/dev/%03d", i), i
		disks = append(disks, disk)
	}
	disks = append(disks, attached("d-s", "system", "cloud_efficiency"))
	it, _ := planned(t, &shelf{disks: disks}, facts("Debian 12", "linux", "ecs.g6.large"), "ecs.g8i")
	own := it.Disks
	if own.Listed != 91 || len(own.Disks) != 91 || own.Why != "" || own.Disks[0].ID != "d-s" || own.Disks[0].Category != "cloud_efficiency" {
		t.Fatalf("%+v", own)
	}
	for i, disk := range own.Disks[1:] {
		if want := (record.Disk{ID: disks[i].ID, Category: "cloud_ssd", Type: "data", SizeGiB: i, Device: disks[i].Device, Do: record.DiskConvert}); disk != want {
			t.Errorf("%+v, want %+v", disk, want)
		}
	}
}
