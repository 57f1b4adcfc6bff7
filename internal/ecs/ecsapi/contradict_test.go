package ecsapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/rules"
)

// hostile is a server of instances that contradicts what is documented of it.
type hostile struct {
	n         int // instances, i-000 and on
	tokenless bool
	pageSize  int // whatever is asked for; 0 keeps to it
	total     func(n int) string
	row       func(i int) string
	ids       func(asked []string) []string // which of those that are asked for it looks at
	noNumbers bool
}

func (h *hostile) instance(i int) string {
	if h.row != nil {
		return h.row(i)
	}
	return fmt.Sprintf(`{"InstanceId":"i-%03d","RegionId":"cn-hangzhou"}`, i)
}

func (h *hostile) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("DryRun") == "true" {
		refusal(400, dryRunAllowed)(w, r)
		return
	}
	if h.noNumbers && q.Has("PageNumber") {
		refusal(400, "InvalidParameter")(w, r)
		return
	}
	from, size, token := h.place(q)
	var rows []string
	n := h.n
	if raw := q.Get("InstanceIds"); raw != "" {
		var asked []string
		_ = json.Unmarshal([]byte(raw), &asked)
		for _, id := range h.ids(asked) {
			if i, err := strconv.Atoi(strings.TrimPrefix(id, "i-")); err == nil {
				rows = append(rows, h.instance(i))
			}
		}
		n, token = len(rows), ""
	} else {
		for i := from; i < min(from+size, h.n); i++ {
			rows = append(rows, h.instance(i))
		}
		if from+size >= h.n {
			token = ""
		}
	}
	body := `{"RequestId":"r"`
	if !h.tokenless {
		body += fmt.Sprintf(`,"NextToken":%q`, token)
	}
	if h.total == nil {
		body += fmt.Sprintf(`,"TotalCount":%d`, n)
	} else {
		body += h.total(n)
	}
	answer(w, 200, body+`,"Instances":{"Instance":[`+strings.Join(rows, ",")+`]}}`)
}

// place is where the page begins that is asked for, its size and the token of
// the next.
func (h *hostile) place(q url.Values) (from, size int, token string) {
	size = h.pageSize
	number := func(key string, or int) int {
		if n, err := strconv.Atoi(q.Get(key)); err == nil {
			return n
		}
		return or
	}
	if size == 0 {
		size = number("MaxResults", number("PageSize", 10))
	}
	switch {
	case q.Has("PageNumber"):
		from = (number("PageNumber", 1) - 1) * size
	case h.tokenless && h.pageSize == 0:
		size = 10 // MaxResults means nothing to it
	default:
		from = number("NextToken", 0)
	}
	return from, size, strconv.Itoa(from + size)
}

// listAll follows the chain to its end.
func listAll(t *testing.T, c *Client) (ids map[string]int, doubt *ecs.Error, err error) {
	t.Helper()
	ids = map[string]int{}
	var q ecs.Query
	for range 50 {
		p, err := c.Instances(t.Context(), testScope, q)
		if err != nil {
			return ids, doubt, err
		}
		for i := range p.Instances {
			ids[p.Instances[i].ID]++
		}
		if doubt == nil {
			doubt = p.Doubt
		}
		if q.NextToken = p.NextToken; q.NextToken == "" {
			return ids, doubt, nil
		}
	}
	t.Fatal("the chain does not end")
	return nil, nil, nil
}

func none(int) string { return "" }

func TestAChainThatIsCutShortIsReadToItsEndOrDoubted(t *testing.T) {
	for name, tc := range map[string]struct {
		h     hostile
		list  int
		doubt string
	}{
		"as documented":                              {hostile{n: 250}, 250, ""},
		"counts nothing beside tokens":               {hostile{n: 250, total: none}, 250, ""},
		"no tokens, MaxResults ignored":              {hostile{n: 25, tokenless: true}, 25, ""},
		"no tokens, full pages":                      {hostile{n: 250, tokenless: true}, 250, ""},
		"no tokens, pages of ten whatever is asked":  {hostile{n: 25, tokenless: true, pageSize: 10}, 25, ""},
		"no tokens, no count":                        {hostile{n: 25, tokenless: true, total: none}, 25, ""},
		"no tokens, and page numbers refused":        {hostile{n: 25, tokenless: true, noNumbers: true}, 10, "counts 25 instances and lists 10"},
		"counts 54 and has 32":                       {hostile{n: 32, total: func(int) string { return `,"TotalCount":54` }}, 32, "54 instances are counted and 32 listed"},
		"counts some and has none":                   {hostile{n: 0, total: func(int) string { return `,"TotalCount":3` }}, 0, "3 instances are counted and 0 listed"},
		"empty":                                      {hostile{n: 0}, 0, ""},
		"a count in quotes":                          {hostile{n: 32, total: func(n int) string { return fmt.Sprintf(`,"TotalCount":"%d"`, n) }}, 32, ""},
		"counts fewer than it has, as beside tokens": {hostile{n: 32, total: func(int) string { return `,"TotalCount":0` }}, 32, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, newFake(t, map[string]http.HandlerFunc{actInstances: tc.h.serve}), nil)
			ids, doubt, err := listAll(t, c)
			if err != nil || len(ids) != tc.list {
				t.Fatalf("%d instances, want %d: %v", len(ids), tc.list, err)
			}
			if (doubt == nil) != (tc.doubt == "") || (doubt != nil && (doubt.Class != ecs.Contradicted || !strings.Contains(doubt.Error(), tc.doubt))) {
				t.Errorf("doubt %v, want %q", doubt, tc.doubt)
			}
		})
	}
}

func TestAFleetThatChangesWhileItIsListedByNumberIsDoubted(t *testing.T) {
	left := 30
	h := hostile{n: 30, tokenless: true, pageSize: 10, total: func(n int) string { left--; return fmt.Sprintf(`,"TotalCount":%d`, min(n, left)) }}
	_, doubt, err := listAll(t, newTestClient(t, newFake(t, map[string]http.HandlerFunc{actInstances: h.serve}), nil))
	if err != nil || doubt == nil || !strings.Contains(doubt.Error(), "changed from") {
		t.Errorf("doubt %v, %v", doubt, err)
	}
}

func TestATokenThatIsNoneIsABadAnswer(t *testing.T) {
	for name, keys := range map[string]string{
		"twice, last empty": `"NextToken":"t","NextToken":""`,
		"twice, both alike": `"NextToken":"","NextToken":""`,
		"of another shape":  `"NextToken":{"a":1}`,
		"endless":           `"NextToken":"` + strings.Repeat("x", maxToken+1) + `"`,
		"like one of ours":  `"NextToken":"\u00002 1 3"`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actInstances: garbage(200, "application/json", `{`+keys+`,"Instances":{"Instance":[{"InstanceId":"i-1"}]}}`)})
			_, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{})
			mustClass(t, err, ecs.BadAnswer)
		})
	}
}

func TestAnErrorThatComesAsSuccessIsAnErrorWhateverStandsBesideIt(t *testing.T) {
	lists := map[string]string{
		actInstances: `"Instances":{"Instance":[]},"TotalCount":0`, actImages: `"Images":{"Image":[]}`, actRegions: `"Regions":{"Region":[]}`,
		actTypes: `"InstanceTypes":{"InstanceType":[]}`, actStock: `"AvailableZones":{"AvailableZone":[]}`,
	}
	for code, class := range map[string]ecs.Class{`"Code":"Forbidden.RAM"`: ecs.Permission, `"code":"Forbidden.RAM"`: ecs.Permission, `"Code":403`: ecs.BadRequest, `"Message":"you may not look"`: ecs.BadAnswer} {
		handlers := map[string]http.HandlerFunc{}
		for action, empty := range lists {
			handlers[action] = garbage(200, "application/json", `{"RequestId":"r",`+code+`,`+empty+`}`)
		}
		c := newTestClient(t, newFake(t, handlers), nil)
		for action, call := range map[string]func() error{
			actInstances: func() error { _, err := c.Instances(t.Context(), testScope, ecs.Query{}); return err },
			"count":      func() error { _, err := c.CountInstances(t.Context(), testScope, ecs.Query{}); return err },
			actImages:    func() error { _, err := c.Images(t.Context(), testScope, []string{"m-1"}); return err },
			actRegions:   func() error { _, err := c.Regions(t.Context(), testAccount); return err },
			actTypes:     func() error { _, err := c.InstanceTypes(t.Context(), testAccount); return err },
			actStock:     func() error { _, err := c.Stock(t.Context(), testScope, ecs.StockQuery{}); return err },
		} {
			t.Run(action+" "+code, func(t *testing.T) { mustClass(t, call(), class) })
		}
	}
}

func TestRowsThatAreNotAnAnswerToTheQuestionAreLeftOutAndNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		row   func(i int) string
		list  int
		doubt string
	}{
		"of another region": {func(i int) string { return fmt.Sprintf(`{"InstanceId":"i-%d","RegionId":"cn-%d"}`, i, i%2) }, 0, "30 of 30 instances that were listed for the region are of another one"},
		"some of another region": {func(i int) string {
			return fmt.Sprintf(`{"InstanceId":"i-%d","RegionId":%q}`, i, []string{"cn-hangzhou", "cn-beijing"}[i%2])
		}, 15, "15 of 30"},
		"without an id":        {func(i int) string { return `{"InstanceId":""}` }, 0, "30 of 30 instances that were listed have no usable id"},
		"with a NUL in the id": {func(i int) string { return fmt.Sprintf(`{"InstanceId":"i-%d\u0000"}`, i) }, 0, "usable id"},
		"half surrogates":      {func(i int) string { return fmt.Sprintf(`{"InstanceId":"i-\ud83d","OSName":"%d"}`, i) }, 0, "usable id"},
		"ids without end":      {func(i int) string { return fmt.Sprintf(`{"InstanceId":"i-%d%s"}`, i, strings.Repeat("x", 200)) }, 0, "usable id"},
		"of no region":         {func(i int) string { return fmt.Sprintf(`{"InstanceId":"i-%d"}`, i) }, 30, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := hostile{n: 30, row: tc.row}
			ids, doubt, err := listAll(t, newTestClient(t, newFake(t, map[string]http.HandlerFunc{actInstances: h.serve}), nil))
			if err != nil || len(ids) != tc.list || (doubt == nil) != (tc.doubt == "") || (doubt != nil && !strings.Contains(doubt.Error(), tc.doubt)) {
				t.Errorf("%d instances, doubt %v, %v", len(ids), doubt, err)
			}
		})
	}
}

func TestInstancesThatAreAskedForAreAskedForUntilNoneComes(t *testing.T) {
	asked := make([]string, 100)
	for i := range asked {
		asked[i] = fmt.Sprintf("i-%03d", i)
	}
	for name, tc := range map[string]struct {
		ids   func([]string) []string
		found int
		calls int
		doubt string
	}{
		"all of them":         {func(ids []string) []string { return ids }, 100, 1, ""},
		"the first twenty":    {func(ids []string) []string { return ids[:min(20, len(ids))] }, 100, 5, ""},
		"none":                {func([]string) []string { return nil }, 0, 2, ""}, // and a dry run
		"others":              {func([]string) []string { return []string{"i-500", "i-501"} }, 0, 1, "2 instances that were not asked for"},
		"some and others too": {func(ids []string) []string { return append(ids[:min(50, len(ids))], "i-500") }, 100, 2, "1 instances that were not asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			h := hostile{n: 1000, ids: tc.ids}
			f := newFake(t, map[string]http.HandlerFunc{actInstances: h.serve})
			p, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{InstanceIDs: asked})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Instances) != tc.found || p.NextToken != "" || f.count(actInstances) != tc.calls {
				t.Errorf("%d instances after %d calls, want %d after %d", len(p.Instances), f.count(actInstances), tc.found, tc.calls)
			}
			if (p.Doubt == nil) != (tc.doubt == "") || (p.Doubt != nil && !strings.Contains(p.Doubt.Error(), tc.doubt)) {
				t.Errorf("doubt %v, want %q", p.Doubt, tc.doubt)
			}
		})
	}
}

func TestInstancesThatAreNotThereAreProvedByADryRun(t *testing.T) {
	c := newTestClient(t, newFake(t, map[string]http.HandlerFunc{actInstances: revoked}), nil)
	_, err := c.Instances(t.Context(), testScope, ecs.Query{InstanceIDs: []string{"i-1"}})
	mustClass(t, err, ecs.Permission)
}

func TestAnUpperBoundOfCreationComesSecondAmongTheFilters(t *testing.T) {
	f := newFake(t, nil)
	if _, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{CreatedTo: testNow}); err != nil {
		t.Fatal(err)
	}
	q := f.request().URL.Query()
	if q.Get("Filter.1.Key") != "CreationStartTime" || q.Get("Filter.1.Value") != "2000-01-01T00:00Z" || q.Get("Filter.2.Key") != "CreationEndTime" {
		t.Errorf("query = %v", q)
	}
}

// shelf is a server of images that contradicts what is documented of it.
type shelf struct {
	cap     int                       // of the ids that it looks at; 0 is all
	owner   func(id string) string    // what must be asked for: ImageOwnerAlias and IsPublic
	gone    string                    // prefix of ids that are deleted
	extra   string                    // items beside those that are asked for
	total   func(n, asked int) string // TotalCount
	ignores bool                      // ImageId
	empty   bool                      // shows nothing, whatever is asked
	region  string
	asked   map[string]int // by id and question
	calls   int
}

func (h *shelf) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	h.calls++
	var rows []string
	asked := strings.Split(q.Get("ImageId"), ",")
	if q.Get("ImageId") == "" {
		asked = []string{"centos_7_9_x64_20G_alibase_20220727.vhd"}
	}
	for i, id := range asked {
		h.asked[id+" "+q.Get("ImageOwnerAlias")+q.Get("IsPublic")]++
		switch {
		case h.cap > 0 && i >= h.cap, h.gone != "" && strings.HasPrefix(id, h.gone), h.empty, h.ignores:
		case h.owner != nil && strings.HasPrefix(id, "m-") && h.owner(id) != q.Get("ImageOwnerAlias")+q.Get("IsPublic"):
		default:
			rows = append(rows, fmt.Sprintf(`{"ImageId":%q,"OSName":"CentOS 7.9"}`, id))
		}
	}
	if h.extra != "" {
		rows = append(rows, h.extra)
	}
	total := fmt.Sprintf(`,"TotalCount":%d`, len(rows))
	if h.total != nil {
		total = h.total(len(rows), len(asked))
	}
	answer(w, 200, fmt.Sprintf(`{"RequestId":"r","RegionId":%q%s,"Images":{"Image":[%s]}}`, h.region, total, strings.Join(rows, ",")))
}

func TestImagesAreAskedForAgainBeforeTheyAreMissing(t *testing.T) {
	ids := make([]string, 60)
	for i := range ids {
		ids[i] = fmt.Sprintf("m-%02d", i)
	}
	everyOwner := func(id string) string {
		return map[byte]string{'0': "marketplace", '1': "otherstrue", '2': "others"}[id[3]]
	}
	for name, tc := range map[string]struct {
		h       shelf
		missing int
		calls   int
		fails   string
	}{
		"all are there":                         {shelf{}, 0, 2, ""},
		"one is deleted":                        {shelf{gone: "m-59"}, 1, 6, ""},
		"the first twenty of the asked":         {shelf{cap: 20}, 0, 4, ""},
		"the first twenty, and ten are deleted": {shelf{cap: 20, gone: "m-4"}, 10, 7, ""},
		"shown to those who ask for the owner":  {shelf{owner: everyOwner, gone: "m-59"}, 1, 9, ""},
		"counts what it leaves out":             {shelf{cap: 20, total: func(_, asked int) string { return fmt.Sprintf(`,"TotalCount":%d`, asked) }}, 0, 4, ""},
		"counts what it never shows":            {shelf{gone: "m-4", total: func(_, asked int) string { return fmt.Sprintf(`,"TotalCount":%d`, asked) }}, 0, 6, "10 of the images were not found, but an answer counts 10 images and holds 0"},
		"others that were not asked for":        {shelf{ignores: true, extra: `{"ImageId":"m-other"}`}, 0, 8, "60 of the images were not found, but an answer holds 1 images that were not asked for and lacks"},
		"all, and others that were not asked":   {shelf{extra: `{"ImageId":"m-other"}`}, 0, 2, ""},
		"all are deleted":                       {shelf{gone: "m-"}, 60, 10, ""},
		"shows no image at all":                 {shelf{empty: true}, 0, 9, "not even one of Alibaba Cloud's own"},
	} {
		t.Run(name, func(t *testing.T) {
			h := tc.h
			h.asked, h.region = map[string]int{}, testScope.Region
			got, err := newTestClient(t, newFake(t, map[string]http.HandlerFunc{actImages: h.serve}), nil).Images(t.Context(), testScope, ids)
			if h.calls != tc.calls {
				t.Errorf("%d calls, want %d", h.calls, tc.calls)
			}
			if tc.fails != "" {
				mustClass(t, err, ecs.Contradicted)
				if !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%v, want %q", err, tc.fails)
				}
				return
			}
			if err != nil || len(got) != len(ids) {
				t.Fatalf("%d images, %v", len(got), err)
			}
			missing := 0
			for _, img := range got {
				if img.Facts.Presence == rules.ImageMissing {
					missing++
				} else if n := h.asked[img.ID+" "]; n > 1 && tc.h.cap == 0 && tc.h.owner == nil {
					t.Errorf("%s is there and was asked for %d times", img.ID, n)
				}
			}
			if missing != tc.missing {
				t.Errorf("%d missing, want %d", missing, tc.missing)
			}
		})
	}
}

func TestImagesOfAnotherRegionAreNoAnswer(t *testing.T) {
	h := shelf{asked: map[string]int{}, region: "cn-beijing"}
	_, err := newTestClient(t, newFake(t, map[string]http.HandlerFunc{actImages: h.serve}), nil).Images(t.Context(), testScope, []string{"m-1"})
	mustClass(t, err, ecs.BadAnswer)
}

// TestAnImageThatComesTwiceAsAnotherIsNoAnswer has an image stand in an answer under
// another system, or with another check, in either order. As it was twice it is one.
func TestAnImageThatComesTwiceAsAnotherIsNoAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		rows  string
		fails bool
	}{
		"another system": {`{"ImageId":"m-1","OSName":"CentOS 5.8"},{"ImageId":"m-1","OSName":"CentOS 7.9"}`, true},
		"another check":  {`{"ImageId":"m-1","OSName":"CentOS 7.9","Features":{"NvmeSupport":"supported"}},{"ImageId":"m-1","OSName":"CentOS 7.9","Features":{"NvmeSupport":"unsupported"}}`, true},
		"as it was":      {`{"ImageId":"m-1","OSName":"CentOS 7.9"},{"ImageId":"m-1","OSName":"CentOS 7.9"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actImages: garbage(200, "application/json", `{"TotalCount":2,"Images":{"Image":[`+tc.rows+`]}}`)})
			got, err := newTestClient(t, f, nil).Images(t.Context(), testScope, []string{"m-1"})
			if tc.fails {
				if e := mustClass(t, err, ecs.BadAnswer); !strings.Contains(e.Error(), `image "m-1" comes twice`) {
					t.Error(e)
				}
			} else if err != nil || len(got) != 1 || got[0].Facts.OSName != "CentOS 7.9" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestAnInstanceThatIsAnsweredTwiceByIDIsOneOrUnread asks for one that comes twice,
// stopped meanwhile, or as another machine, in one answer or from call to call.
func TestAnInstanceThatIsAnsweredTwiceByIDIsOneOrUnread(t *testing.T) {
	for name, tc := range map[string]struct {
		again string // members of the second row
		same  bool
	}{
		"stopped meanwhile":    {`"OSName":"CentOS 5.8","ImageId":"m-1","Status":"Stopped"`, true},
		"of another system":    {`"OSName":"CentOS 7.9","ImageId":"m-1"`, false},
		"of another image":     {`"OSName":"CentOS 5.8","ImageId":"m-2"`, false},
		"of another family":    {`"OSName":"CentOS 5.8","ImageId":"m-1","InstanceTypeFamily":"ecs.g8i"`, false},
		"of other disk driver": {`"OSName":"CentOS 5.8","ImageId":"m-1","ImageOptions":{"CurrentOSNVMeSupported":true}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			rows := `{"InstanceId":"i-1","OSName":"CentOS 5.8","ImageId":"m-1","Status":"Running"},{"InstanceId":"i-2"},{"InstanceId":"i-1",` + tc.again + `}`
			f := newFake(t, map[string]http.HandlerFunc{actInstances: garbage(200, "application/json", `{"TotalCount":2,"Instances":{"Instance":[`+rows+`]}}`)})
			p, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{InstanceIDs: []string{"i-1", "i-2"}})
			if err != nil {
				t.Fatal(err)
			}
			if tc.same != (p.Doubt == nil) || tc.same != (len(p.Instances) == 2) {
				t.Errorf("%+v, %v", p.Instances, p.Doubt)
			}
			if !tc.same && (!strings.Contains(p.Doubt.Error(), `instance "i-1" is answered twice`) || len(p.Instances) != 1 || p.Instances[0].ID != "i-2") {
				t.Errorf("%+v, %v", p.Instances, p.Doubt)
			}
		})
	}
}

// Against the simulator: what it hides from those who do not ask for its owner
// is found all the same, and nothing is called deleted that is not.
func TestNoImageIsCalledDeletedThatIsThere(t *testing.T) {
	t.Parallel()
	sim, c := simulate(t, ecssim.Options{Instances: 4000, Regions: 1, Images: 300, Seed: 5}, nil)
	s := ecs.Scope{Account: ecssim.DemoAccountID, Region: sim.Regions()[0]}
	var ids []string
	for q := (ecs.Query{}); ; {
		p, err := c.Instances(t.Context(), s, q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Instances {
			ids = append(ids, p.Instances[i].ImageID)
		}
		if q.NextToken = p.NextToken; q.NextToken == "" {
			break
		}
	}
	want, err := c.Images(t.Context(), s, ids)
	if err != nil {
		t.Fatal(err)
	}
	for name, fails := range map[string]bool{ecssim.ImagesByAlias.Name: false, ecssim.ImagesCapped.Name: false, ecssim.ImagesUnasked.Name: true, ecssim.ImagesEmpty.Name: true, ecssim.ImageIDsEmpty.Name: true, ecssim.ImagesErrorAs200.Name: true} {
		t.Run(name, func(t *testing.T) {
			if err := sim.Contradict(name); err != nil {
				t.Fatal(err)
			}
			got, err := c.Images(t.Context(), s, ids)
			if (err != nil) != fails {
				t.Fatalf("%v", err)
			}
			if diff := cmp.Diff(want, got); !fails && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAZoneOfAnotherRegionIsDoubted lists an instance of the asked region in zones of
// regions that DescribeRegions named, and in one that nobody knows.
func TestAZoneOfAnotherRegionIsDoubted(t *testing.T) {
	for zone, doubted := range map[string]bool{"cn-hangzhou-h": false, "cn-beijing-h": true, "cn-hang-a": false, "amtest30001-a": false, "": false} {
		t.Run(zone, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{
				actRegions:   garbage(200, "application/json", `{"Regions":{"Region":[{"RegionId":"cn-hangzhou"},{"RegionId":"cn-beijing"},{"RegionId":"cn-hang"}]}}`),
				actInstances: garbage(200, "application/json", `{"TotalCount":1,"NextToken":"","Instances":{"Instance":[{"InstanceId":"i-1","RegionId":"cn-hangzhou","ZoneId":"`+zone+`"}]}}`),
			})
			c := newTestClient(t, f, nil)
			if _, err := c.Regions(t.Context(), testAccount); err != nil {
				t.Fatal(err)
			}
			p, err := c.Instances(t.Context(), testScope, ecs.Query{})
			if err != nil || len(p.Instances) != 1 {
				t.Fatalf("%+v, %v", p, err)
			}
			if doubted != (p.Doubt != nil) {
				t.Errorf("doubt %v", p.Doubt)
			}
		})
	}
}

// TestAServerThatAnswersOneIDACallIsNotAskedForEver asks for a hundred instances
// by id, of which each answer holds one.
func TestAServerThatAnswersOneIDACallIsNotAskedForEver(t *testing.T) {
	h := &hostile{n: 100, ids: func(asked []string) []string { return asked[:1] }}
	f := newFake(t, map[string]http.HandlerFunc{actInstances: h.serve})
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprintf("i-%03d", i))
	}
	p, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{InstanceIDs: ids})
	if err != nil || p.Doubt == nil || !strings.Contains(p.Doubt.Error(), "12 of 100 instances that were asked for by id were answered in 12 calls") {
		t.Fatalf("%+v, %v", p, err)
	}
	if calls := f.count(actInstances); calls != maxNamed {
		t.Errorf("%d calls", calls)
	}
}

// TestAnAnswerThatSpeaksAgainstItselfIsNotTakenAsItStands reads answers of one
// instance, or none, that say otherwise in a member that no document has, or in
// one whose value is none.
func TestAnAnswerThatSpeaksAgainstItselfIsNotTakenAsItStands(t *testing.T) {
	t.Parallel()
	const row, none = `{"InstanceId":"i-1"}`, ``
	body := func(members, rows string) string {
		return `{"RequestId":"r","NextToken":"",` + members + `,"Instances":{"Instance":[` + rows + `]}}`
	}
	for name, tc := range map[string]struct {
		body string
		says string // an error, or a doubt; "" takes it as it stands
		rows int
	}{
		"HasMore beside an empty token":      {body(`"TotalCount":1,"HasMore":true`, row), "says that there are more", 1},
		"IsTruncated":                        {body(`"TotalCount":1,"IsTruncated":"true"`, row), "says that there are more", 1},
		"Partial":                            {body(`"TotalCount":1,"Partial":true`, row), "says that there are more", 1},
		"PartialResult":                      {body(`"TotalCount":1,"PartialResult":"true"`, row), "says that there are more", 1},
		"isIncomplete":                       {body(`"TotalCount":1,"isIncomplete":true`, row), "says that there are more", 1},
		"Incomplete is false":                {body(`"TotalCount":1,"Incomplete":false,"isPartial":"false"`, row), "", 1},
		"HasMore is false":                   {body(`"TotalCount":1,"HasMore":false`, row), "", 1},
		"hasMore beside an empty token":      {body(`"TotalCount":1,"hasMore":true`, row), "says that there are more", 1},
		"ISTRUNCATED is a text":              {body(`"TotalCount":1,"ISTRUNCATED":"True"`, row), "says that there are more", 1},
		"truncated is a number":              {body(`"TotalCount":1,"truncated":1`, row), "says that there are more", 1},
		"hasmore is false":                   {body(`"TotalCount":1,"hasmore":"false","istruncated":0,"truncated":null`, row), "", 1},
		"a token in small letters":           {body(`"TotalCount":1,"nexttoken":"more"`, row), "under two names", 0},
		"a count in capitals":                {body(`"TotalCount":1,"TOTALCOUNT":2`, row), "under two names", 0},
		"Success is false":                   {body(`"TotalCount":0,"Success":false`, none), "Success is false", 0},
		"Success is true":                    {body(`"TotalCount":1,"Success":true`, row), "", 1},
		"an ErrorCode":                       {body(`"TotalCount":0,"ErrorCode":"Forbidden"`, none), `ErrorCode is "Forbidden"`, 0},
		"an ErrorCode of none":               {body(`"TotalCount":1,"ErrorCode":"","errorMessage":null`, row), "", 1},
		"an Error":                           {body(`"TotalCount":0,"Error":{"Code":"Forbidden"}`, none), "Error is", 0},
		"a list of errors":                   {body(`"TotalCount":0,"Errors":[{"Code":"Forbidden"}]`, none), "Errors is", 0},
		"a status of 403":                    {body(`"TotalCount":0,"HttpStatusCode":403`, none), "HttpStatusCode is 403", 0},
		"a status of 200":                    {body(`"TotalCount":1,"HttpStatusCode":200`, row), "", 1},
		"a member of a private cloud":        {body(`"TotalCount":1,"asapiSuccess":true,"eagleEyeTraceId":"x"`, row), "", 1},
		"instances under two names":          {body(`"TotalCount":1,"instances":{"Instance":[]}`, row), "under two names", 0},
		"a row of a zone elsewhere":          {body(`"TotalCount":1`, `{"InstanceId":"i-1","ZoneId":"cn-beijing-h"}`), "are of another one", 0},
		"a row of a zone here":               {body(`"TotalCount":1`, `{"InstanceId":"i-1","ZoneId":"cn-hangzhou-h"}`), "", 1},
		"the region in capitals":             {body(`"TotalCount":1`, `{"InstanceId":"i-1","RegionId":"CN-HANGZHOU"}`), "are of another one", 0},
		"an id twice in a row":               {body(`"TotalCount":1`, `{"InstanceId":"i-1","InstanceId":"i-2"}`), "duplicate", 0},
		"a row of nothing":                   {body(`"TotalCount":1`, `{}`), "no usable id", 0},
		"a row that is text":                 {body(`"TotalCount":1`, `"i-1"`), "unmarshal", 0},
		"a count beyond all":                 {body(`"TotalCount":99999999999999999999`, row), "TotalCount", 0},
		"lower case":                         {`{"totalCount":0,"instances":{"instance":[]}}`, "has no Instances.Instance", 0},
		"a list of null":                     {`{"TotalCount":0,"Instances":{"Instance":null}}`, "has no Instances.Instance", 0},
		"no instances at all":                {`{"TotalCount":0,"Instances":{}}`, "has no Instances.Instance", 0},
		"the answer in an envelope":          {`{"data":` + body(`"TotalCount":1`, row) + `}`, "has no Instances.Instance", 0},
		"a byte order mark":                  {"\xef\xbb\xbf" + body(`"TotalCount":0`, none), "invalid character", 0},
		"XML":                                {`<DescribeInstancesResponse><TotalCount>0</TotalCount></DescribeInstancesResponse>`, "invalid character", 0},
		"another answer behind it":           {body(`"TotalCount":0`, none) + body(`"TotalCount":5`, none), "after top-level value", 0},
		"one instance without list brackets": {`{"RequestId":"r","NextToken":"","TotalCount":1,"Instances":{"Instance":{"InstanceId":"i-1"}}}`, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actInstances: func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("DryRun") == "true" {
					refusal(400, dryRunAllowed)(w, r)
					return
				}
				answer(w, 200, tc.body)
			}})
			p, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{})
			said := ""
			switch {
			case err != nil:
				said = err.Error()
			case p.Doubt != nil:
				said = p.Doubt.Error()
			}
			if (said == "") != (tc.says == "") || !strings.Contains(said, tc.says) {
				t.Errorf("said %q", said)
			}
			if err == nil && len(p.Instances) != tc.rows {
				t.Errorf("%d instances", len(p.Instances))
			}
		})
	}
	// A count that is no number is none, and no zero.
	f := newFake(t, map[string]http.HandlerFunc{actInstances: func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, body(`"TotalCount":""`, none)) }})
	if n, err := newTestClient(t, f, nil).CountInstances(t.Context(), testScope, ecs.Query{}); n != ecs.NoCount || err != nil {
		t.Errorf("an empty count is %d, %v", n, err)
	}
}

// TestAListThatSaysThatItGoesOnIsNotAll asks for lists of which the API knows no pages, in answers
// that say all the same that there is more: what they do not name may be there.
func TestAListThatSaysThatItGoesOnIsNotAll(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ members, says string }{
		"a token":             {`"NextToken":"x"`, "goes on under a NextToken"},
		"more are counted":    {`"TotalCount":3`, "counts 3"},
		"HasMore":             {`"HasMore":true`, "says that there are more"},
		"istruncated":         {`"istruncated":"True"`, "says that there are more"},
		"a token in capitals": {`"NEXTTOKEN":"x"`, "under two names"},
		"all are counted":     {`"TotalCount":2,"NextToken":"","HasMore":false`, ""},
		"nothing is said":     {`"HostId":"h"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := func(list string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					answer(w, 200, `{"RequestId":"r",`+tc.members+`,`+list+`}`)
				}
			}
			c := newTestClient(t, newFake(t, map[string]http.HandlerFunc{
				actRegions: body(`"Regions":{"Region":[{"RegionId":"cn-hangzhou"},{"RegionId":"cn-beijing"},{"RegionId":"cn-beijing"}]}`),
				actStock:   body(`"AvailableZones":{"AvailableZone":[{"ZoneId":"cn-hangzhou-h"},{"ZoneId":"cn-hangzhou-i"}]}`),
				actOffered: body(`"InstanceTypes":{"InstanceType":[{"InstanceTypeId":"ecs.g6.large"},{"InstanceTypeId":"ecs.g7.large"}]}`),
			}), nil)
			regions, err := c.Regions(t.Context(), testAccount)
			for asked, err := range map[string]error{
				actRegions: err,
				actStock:   second(c.Stock(t.Context(), testScope, ecs.StockQuery{})),
				actOffered: second(c.OfferedFamilies(t.Context(), testScope, "m-1")),
			} {
				if said := fmt.Sprint(err); (err == nil) != (tc.says == "") || !strings.Contains(said, tc.says) {
					t.Errorf("%s: %v", asked, err)
				}
			}
			if twice := tc.says == "under two names"; len(regions) != 3 && !twice {
				t.Errorf("%d regions that were named are returned", len(regions))
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// TestAnImageIsNotMissingFromAListThatGoesOn asks for two images, of which the answers hold one.
func TestAnImageIsNotMissingFromAListThatGoesOn(t *testing.T) {
	t.Parallel()
	for members, says := range map[string]string{
		`"NextToken":"x"`: "goes on under a NextToken", `"HasMore":true`: "says that there are more", `"nextToken":"x"`: "under two names", `"PageNumber":1`: "",
	} {
		t.Run(members, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actImages: func(w http.ResponseWriter, r *http.Request) {
				rows := ""
				if strings.HasPrefix(r.URL.Query().Get("ImageId"), "m-1") {
					rows = `{"ImageId":"m-1"}`
				}
				answer(w, 200, `{"RequestId":"r",`+members+`,"Images":{"Image":[`+rows+`]}}`)
			}})
			images, err := newTestClient(t, f, nil).Images(t.Context(), testScope, []string{"m-1", "m-2"})
			if said := fmt.Sprint(err); (err == nil) != (says == "") || !strings.Contains(said, says) {
				t.Errorf("said %q of %+v", said, images)
			}
		})
	}
}

// TestAnInstanceTypeThatComesTwiceAsAnotherIsNotTaken reads a catalogue on two pages.
func TestAnInstanceTypeThatComesTwiceAsAnotherIsNotTaken(t *testing.T) {
	t.Parallel()
	const first = `{"InstanceTypeId":"ecs.g8i.large","InstanceTypeFamily":"ecs.g8i","CpuArchitecture":"X86","NvmeSupport":"required"}`
	for name, tc := range map[string]struct{ last, says string }{
		"alike":            {`"InstanceTypes":{"InstanceType":[` + first + `]}`, ""},
		"NVMe":             {`"InstanceTypes":{"InstanceType":[` + strings.Replace(first, "required", "unsupported", 1) + `]}`, `"ecs.g8i.large" comes twice`},
		"the architecture": {`"InstanceTypes":{"InstanceType":[` + strings.Replace(first, "X86", "ARM", 1) + `]}`, `"ecs.g8i.large" comes twice`},
		"more are counted": {`"TotalCount":3,"InstanceTypes":{"InstanceType":[` + first + `]}`, "counts 3 instance types and names 1"},
		"none":             {`"InstanceTypes":{"InstanceType":[]}`, "names no instance type at all"},
		"more are said":    {`"HasMore":true,"InstanceTypes":{"InstanceType":[]}`, "says that there are more"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "none" {
				_, err := newTestClient(t, newFake(t, map[string]http.HandlerFunc{actTypes: func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, `{"RequestId":"r",`+tc.last+`}`) }}), nil).InstanceTypes(t.Context(), testAccount)
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Error(err)
				}
				return
			}
			f := newFake(t, map[string]http.HandlerFunc{actTypes: func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("NextToken") == "" {
					answer(w, 200, `{"RequestId":"r","NextToken":"2","HasMore":true,"InstanceTypes":{"InstanceType":[`+first+`]}}`)
					return
				}
				answer(w, 200, `{"RequestId":"r","NextToken":"",`+tc.last+`}`)
			}})
			types, err := newTestClient(t, f, nil).InstanceTypes(t.Context(), testAccount)
			if said := fmt.Sprint(err); (err == nil) != (tc.says == "") || !strings.Contains(said, tc.says) {
				t.Errorf("said %q of %+v", said, types)
			}
		})
	}
}

// TestWhatIsSaidOfAnImageTwiceCountsAsTheWorse reads images whose checks and tags contradict
// each other: of a check the worse result counts, of a text neither, and nothing good of a
// check that found a risk or has not come to its end.
func TestWhatIsSaidOfAnImageTwiceCountsAsTheWorse(t *testing.T) {
	t.Parallel()
	check := func(name, value, risk string) string {
		return fmt.Sprintf(`{"Name":%q,"Value":%q,"RiskCode":%q}`, name, value, risk)
	}
	level := func(name, value, risk string) string {
		return fmt.Sprintf(`{"Name":%q,"Value":%q,"RiskCode":"","RiskLevel":%q}`, name, value, risk)
	}
	tag := func(value string) string {
		return fmt.Sprintf(`{"TagKey":"acs:ecs:image:kernelVersion","TagValue":%q}`, value)
	}
	for name, tc := range map[string]struct {
		checks, tags []string
		status       string // of the check; "": not told
		want         rules.ImageFacts
		says         string
	}{
		"a good check":            {checks: []string{check("Nvme", "supported", "")}, want: rules.ImageFacts{CheckNVMe: rules.Yes}},
		"twice alike":             {checks: []string{check("Nvme", "supported", ""), check("GUESTOS.Nvme", "Passed", "")}, want: rules.ImageFacts{CheckNVMe: rules.Yes}},
		"bad, then good":          {checks: []string{check("Virtio", "unsupported", ""), check("GUESTOS.Virtio", "supported", "")}, want: rules.ImageFacts{CheckVirtio: rules.No}},
		"good, then bad":          {checks: []string{check("Virtio", "supported", ""), check("GUESTOS.Virtio", "unsupported", "")}, want: rules.ImageFacts{CheckVirtio: rules.No}},
		"good, then unread":       {checks: []string{check("Virtio", "supported", ""), check("GUESTOS.Virtio", "perhaps", "")}},
		"unread, then good":       {checks: []string{check("Virtio", "perhaps", ""), check("GUESTOS.Virtio", "supported", "")}},
		"good beside a risk":      {checks: []string{check("Nvme", "supported", "NvmeDriver.NotInstalled")}},
		"bad beside a risk":       {checks: []string{check("Nvme", "unsupported", "NvmeDriver.NotInstalled")}, want: rules.ImageFacts{CheckNVMe: rules.No}},
		"a risk alone":            {checks: []string{check("Nvme", "", "NvmeDriver.NotInstalled")}, want: rules.ImageFacts{CheckNVMe: rules.No}},
		"good with a level":       {checks: []string{level("Nvme", "supported", "High")}},
		"good without a level":    {checks: []string{level("Nvme", "supported", "None")}, want: rules.ImageFacts{CheckNVMe: rules.Yes}},
		"a level alone":           {checks: []string{level("Nvme", "", "High")}, want: rules.ImageFacts{CheckNVMe: rules.No}},
		"good of a finished one":  {checks: []string{check("Nvme", "supported", "")}, status: "Finished", want: rules.ImageFacts{CheckNVMe: rules.Yes}},
		"good of an open one":     {checks: []string{check("Nvme", "supported", ""), check("Fstab", "Normal", "")}, status: "Processing"},
		"bad of an open one":      {checks: []string{check("Nvme", "unsupported", ""), check("GRUB", "", "Grub.DeviceNames")}, status: "Processing", want: rules.ImageFacts{CheckNVMe: rules.No, CheckGRUB: rules.No}},
		"good of a failed one":    {checks: []string{check("Virtio", "supported", "")}, status: "Failed"},
		"not, in two words":       {checks: []string{check("Virtio", "Not Supported", "")}, want: rules.ImageFacts{CheckVirtio: rules.No}},
		"not, joined":             {checks: []string{check("Nvme", "not_installed", "")}, want: rules.ImageFacts{CheckNVMe: rules.No}},
		"not, in another word":    {checks: []string{check("Virtio", "NotDetected", ""), check("Nvme", "Missing", "")}, want: rules.ImageFacts{CheckVirtio: rules.No, CheckNVMe: rules.No}},
		"neither yes nor no":      {checks: []string{check("Virtio", "unknown", ""), check("Nvme", "note", "")}},
		"keys in other letters":   {tags: []string{`{"TagKey":"ACS:ECS:image:kernelversion","TagValue":"2.6.18"}`, `{"TagKey":"acs:ecs:image:OSVersion","TagValue":"5.8"}`}, want: rules.ImageFacts{TagKernelVersion: "2.6.18", TagOSVersion: "5.8"}},
		"two, in other letters":   {tags: []string{tag("5.10"), `{"TagKey":"acs:ecs:image:kernelversion","TagValue":"2.6.18"}`}, says: "twice"},
		"a kernel twice alike":    {tags: []string{tag("5.10"), tag("5.10")}, want: rules.ImageFacts{TagKernelVersion: "5.10"}},
		"two kernels by the tags": {tags: []string{tag("2.6.18"), tag("5.10")}, says: `image "m" has the tag acs:ecs:image:kernelVersion twice`},
		"two kernels by checks":   {checks: []string{check("KernelVersion", "2.6.18", ""), check("GUESTOS.KernelVersion", "5.10", "")}, says: `image "m" has the check kernelversion twice`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeImages([]byte(`{"Images":{"Image":[{"ImageId":"m","DetectionOptions":{"Status":"`+tc.status+`","Items":{"Item":[`+strings.Join(tc.checks, ",")+`]}},"Tags":{"Tag":[`+strings.Join(tc.tags, ",")+`]}}]}}`), "cn-hangzhou")
			if said := fmt.Sprint(err); (err == nil) != (tc.says == "") || !strings.Contains(said, tc.says) {
				t.Fatalf("said %q", said)
			}
			if err != nil {
				return
			}
			tc.want.Presence = rules.ImageFound
			if diff := cmp.Diff(tc.want, got.images[0].Facts); diff != "" {
				t.Error(diff)
			}
		})
	}
}
