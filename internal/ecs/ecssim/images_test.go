package ecssim

import (
	"strconv"
	"strings"
	"testing"

	ecs "github.com/alibabacloud-go/ecs-20140526/v4/client"
	"github.com/alibabacloud-go/tea/tea"
)

const everyStatus = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated"

// imagesOf lists images through the SDK, all pages.
func imagesOf(t testing.TB, c *ecs.Client, req *ecs.DescribeImagesRequest) map[string]*ecs.DescribeImagesResponseBodyImagesImage {
	t.Helper()
	out := map[string]*ecs.DescribeImagesResponseBodyImagesImage{}
	req.PageSize = tea.Int32(100)
	for n := int32(1); ; n++ {
		req.PageNumber = new(n)
		r, err := c.DescribeImages(req)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range r.Body.Images.Image {
			out[tea.StringValue(i.ImageId)] = i
		}
		if n*100 >= tea.Int32Value(r.Body.TotalCount) {
			return out
		}
	}
}

func TestDescribeImages(t *testing.T) {
	s := start(t, Options{Instances: 4000, Regions: 1, Images: 700})
	c := sdk(t, s)
	region := new("cn-hangzhou")
	byDefault := imagesOf(t, c, &ecs.DescribeImagesRequest{RegionId: region})
	all := imagesOf(t, c, &ecs.DescribeImagesRequest{RegionId: region, Status: new(everyStatus), ShowExpired: new(true)})
	if len(byDefault) == 0 || len(byDefault) >= len(all) || len(all) >= 700 {
		t.Errorf("%d images by default, %d of every status, of 700 in use: want deprecated ones hidden and deleted ones absent", len(byDefault), len(all))
	}
	owners, statuses := map[string]int{}, map[string]int{}
	for _, i := range all {
		owners[tea.StringValue(i.ImageOwnerAlias)]++
		statuses[tea.StringValue(i.Status)]++
	}
	for _, o := range []string{"system", "self", "others", "marketplace"} {
		if owners[o] == 0 {
			t.Errorf("no image of owner %s: %v", o, owners)
		}
	}
	if statuses["Deprecated"] == 0 || statuses["UnAvailable"] == 0 {
		t.Errorf("statuses %v", statuses)
	}
	var ids []string
	missing := 0
	for _, sl := range s.fleet.scopes[0].slots[:50] {
		ids = append(ids, sl.imageID)
		if !sl.present {
			missing++
		}
	}
	found := imagesOf(t, c, &ecs.DescribeImagesRequest{RegionId: region, Status: new(everyStatus), ImageId: new(strings.Join(append(ids, "m-nobody", ids[0]), ","))})
	if len(found) != 50-missing {
		t.Errorf("%d of 50 asked, %d are deleted", len(found), missing)
	}
	for _, id := range ids {
		if i := found[id]; i != nil && tea.StringValue(i.OSName) != tea.StringValue(all[id].OSName) {
			t.Errorf("%s by id and in the list differ", id)
		}
	}
	st := s.Stats()
	if st.ImagesAsked != 52 || st.ImagesDistinct != 51 || st.ImagesMostAsked != 2 {
		t.Errorf("asked %d, distinct %d, most %d; want 52, 51, 2", st.ImagesAsked, st.ImagesDistinct, st.ImagesMostAsked)
	}
}

func TestDescribeImagesRefuses(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 1})
	for _, kv := range [][]string{{"PageSize", "101"}, {"PageSize", "0"}, {"PageNumber", "0"}, {"PageSize", "x"}} {
		if r := ask(t, s, "DescribeImages", append(kv, "RegionId", "cn-hangzhou")...); r.code() != "InvalidParameter" {
			t.Errorf("%v: %s", kv, r.body)
		}
	}
	if r := ask(t, s, "DescribeImages", "RegionId", "cn-hangzhou", "ImageOwnerAlias", "me"); r.code() != "InvalidImageOwnerAlias.ValueNotSupported" {
		t.Errorf("%s", r.body)
	}
}

func TestInstanceTypesArePagedAndComplete(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 1})
	c := sdk(t, s)
	seen := map[string]bool{}
	req := &ecs.DescribeInstanceTypesRequest{MaxResults: tea.Int64(1600)}
	for {
		r, err := c.DescribeInstanceTypes(req)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(r.Body.InstanceTypes.InstanceType); n > 100 {
			t.Errorf("%d types in one page", n)
		}
		for _, it := range r.Body.InstanceTypes.InstanceType {
			seen[tea.StringValue(it.InstanceTypeId)] = true
			arm := strings.HasPrefix(tea.StringValue(it.InstanceTypeFamily), "ecs.g8y")
			if arm && (tea.StringValue(it.CpuArchitecture) != "ARM" || tea.StringValue(it.SupportedBootModes.SupportedBootMode[0]) != "UEFI") {
				t.Errorf("%s: %s", tea.StringValue(it.InstanceTypeId), tea.StringValue(it.CpuArchitecture))
			}
		}
		if req.NextToken = r.Body.NextToken; tea.StringValue(req.NextToken) == "" {
			break
		}
	}
	if len(seen) != len(s.fleet.data.types) || len(seen) < 1000 {
		t.Errorf("%d types of %d", len(seen), len(s.fleet.data.types))
	}
	r := ask(t, s, "DescribeInstanceTypes", "InstanceTypes.1", "ecs.g8i.large", "InstanceTypes.2", "ecs.t1.small")
	if !strings.Contains(string(r.body), "ecs.t1.small") || strings.Contains(string(r.body), "ecs.g8i.xlarge") {
		t.Errorf("by name: %.300s", r.body)
	}
	var many []string
	for i := 1; i <= 11; i++ {
		many = append(many, "InstanceTypes."+strconv.Itoa(i), "ecs.g6.large")
	}
	if r := ask(t, s, "DescribeInstanceTypes", many...); r.code() != "InvalidParameter" {
		t.Errorf("11 types: %.200s", r.body)
	}
}
