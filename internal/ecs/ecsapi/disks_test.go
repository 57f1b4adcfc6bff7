package ecsapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
)

// diskShelf is a server of disks: n of them, disk k attached to instance k/2.
type diskShelf struct {
	n      int
	total  func(n int) string
	row    func(k int) string
	cut    int  // rows that a list leaves out at its end
	deaf   bool // to InstanceId
	pages  func(page int) string
	tokens []string // that were asked with
}

func (s *diskShelf) disk(k int) string {
	if s.row != nil {
		return s.row(k)
	}
	return diskRow(k, `"Category":"cloud_ssd"`)
}

// diskRow is disk k as it is sent, with more members.
func diskRow(k int, more string) string {
	kind := "system"
	if k%2 == 1 {
		kind = "data"
	}
	return fmt.Sprintf(`{"DiskId":"d-%d","RegionId":"cn-hangzhou","Type":%q,"Size":40,"Device":"/dev/xvda","InstanceId":"i-%d",%s}`, k, kind, k/2, more)
}

func (s *diskShelf) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	at := 0
	var rows []string
	if q.Has("NextToken") {
		s.tokens = append(s.tokens, q.Get("NextToken"))
		at, _ = strconv.Atoi(q.Get("NextToken"))
	}
	if s.pages != nil && q.Has("MaxResults") {
		answer(w, 200, s.pages(len(s.tokens)))
		return
	}
	first, last := at, min(at+500, s.n)
	if id := q.Get("InstanceId"); id != "" && !s.deaf {
		i, _ := strconv.Atoi(strings.TrimPrefix(id, "i-"))
		first, last = 2*i, min(2*i+2, s.n)
	}
	next := ""
	if last < s.n && q.Get("InstanceId") == "" {
		next = strconv.Itoa(last)
	} else {
		last -= s.cut
	}
	for k := first; k < last && q.Has("MaxResults"); k++ {
		rows = append(rows, s.disk(k))
	}
	n := s.n
	if q.Has("InstanceId") {
		n = len(rows)
	}
	total := fmt.Sprintf(`,"TotalCount":%d`, n)
	if s.total != nil {
		total = s.total(n)
	}
	answer(w, 200, fmt.Sprintf(`{"RequestId":"r","NextToken":%q%s,"Disks":{"Disk":[%s]}}`, next, total, strings.Join(rows, ",")))
}

func instanceIDs(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("i-%d", i))
	}
	return out
}

// Which way takes fewer calls is decided by the number of disks, and not by what
// an answer says that is too much.
func TestDisksAreAskedForInTheFewestCalls(t *testing.T) {
	for _, c := range []struct {
		name             string
		disks, instances int
		total            func(int) string
		calls            int
		list, doubted    bool
	}{
		{name: "one_instance_is_one_call", disks: 4000, instances: 1, calls: 1},
		{name: "a_few_of_a_large_region_one_by_one", disks: 4000, instances: 8, calls: 1 + 8},
		{name: "more_than_its_pages_by_its_pages", disks: 4000, instances: 9, calls: 1 + 8, list: true},
		{name: "a_small_region_by_its_page", disks: 400, instances: 2, calls: 1 + 1, list: true},
		{name: "no_count", disks: 400, instances: 2, total: func(int) string { return "" }, calls: 1 + 1, list: true},
		{name: "a_count_of_none", disks: 400, instances: 2, total: func(int) string { return `,"TotalCount":0` }, calls: 1 + 1 + 1, list: true, doubted: true},
		{name: "a_huge_count_has_no_thousands_asked", disks: 3000, instances: 1400, total: func(int) string { return `,"TotalCount":1000000000` }, calls: 1 + 6 + 1, list: true, doubted: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &diskShelf{n: c.disks, total: c.total}
			f := newFake(t, map[string]http.HandlerFunc{actDisks: s.serve})
			heard := 0
			got, err := newTestClient(t, f, nil).InstanceDisks(t.Context(), testScope, instanceIDs(c.instances), func(*ecs.Disk) { heard++ })
			want := 2 * c.instances
			if c.list {
				want = c.disks
			}
			if err != nil || got.Calls != c.calls || f.count(actDisks) != c.calls || heard != want {
				t.Errorf("%d calls, %d said, want %d; %d disks, want %d; %v", f.count(actDisks), got.Calls, c.calls, heard, want, err)
			}
			if (got.Doubt != nil) != c.doubted {
				t.Errorf("doubt %v", got.Doubt)
			}
		})
	}
}

func TestDisksThatAreNotBelieved(t *testing.T) {
	twice := func(second string) func(int) string {
		return func(page int) string {
			return fmt.Sprintf(`{"NextToken":"","Disks":{"Disk":[%s,%s]},"TotalCount":1}`, diskRow(0, `"Category":"cloud_ssd"`), second)
		}
	}
	grows := func() func(int) string { // disks came while they were listed
		asked := 0
		return func(n int) string {
			if asked++; asked == 1 {
				n -= 10
			}
			return fmt.Sprintf(`,"TotalCount":%d`, n)
		}
	}
	for _, c := range []struct {
		name      string
		shelf     diskShelf
		instances int
		says      string // of the doubt; "" for none
		heard     int
	}{
		{name: "a_list_that_is_shorter_than_the_count", shelf: diskShelf{n: 700, cut: 1}, instances: 200, says: "700 disks by the count and 699 by the list", heard: 699},
		{name: "one_that_is_longer", shelf: diskShelf{n: 700, total: func(n int) string { return `,"TotalCount":10` }}, instances: 200, says: "10 disks by the count and 700 by the list", heard: 700},
		{name: "one_that_is_longer_than_a_count_that_was_true_before", shelf: diskShelf{n: 700, total: grows()}, instances: 200, heard: 700},
		{name: "no_count_at_all", shelf: diskShelf{n: 700, total: func(int) string { return "" }}, instances: 200, heard: 700},
		{name: "an_instance_with_fewer_disks_than_are_counted", shelf: diskShelf{n: 10, total: func(n int) string { return `,"TotalCount":3` }}, instances: 1, says: "instance i-0 has 3 disks by the count and 2 by the list", heard: 2},
		{name: "disks_of_others", shelf: diskShelf{n: 4, deaf: true}, instances: 1, says: "is not attached to it", heard: 4},
		{name: "an_empty_list_beside_a_count", shelf: diskShelf{pages: func(int) string { return `{"Disks":{"Disk":[]},"TotalCount":2}` }}, instances: 1, says: "2 disks by the count and 0 by the list"},
		{name: "disks_of_another_region", shelf: diskShelf{n: 2, row: func(k int) string {
			return strings.Replace(diskRow(k, `"Category":"x"`), "cn-hangzhou", "cn-beijing", 1)
		}}, instances: 1, says: "of another region"},
		{name: "a_disk_in_use_by_nobody", shelf: diskShelf{n: 4, row: func(k int) string {
			return strings.Replace(diskRow(k, `"Category":"x","Status":"In_use"`), `"InstanceId":"i-1"`, `"InstanceId":""`, 1)
		}}, instances: 2, says: "is in use, and of which instance is not said", heard: 2},
		{name: "a_disk_that_lies_unused", shelf: diskShelf{n: 4, row: func(k int) string {
			return strings.Replace(diskRow(k, `"Category":"x","Status":"Available"`), `"InstanceId":"i-1"`, `"InstanceId":""`, 1)
		}}, instances: 2, heard: 4},
		{name: "an_id_that_is_none", shelf: diskShelf{n: 2, row: func(k int) string { return strings.Replace(diskRow(k, `"Category":"x"`), "d-", "<d>", 1) }}, instances: 1, says: "is no id of a disk"},
		{name: "rows_that_are_null", shelf: diskShelf{n: 2, row: func(int) string { return "null" }}, instances: 1, says: "is no id of a disk"},
		{name: "a_list_that_says_that_it_goes_on", shelf: diskShelf{n: 4, total: func(int) string { return `,"HasMore":true` }}, instances: 2, says: "says that there are more disks", heard: 4},
		{name: "an_instance_that_says_so", shelf: diskShelf{n: 4, total: func(int) string { return `,"IsTruncated":"true"` }}, instances: 1, says: "says that there are more disks", heard: 2},
		{name: "one_that_says_that_it_ends", shelf: diskShelf{n: 4, total: func(int) string { return `,"HasMore":false` }}, instances: 2, heard: 4},
		{name: "the_same_disk_twice", shelf: diskShelf{pages: twice(diskRow(0, `"Category":"cloud_ssd"`))}, instances: 1, heard: 1},
		{name: "the_same_disk_as_two_things", shelf: diskShelf{pages: twice(diskRow(0, `"Category":"cloud_essd"`))}, instances: 1, says: "twice, and not as the same", heard: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actDisks: c.shelf.serve})
			heard := 0
			got, err := newTestClient(t, f, nil).InstanceDisks(t.Context(), testScope, instanceIDs(c.instances), func(*ecs.Disk) { heard++ })
			if err != nil || heard != c.heard {
				t.Errorf("%d disks, want %d; %v", heard, c.heard, err)
			}
			switch {
			case c.says == "" && got.Doubt != nil, c.says != "" && (got.Doubt == nil || got.Doubt.Class != ecs.Contradicted || !strings.Contains(got.Doubt.Error(), c.says)):
				t.Errorf("doubt %v, want %q", got.Doubt, c.says)
			}
		})
	}
}

func TestDisksThatCannotBeRead(t *testing.T) {
	page := func(body string) diskShelf { return diskShelf{pages: func(int) string { return body }} }
	for _, c := range []struct {
		name  string
		shelf diskShelf
		class ecs.Class
	}{
		{"no_list", page(`{"RequestId":"r"}`), ecs.BadAnswer},
		{"another_shape", page(`{"Disks":{"Disk":"none"}}`), ecs.BadAnswer},
		{"an_error_as_200", page(`{"Code":"Forbidden.RAM","Message":"no","Disks":{"Disk":[]}}`), ecs.BadAnswer},
		{"a_token_that_leads_to_itself", page(`{"NextToken":"x","Disks":{"Disk":[]}}`), ecs.BadAnswer},
		{"pages_that_bring_nothing", diskShelf{pages: func(n int) string { return fmt.Sprintf(`{"NextToken":"x%d","Disks":{"Disk":[]}}`, n) }}, ecs.BadAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actDisks: c.shelf.serve})
			client := newTestClient(t, f, func(o *Options) { o.MaxAttempts = 1 })
			for _, n := range []int{1, 3} {
				_, err := client.InstanceDisks(t.Context(), testScope, instanceIDs(n), func(*ecs.Disk) {})
				if err == nil || ecs.ClassOf(err) != c.class && ecs.ClassOf(err) != ecs.Permission {
					t.Errorf("%d instances: %v", n, err)
				}
			}
		})
	}
	f := newFake(t, map[string]http.HandlerFunc{actDisks: refusal(403, "Forbidden.RAM")})
	_, err := newTestClient(t, f, nil).InstanceDisks(t.Context(), testScope, instanceIDs(3), func(*ecs.Disk) {})
	if e := mustClass(t, err, ecs.Permission); !strings.Contains(e.Mend, "ecs:DescribeDisks") {
		t.Error(e)
	}
}

// The documents' own examples: one disk that is attached, and two that are not.
func TestDisksOfTheDocuments(t *testing.T) {
	for name, body := range responses(t, "DescribeDisks.") {
		region := "cn-hangzhou"
		if strings.Contains(name, "-2") {
			region = "cn-qingdao"
		}
		got, err := decodeDisks([]byte(strings.ReplaceAll(string(body), "*", "x")), region)
		if err != nil || got.odd != "" || len(got.disks) == 0 || got.total < 9 {
			t.Fatalf("%s: %+v, %v", name, got, err)
		}
		if region == "cn-hangzhou" && strings.Contains(name, "zh") {
			want := ecs.Disk{ID: "d-bp18um4r4f2fve24xxxx", Category: "cloud_ssd", Kind: "system", Device: "/dev/xvda", SizeGiB: 40, Instances: []string{"i-bp67acfmxazb4qxxxx"}}
			if diff := cmp.Diff(want, got.disks[0]); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// A disk that may be attached to several instances names them in a list alone.
func TestASharedDiskIsOneOfEachOfItsInstances(t *testing.T) {
	body := `{"Disks":{"Disk":[{"DiskId":"d-1","InstanceId":"","Attachments":{"Attachment":[{"InstanceId":"i-1","Device":"/dev/xvdb"},{"InstanceId":"i-2"}]}},
		{"DiskId":"d-2","MountInstances":{"MountInstance":[{"InstanceId":"i-3","Device":"/dev/xvdc"}]}}]}}`
	got, err := decodeDisks([]byte(body), "cn-hangzhou")
	if err != nil || !slices.Equal(got.disks[0].Instances, []string{"i-1", "i-2"}) || got.disks[0].Device != "/dev/xvdb" || !slices.Equal(got.disks[1].Instances, []string{"i-3"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Words that this program knows are the same in whatever capitals: a disk that is to be
// converted is one also where its category is shouted.
func TestACategoryIsOneInWhateverCapitals(t *testing.T) {
	got, err := decodeDisks([]byte(`{"Disks":{"Disk":[{"DiskId":"d-1","Category":"CLOUD_SSD","Type":"System","Device":"/dev/xvdA","InstanceId":"i-1"}]}}`), "cn-hangzhou")
	if err != nil || got.disks[0].Category != "cloud_ssd" || got.disks[0].Kind != "system" || got.disks[0].Device != "/dev/xvdA" {
		t.Errorf("%+v, %v", got, err)
	}
}
