package rules_test

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/shenscan/shenscan/rules"
)

// A classifier shares a classification between machines that it holds for
// alike. For every known instance type under every operating system here it
// must be the one that the facts get by themselves.
func TestSharedClassificationsAreTheirOwn(t *testing.T) {
	t.Parallel()
	r := ruleset(t)
	c := r.NewClassifier(nil)
	software := []rules.Facts{
		{OSName: "CentOS  7.9 64位"},
		{OSName: "CentOS  5.8 64位", Image: rules.ImageFacts{Presence: rules.ImageFound, Owner: "system", BootMode: "BIOS"}},
		{OSName: "CentOS  7.5 64位", Image: rules.ImageFacts{Presence: rules.ImageFound, Architecture: "arm64", NVMe: rules.No, BootMode: "UEFI"}},
		{OSName: "Windows Server  2008 R2 标准版 64位中文版", OSType: "windows", Guest: rules.GuestFacts{Virtio: rules.No}},
		{OSName: "Windows Server  2016 数据中心版 64位中文版", Image: rules.ImageFacts{Presence: rules.ImageMissing}},
		{OSName: "Ubuntu  16.04 64位", ImageID: "centos_6_8_64_40G_base_20170222.vhd"}, // contradicts itself
		{OSName: "FreeBSD  11.2 64位"},
		{},
	}
	types := rows(t, "instance_types.tsv")
	if len(types) < 1000 {
		t.Fatalf("only %d instance types", len(types))
	}
	for i, row := range types {
		for j := range software {
			f := software[j]
			f.Put(rules.Hardware{
				InstanceType: row["instance_type"], InstanceFamily: row["family"],
				IoOptimized: rules.Tri((i + j) % 3), Running: rules.Tri((i + j) / 3 % 3), OSNVMe: rules.Tri((i + j) / 9 % 3),
			})
			want := r.Explain(&f, nil)
			if m := c.Machine(f.Hardware()); m != want.Machine {
				t.Fatalf("%+v: machine %+v, alone %+v", f.Hardware(), m, want.Machine)
			}
			got := c.Classify(&f)
			if reflect.DeepEqual(want.Classification, got) {
				continue // which is much faster than to look for the difference
			}
			if diff := cmp.Diff(want.Classification, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%+v on %+v (-alone +shared):\n%s", f.Software(), f.Hardware(), diff)
			}
		}
	}
}
