package ecssim

import (
	"encoding/json"
	"slices"
	"testing"

	ecs "github.com/alibabacloud-go/ecs-20140526/v4/client"
)

func TestThePlatformOffersByArchitectureBootModeAndAge(t *testing.T) {
	s := start(t, Options{Instances: 300, Regions: 1, Seed: 9})
	p := probe{t, s}
	for _, tt := range []struct {
		image, on, notOn string
	}{
		{"aliyun_3_x64_20G_alibase_20260513.vhd", "ecs.g8i.large", "ecs.g8y.large"},   // x86
		{"aliyun_3_arm64_20G_alibase_20240528.vhd", "ecs.g8y.large", "ecs.g8i.large"}, // Arm
		{"centos_7_04_x64_20G_alibase_20220310.vhd", "ecs.g7.large", "ecs.g8i.large"}, // of the time of KVM
		{"freebsd_12_1_x64_30G_alibase_20201022.vhd", "ecs.g6.large", "ecs.g7.large"}, // of the time of Xen
		{"aliyun_3_x64_20G_alibase_20260513.vhd", "ecs.g7.large", "ecs.g7t.large"},    // starts by BIOS
	} {
		r := ask(p.T, s, "DescribeImageSupportInstanceTypes", "RegionId", here, "ImageId", tt.image)
		var body ecs.DescribeImageSupportInstanceTypesResponseBody
		strict(t, tt.image, r.body, &body)
		var ids []string
		for _, x := range body.InstanceTypes.InstanceType {
			ids = append(ids, *x.InstanceTypeId)
		}
		if !slices.Contains(ids, tt.on) || slices.Contains(ids, tt.notOn) {
			t.Errorf("%s is offered on %d types; want %s among them and %s not", tt.image, len(ids), tt.on, tt.notOn)
		}
	}
	if code := ask(t, s, "DescribeImageSupportInstanceTypes", "RegionId", here, "ImageId", "m-nobody").code(); code != "InvalidImageId.NotFound" {
		t.Errorf("an image that is not there: %q", code)
	}
	if code := ask(t, s, "DescribeImageSupportInstanceTypes", "RegionId", here).code(); code != "MissingParameter" {
		t.Errorf("no image: %q", code)
	}
	if st := s.Stats(); st.OfferedAsked != 5 || st.OfferedDistinct != 4 {
		t.Errorf("%d calls for %d images counted; want 5 for 4", st.OfferedAsked, st.OfferedDistinct)
	}
}

func TestThePlatformIsDeniedAndTheTruthIsWithoutIt(t *testing.T) {
	o := Options{Instances: 20_000, Regions: 18, Seed: 3, NoPlatform: true}
	denied := start(t, o)
	r := ask(t, denied, "DescribeImageSupportInstanceTypes", "RegionId", here, "ImageId", "aliyun_3_x64_20G_alibase_20260513.vhd")
	if r.status != 403 || r.code() != "Forbidden.RAM" {
		t.Errorf("%d %s; want 403 Forbidden.RAM", r.status, r.code())
	}
	o.NoPlatform = false
	open := start(t, o)
	var a, b []Truth
	for s, into := range map[*Server]*[]Truth{denied: &a, open: &b} {
		if err := s.EachTruth(func(tr *Truth) error { *into = append(*into, *tr); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	settled, refused := 0, 0
	unknown := map[string][2]int{} // without and with the platform
	for i := range a {
		for j := range a[i].Verdicts {
			was, is := a[i].Verdicts[j], b[i].Verdicts[j]
			n := unknown[Targets()[j]]
			if was == "unknown" {
				n[0]++
			}
			if is == "unknown" {
				n[1]++
			}
			unknown[Targets()[j]] = n
			switch {
			case was == is:
			case is == "incompatible":
				refused++
			case was == "unknown":
				settled++
			default:
				t.Errorf("%s on %s: %s becomes %s", a[i].InstanceID, Targets()[j], was, is)
			}
		}
	}
	for _, class := range []string{"shenlong-7", "shenlong-8"} {
		if n := unknown[class]; 3*n[1] > n[0] {
			t.Errorf("%s: %d are unknown with the platform's answer and %d without; want a third at most", class, n[1], n[0])
		}
	}
	if settled == 0 || refused == 0 {
		t.Errorf("%d verdicts are settled and %d refused; want some of both", settled, refused)
	}
}

func TestAListingOfSystemImagesHoldsWhatNothingRunsOf(t *testing.T) {
	s := start(t, Options{Instances: 10, Regions: 1, Images: 1, Seed: 9})
	for arch, want := range map[string]string{"x86_64": "aliyun_3_x64_20G_alibase_20260513.vhd", "arm64": "aliyun_3_arm64_20G_alibase_20240528.vhd"} {
		r := ask(t, s, "DescribeImages", "RegionId", here, "ImageOwnerAlias", "system", "Architecture", arch, "PageSize", "100")
		var body ecs.DescribeImagesResponseBody
		if err := json.Unmarshal(r.body, &body); err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(body.Images.Image, func(x *ecs.DescribeImagesResponseBodyImagesImage) bool { return *x.ImageId == want })
		if !found {
			t.Errorf("%d images of %s, and %s is not among them", len(body.Images.Image), arch, want)
		}
	}
}
