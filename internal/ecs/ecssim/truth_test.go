package ecssim

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// boundary is the table of labels by family, version (SLES with its service
// pack) and kernel; rows with conditions of their own are left out.
func boundary(t *testing.T) map[[3]string][3]string {
	t.Helper()
	b, err := os.ReadFile("testdata/boundary-cases.tsv")
	if err != nil {
		t.Fatal(err)
	}
	out := map[[3]string][3]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		f := strings.Split(line, "\t")
		if strings.Contains(f[3], "=") && f[0] == "gentoo" && f[1] != "13" || strings.Contains(f[3], "xenreg") {
			continue
		}
		out[[3]string{f[0], f[1], f[2]}] = [3]string{f[4], f[5], f[6]}
	}
	return out
}

func TestLabelsAreThoseOfTheBoundaryCases(t *testing.T) {
	d, err := loadData()
	if err != nil {
		t.Fatal(err)
	}
	table := boundary(t)
	compared := 0
	for _, k := range d.kinds {
		version := k.version
		if k.servicePack != "" {
			version += "." + k.servicePack
		}
		want, ok := table[[3]string{k.family, version, k.tagKernel}]
		if !ok || (k.family == "gentoo" && k.flags[flagVirtio]) { // an image with virtio of its own is a row apart
			continue
		}
		compared++
		for i, v := range k.verdicts[:len(want)] {
			if v.String() != want[i] {
				t.Errorf("%s %s %s: %s is %s, the table says %s", k.family, version, k.tagKernel, Targets()[i], v, want[i])
			}
		}
	}
	if compared < 60 {
		t.Errorf("only %d of %d rows compared", compared, len(d.kinds))
	}
}

func TestLaterTargetIsNeverMilder(t *testing.T) {
	d, err := loadData()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range d.kinds {
		for i := 2; i < targets; i++ {
			if k.verdicts[i] < k.verdicts[i-1] {
				t.Errorf("%s %s: %s is %s, %s %s", k.family, k.version, target[i].name, k.verdicts[i], target[i-1].name, k.verdicts[i-1])
			}
		}
	}
}

// What the platform answers for an image counts where it is asked.
func TestJudgeWithThePlatform(t *testing.T) {
	d, err := loadData()
	if err != nil {
		t.Fatal(err)
	}
	os := func(name string) *osKind { return d.kindOf(Change{OS: name}) }
	kvm := machineFacts{classKVM, true}
	for _, tt := range []struct {
		name string
		slot slot
		m    machineFacts
		want string
	}{
		{"a public image is settled where it is offered", slot{kind: os("centos 7.4"), owner: "system", present: true}, kvm, "compatible compatible compatible incompatible"},
		{"one of the marketplace, too", slot{kind: os("centos 7.4"), owner: "marketplace", present: true}, kvm, "compatible compatible compatible incompatible"},
		{"a custom image asks for a trial", slot{kind: os("centos 7.4"), owner: "self", present: true}, kvm, "compatible compatible needs-action incompatible"},
		{"an image that is gone is not asked about", slot{kind: os("centos 7.4"), owner: "system"}, kvm, "compatible compatible unknown unknown"},
		{"a system that nobody knows stays unknown", slot{kind: os("centos"), owner: "system", present: true}, kvm, "compatible unknown unknown incompatible"},
		{"the legacy list stands", slot{kind: os("centos 5.8"), owner: "system", present: true}, kvm, "compatible incompatible incompatible incompatible"},
		{"without the flag for NVMe", slot{kind: os("centos 7.9"), owner: "system", present: true}, kvm, "compatible compatible compatible needs-action"},
		{"with the flag for NVMe", slot{kind: os("centos 7.9"), owner: "system", present: true, nvme: true}, kvm, "compatible compatible compatible compatible"},
		{"what runs there runs there", slot{kind: os("ubuntu 10.04"), owner: "self", present: true}, machineFacts{classShenlong7, true}, "compatible incompatible compatible incompatible"},
	} {
		var got []string
		for _, v := range judge(&tt.slot, tt.m, true) {
			got = append(got, v.String())
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
		}
	}
}

func TestJudge(t *testing.T) {
	d, err := loadData()
	if err != nil {
		t.Fatal(err)
	}
	os := func(name string) *osKind {
		k := d.kindOf(Change{OS: name})
		if k == nil {
			t.Fatalf("no %s", name)
		}
		return k
	}
	tests := []struct {
		name string
		slot slot
		m    machineFacts
		want string
	}{
		{"modern on KVM", slot{kind: os("centos 7.9"), present: true}, machineFacts{classKVM, true}, "compatible compatible compatible unknown"},
		{"modern on Xen", slot{kind: os("centos 7.9"), present: true}, machineFacts{classXen, true}, "needs-action needs-action needs-action unknown"},
		{"modern on Xen, virtio found", slot{kind: os("centos 7.9"), present: true, virtio: true}, machineFacts{classXen, true}, "compatible compatible compatible unknown"},
		{"unknown is worse than needs-action", slot{kind: os("centos 7.4"), present: true}, machineFacts{classXen, true}, "needs-action needs-action unknown unknown"},
		{"legacy on KVM, stopped", slot{kind: os("debian 6.0.6"), present: true}, machineFacts{classKVM, false}, "needs-action incompatible incompatible incompatible"},
		{"legacy that runs on KVM boots on KVM", slot{kind: os("debian 6.0.6"), present: true}, machineFacts{classKVM, true}, "compatible incompatible incompatible incompatible"},
		{"runs on SHENLONG 6", slot{kind: os("centos 7.4"), present: true}, machineFacts{classShenlong6, true}, "compatible compatible unknown unknown"},
		{"runs on SHENLONG 7", slot{kind: os("centos 7.4"), present: true}, machineFacts{classShenlong7, true}, "compatible compatible compatible unknown"},
		{"a flag says NVMe", slot{kind: os("centos 8.4"), present: true, nvme: true}, machineFacts{classShenlong7, true}, "compatible compatible compatible compatible"},
		{"no flag says NVMe", slot{kind: os("centos 8.4"), present: true}, machineFacts{classShenlong7, true}, "compatible compatible compatible needs-action"},
		{"Windows flips whatever a flag says", slot{kind: os("windows-server 2022"), present: true, nvme: true}, machineFacts{classShenlong7, true}, "compatible compatible compatible needs-action"},
		{"Windows flips back", slot{kind: os("windows-server 2022"), present: true, nvme: true}, machineFacts{classShenlong8, true}, "needs-action needs-action needs-action compatible"},
		{"a later class proves nothing for an earlier one", slot{kind: os("ubuntu 11.10"), present: true}, machineFacts{classShenlong7, true}, "compatible unknown compatible unknown"},
		{"stopped on SHENLONG 7", slot{kind: os("centos 7.4"), present: true}, machineFacts{classShenlong7, false}, "compatible compatible unknown unknown"},
		{"open class proves nothing", slot{kind: os("centos 7.4"), present: true}, machineFacts{classOther, true}, "compatible compatible unknown unknown"},
		{"Windows on Xen keeps its residue", slot{kind: os("windows-server 2012r2"), present: true, virtio: true}, machineFacts{classXen, true}, "needs-action needs-action needs-action unknown"},
		{"image without I/O optimization", slot{kind: os("centos 7.9"), present: true, noIO: true, virtio: true}, machineFacts{classXen, true}, "needs-action needs-action needs-action unknown"},
		{"deleted image says nothing of it", slot{kind: os("centos 7.9"), noIO: true, virtio: true}, machineFacts{classXen, true}, "compatible compatible compatible unknown"},
		{"incompatible on Xen stays incompatible", slot{kind: os("centos 5.8"), present: true}, machineFacts{classXen, true}, "needs-action incompatible incompatible incompatible"},
	}
	for _, tt := range tests {
		var got []string
		for _, v := range judge(&tt.slot, tt.m, false) {
			got = append(got, v.String())
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
		}
	}
}

func TestTruthFile(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Instances: 20000, Regions: 6, Accounts: 2, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if err := s.WriteTruth(&a); err != nil {
		t.Fatal(err)
	}
	again, err := New(Options{Instances: 20000, Regions: 6, Accounts: 2, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.WriteTruth(&b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two truths of one seed differ")
	}
	ids, levels, legacy := map[string]bool{}, map[string]int{}, 0
	for line := range strings.SplitSeq(strings.TrimSpace(a.String()), "\n") {
		var v struct {
			Account, Region string
			InstanceID      string `json:"instance_id"`
			OS              struct{ Family, Version string }
			Family, Version string
			Verdicts        map[string]string
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if ids[v.InstanceID] || v.OS.Family != v.Family || v.OS.Version != v.Version || len(v.Verdicts) != targets {
			t.Fatalf("line %s", line)
		}
		ids[v.InstanceID] = true
		levels[v.Verdicts["shenlong-6"]]++
		if v.Verdicts["shenlong-6"] == "incompatible" {
			legacy++
		}
	}
	if len(ids) != 20000 {
		t.Errorf("%d lines", len(ids))
	}
	if legacy < 600 || legacy > 2000 {
		t.Errorf("%d of 20000 incompatible", legacy)
	}
	t.Logf("shenlong-6: %v", levels)
}

// A type that is added is sold alone, or given to machines of a pool that the fleet draws
// from: one of another pool would be in the table and on no machine, and nobody would see it.
func TestATypeIsOfAPoolThatIsDrawnFrom(t *testing.T) {
	for _, c := range []struct {
		pool, weight string
		good         bool
	}{
		{"kvm", "1", true},
		{"byio", "1", true},
		{"other", "1", true},
		{"", "0", true},
		{"arm9", "1", false},
		{"", "1", false},
		{"kvm", "-1", false},
	} {
		loaded := &data{byType: map[string]*instanceType{}}
		err := loaded.addType([]string{"ecs.zz9.large", "ecs.zz9", c.pool, c.weight, "X86", "2", "4", "required", "UEFI"})
		if good := err == nil; good != c.good {
			t.Errorf("a type of the pool %q with weight %s: %v", c.pool, c.weight, err)
		}
	}
}
