package ecssim

import (
	"slices"
	"strings"
	"testing"
)

func TestSizesAddUpAndNoRegionIsEmpty(t *testing.T) {
	for _, tt := range []struct{ n, accounts, regions, images int }{{10, 1, 5, 0}, {10_000, 1, 18, 0}, {1_000_000, 1, 18, 3000}, {10_000_000, 3, 30, 0}, {18, 1, 18, 0}, {5, 1, 18, 0}, {1000, 1, 1, 7}} {
		s, err := New(Options{Instances: tt.n, Accounts: tt.accounts, Regions: tt.regions, Images: tt.images})
		if err != nil {
			t.Fatal(err)
		}
		total, images, empty := 0, 0, 0
		for _, sz := range s.scopeSizes() {
			total, images = total+sz.Instances, images+sz.Images
			if sz.Instances == 0 {
				empty++
			}
		}
		if total != tt.n || (tt.images > 0 && images != tt.images) || empty != max(0, tt.regions*tt.accounts-tt.n) {
			t.Errorf("%+v: %d instances, %d images, %d empty", tt, total, images, empty)
		}
	}
}

func TestEveryImageIsInUse(t *testing.T) {
	s, err := New(Options{Instances: 30_000, Regions: 3, Images: 900})
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, sc := range s.fleet.scopes {
		for i := range sc.n {
			in := sc.at(i)
			used[sc.region.id+in.slot.imageID] = true
		}
	}
	if len(used) != 900 {
		t.Errorf("%d images in use, want 900", len(used))
	}
}

func TestIDsTurnBackAndDoNotSort(t *testing.T) {
	s, err := New(Options{Instances: 5000, Regions: 2, Accounts: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range s.fleet.scopes {
		var ids []string
		for i := range sc.n {
			in := sc.at(i)
			id := in.id(sc)
			at, j, ok := s.fleet.locate(id)
			if !ok || at != sc || j != i {
				t.Fatalf("%s of %d: %v %d", id, i, ok, j)
			}
			if n := len(id); n != 22 || !strings.HasPrefix(id, "i-"+sc.region.prefix) {
				t.Fatalf("id %s", id)
			}
			ids = append(ids, id)
		}
		if len(ids) > 10 && slices.IsSorted(ids) {
			t.Error("ids are in order of creation")
		}
	}
	for _, id := range []string{"", "i-", "i-bp1", "i-bp1zzzzzzzzzzzzzzzzz", "i-bp1000000000000000000", "m-bp1000000000000000000"} {
		if _, _, ok := s.fleet.locate(id); ok {
			t.Errorf("%q is an instance", id)
		}
	}
}

func TestCreationTimesRise(t *testing.T) {
	for _, n := range []int{10, 5000, 200_000} {
		s, err := New(Options{Instances: n, Regions: 1})
		if err != nil {
			t.Fatal(err)
		}
		sc, shared := s.fleet.scopes[0], 0
		for i := 1; i < n; i++ {
			a, b := sc.minute(i-1), sc.minute(i)
			if b < a {
				t.Fatalf("instance %d of %d is older than the one before", i, n)
			}
			if a == b {
				shared++
			}
		}
		if shared == 0 {
			t.Errorf("no two of %d share a minute", n)
		}
	}
}

// What the fleet shows is consistent: no machine that could not run its image.
func TestMachinesFitTheirImages(t *testing.T) {
	s, err := New(Options{Instances: 60_000, Regions: 4, Images: 3000})
	if err != nil {
		t.Fatal(err)
	}
	xen, seen := 0, map[string]int{}
	for _, sc := range s.fleet.scopes {
		for i := range sc.n {
			in := sc.at(i)
			k, class := in.slot.kind, in.typ.class(in.ioOptimized)
			seen[k.family]++
			if (k.arch == "arm64") != (in.typ.arch == "ARM") {
				t.Fatalf("%s image on %s", k.arch, in.typ.id)
			}
			if in.slot.noIO && class != classXen {
				t.Fatalf("%s without I/O optimization on %s", in.slot.imageID, in.typ.id)
			}
			if in.typ.nvme == "required" && !in.slot.nvme {
				t.Fatalf("%s without NVMe on %s", in.slot.imageID, in.typ.id)
			}
			if class == classXen {
				xen++
				if in.ioOptimized {
					t.Fatalf("%s on Xen and I/O optimized", in.typ.id)
				}
			}
			if k.hosts == "old" && class > classKVM {
				t.Fatalf("%s %s on %s", k.family, k.version, in.typ.id)
			}
		}
	}
	if xen < 600 || xen > 6000 {
		t.Errorf("%d of 60000 on Xen", xen)
	}
	for f := range strings.FieldsSeq("centos rhel alinux anolis debian ubuntu sles opensuse fedora coreos freebsd gentoo windows-server rocky almalinux other-linux unknown") {
		if seen[f] == 0 {
			t.Errorf("no %s in the fleet", f)
		}
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for _, o := range []Options{{Instances: -1}, {Instances: MaxInstances + 1}, {Regions: 1000}, {Accounts: 1000}, {Images: 20_000}, {Quota: Quota{Calls: -1}}, {Faults: []Fault{{Kind: "flood"}}}, {Faults: []Fault{{Kind: FaultCut, Rate: 2}}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v accepted", o)
		}
	}
}
