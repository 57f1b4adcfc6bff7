package ecssim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	ecs "github.com/alibabacloud-go/ecs-20140526/v4/client"
)

const here, there = "cn-hangzhou", "cn-shanghai"

// idsOf are the ids of a page.
func (p page) ids() []string {
	out := make([]string, 0, len(p.Instances.Instance))
	for _, in := range p.Instances.Instance {
		out = append(out, in.InstanceId)
	}
	return out
}

// probe asks a simulator what a contradiction is about.
type probe struct {
	*testing.T
	s *Server
}

func (p probe) ask(kv ...string) result {
	return ask(p.T, p.s, "DescribeInstances", append([]string{"RegionId", here}, kv...)...)
}

func (p probe) images(kv ...string) (code string, ids []string) {
	r := ask(p.T, p.s, "DescribeImages", append([]string{"RegionId", here, "PageSize", "100", "Status", everyStatus, "ShowExpired", "true"}, kv...)...)
	var v struct {
		Images struct{ Image []struct{ ImageId string } }
	}
	if err := json.Unmarshal(r.body, &v); err != nil {
		p.Fatalf("%v in %.300s", err, r.body)
	}
	for _, i := range v.Images.Image {
		ids = append(ids, i.ImageId)
	}
	return r.code(), ids
}

// first is the first full page.
func (p probe) first() page { return p.ask("MaxResults", "100").page(p.T) }

// chain follows the tokens for at most so many pages and returns their sizes.
func (p probe) chain(most int) (sizes []int) {
	token := ""
	for range most {
		page := p.ask("MaxResults", "100", "NextToken", token).page(p.T)
		sizes = append(sizes, len(page.Instances.Instance))
		if token = page.NextToken; token == "" {
			break
		}
	}
	return sizes
}

// created counts the instances between two minutes; the filters stand in the
// given places.
func (p probe) created(from, to string, start, end int) (n int, code string) {
	kv := []string{"PageNumber", "1", "PageSize", "100"}
	if from != "" {
		kv = append(kv, fmt.Sprintf("Filter.%d.Key", start), "CreationStartTime", fmt.Sprintf("Filter.%d.Value", start), from)
	}
	if to != "" {
		kv = append(kv, fmt.Sprintf("Filter.%d.Key", end), "CreationEndTime", fmt.Sprintf("Filter.%d.Value", end), to)
	}
	r := p.ask(kv...)
	return r.page(p.T).TotalCount, r.code()
}

// minute is the creation time of the instance in the middle of the page.
func (p probe) minute() string { return p.first().Instances.Instance[50].CreationTime }

func (p probe) total() int { return p.ask("PageNumber", "1", "PageSize", "1").page(p.T).TotalCount }

// has says whether a member is in the answer.
func has(r result, member string) bool { return strings.Contains(string(r.body), `"`+member+`"`) }

// agents asks for the agents of a page of instances.
func (p probe) agents() result {
	kv := []string{"RegionId", here}
	for i, id := range p.first().ids() {
		kv = append(kv, fmt.Sprintf("InstanceId.%d", i+1), id)
	}
	return ask(p.T, p.s, "DescribeCloudAssistantStatus", kv...)
}

// console asks for the console log of the first instance.
func (p probe) console() result {
	return ask(p.T, p.s, "GetInstanceConsoleOutput", "RegionId", here, "InstanceId", p.first().ids()[0])
}

// listedTemplate is a row of DescribeLaunchTemplates.
type listedTemplate struct {
	LaunchTemplateID                          string `json:"LaunchTemplateId"`
	DefaultVersionNumber, LatestVersionNumber int64
}

// templates asks for the launch templates.
func (p probe) templates() (counted int, list []listedTemplate) {
	var got struct {
		TotalCount         int
		LaunchTemplateSets struct{ LaunchTemplateSet []listedTemplate }
	}
	if err := json.Unmarshal(ask(p.T, p.s, "DescribeLaunchTemplates", "RegionId", here, "PageSize", "50").body, &got); err != nil {
		p.T.Fatal(err)
	}
	return got.TotalCount, got.LaunchTemplateSets.LaunchTemplateSet
}

// versions asks for the default version of the first launch template.
func (p probe) versions() result {
	_, list := p.templates()
	return ask(p.T, p.s, "DescribeLaunchTemplateVersions", "RegionId", here, "LaunchTemplateId", list[0].LaunchTemplateID, "LaunchTemplateVersion.1", strconv.FormatInt(list[0].DefaultVersionNumber, 10))
}

// shows holds one check a contradiction: whether it is in force.
var shows = map[Contradiction]func(p probe) bool{
	BoundsExclusive: func(p probe) bool {
		at := p.minute()
		both, _ := p.created(at, at, 1, 2)
		from, _ := p.created(at, "", 1, 2)
		to, _ := p.created("", at, 1, 1)
		return both == 0 && from+to < p.total()
	},
	BoundsHalfOpen: func(p probe) bool {
		at := p.minute()
		from, _ := p.created(at, "", 1, 2)
		to, _ := p.created("", at, 1, 1)
		return from+to == p.total()
	},
	BoundsAfter: func(p probe) bool {
		first := p.first().Instances.Instance[0].CreationTime
		from, _ := p.created(first, "", 1, 2)
		return from < p.total()
	},
	FiltersPositional: func(p probe) bool {
		n, code := p.created("2098-01-01T00:00Z", "2099-01-01T00:00Z", 2, 1)
		return n == p.total() && code == ""
	},
	FiltersRefused: func(p probe) bool {
		_, code := p.created("2098-01-01T00:00Z", "2099-01-01T00:00Z", 2, 1)
		_, inPlace := p.created("2098-01-01T00:00Z", "2099-01-01T00:00Z", 1, 2)
		return code == "InvalidFilterKey.NotFound" && inPlace == ""
	},
	FiltersIgnored: func(p probe) bool {
		n, _ := p.created("2098-01-01T00:00Z", "2099-01-01T00:00Z", 1, 2)
		return n == p.total()
	},
	FiltersInCounts: func(p probe) bool {
		n, _ := p.created("2098-01-01T00:00Z", "2099-01-01T00:00Z", 1, 2)
		return n == 0 && len(p.ask("MaxResults", "100", "Filter.1.Key", "CreationStartTime", "Filter.1.Value", "2098-01-01T00:00Z").page(p.T).ids()) == 100
	},
	EndIgnored: func(p probe) bool {
		n, _ := p.created("2001-01-01T00:00Z", "2002-01-01T00:00Z", 1, 2)
		return n == p.total()
	},
	MaxResultsIgnored: func(p probe) bool { page := p.first(); return len(page.ids()) == 10 && page.NextToken != "" },
	PagesByNumber: func(p probe) bool {
		r := p.ask("MaxResults", "100")
		second := p.ask("PageNumber", "2", "PageSize", "100").page(p.T)
		return len(r.page(p.T).ids()) == 10 && !has(r, "NextToken") && r.page(p.T).TotalCount > 100 && len(second.ids()) == 100
	},
	TokenMissing: func(p probe) bool { return !has(p.ask("MaxResults", "100"), "NextToken") },
	TokenEmpty:   func(p probe) bool { return bytes.Contains(p.ask("MaxResults", "100").body, []byte(`"NextToken":""`)) },
	TokenNull:    func(p probe) bool { return bytes.Contains(p.ask("MaxResults", "100").body, []byte(`"NextToken":null`)) },
	TokenTwice:   func(p probe) bool { return bytes.Count(p.ask("MaxResults", "100").body, []byte(`"NextToken"`)) == 2 },
	TokenAfterLast: func(p probe) bool {
		sizes := p.chain(20)
		return sizes[len(sizes)-1] == 0 && len(sizes) < 20
	},
	TokenEndless:      func(p probe) bool { sizes := p.chain(20); return len(sizes) == 20 && sizes[19] > 0 },
	TokenEndlessEmpty: func(p probe) bool { sizes := p.chain(20); return len(sizes) == 20 && sizes[19] == 0 },
	TokenUnknownCode: func(p probe) bool {
		token := p.first().NextToken
		once := p.ask("NextToken", token).code()
		return once != "" && once != "InvalidParameter" && p.ask("NextToken", token).code() == ""
	},
	ListCut: func(p probe) bool {
		n := 0
		for _, size := range p.chain(20) {
			n += size
		}
		return n < p.total() && p.first().TotalCount == p.total()
	},
	RowsLeftOut: func(p probe) bool {
		n := 0
		for _, size := range p.chain(20) {
			n += size
		}
		return n < p.total()*95/100 && n > p.total()*80/100
	},
	RowsOfOtherRegions: func(p probe) bool {
		return bytes.Contains(p.ask("MaxResults", "100").body, []byte(`"RegionId":"`+there+`"`))
	},
	IDsOfOtherRegions: func(p probe) bool {
		mine := p.first().ids()
		r := ask(p.T, p.s, "DescribeInstances", "RegionId", there, "InstanceIds", quoted(mine))
		return len(r.page(p.T).Instances.Instance) > 0 && !bytes.Contains(p.ask("MaxResults", "100").body, []byte(`"RegionId":"`+there+`"`))
	},
	RowsUnkeepable: func(p probe) bool {
		return slices.ContainsFunc(p.first().ids(), func(id string) bool { return len(id) != 22 })
	},
	CountMissing: func(p probe) bool { return !has(p.ask("PageNumber", "1"), "TotalCount") && !has(p.ask(), "TotalCount") },
	CountZero:    func(p probe) bool { return p.total() == 0 },
	CountHigh:    func(p probe) bool { return p.total() > p.s.ScopeSize(DemoAccountID, here) },
	CountHuge:    func(p probe) bool { return p.total() == 1_000_000_000 },
	ErrorAs200: func(p probe) bool {
		r := ask(p.T, p.s, "DescribeInstances", "RegionId", there, "MaxResults", "100")
		second := p.ask("MaxResults", "100", "NextToken", p.first().NextToken)
		return r.status == 200 && r.code() != "" && second.status == 200 && second.code() != "" && second.page(p.T).NextToken == ""
	},
	RevokedMidway: func(p probe) bool {
		first := p.first()
		second := p.ask("MaxResults", "100", "NextToken", first.NextToken)
		return len(first.ids()) == 100 && second.status == 200 && len(second.page(p.T).ids()) == 0 && p.ask("DryRun", "true").code() == "Forbidden.RAM"
	},
	IDsIgnored: func(p probe) bool {
		return len(p.ask("InstanceIds", `["i-1"]`, "MaxResults", "100").page(p.T).ids()) == 100
	},
	IDsCapped: func(p probe) bool {
		return len(p.ask("InstanceIds", quoted(p.first().ids()), "MaxResults", "100").page(p.T).ids()) == 20
	},
	NothingVisible: func(p probe) bool {
		return len(p.first().ids()) == 0 && len(p.ask("InstanceIds", `["i-1"]`, "MaxResults", "100").page(p.T).ids()) == 0 && p.ask("DryRun", "true").code() == "DryRunOperation"
	},
	IDsEmpty: func(p probe) bool {
		return len(p.ask("InstanceIds", quoted(p.first().ids()), "MaxResults", "100").page(p.T).ids()) == 0
	},
	ImagesByAlias: func(p probe) bool {
		_, plain := p.images()
		_, bought := p.images("ImageOwnerAlias", "marketplace")
		_, shared := p.images("ImageOwnerAlias", "others")
		_, community := p.images("ImageOwnerAlias", "others", "IsPublic", "true")
		disjoint := !slices.ContainsFunc(slices.Concat(bought, shared, community), func(id string) bool { return slices.Contains(plain, id) })
		return len(bought) > 0 && len(shared) > 0 && len(community) > 0 && disjoint && !slices.Contains(shared, community[0])
	},
	ImagesCapped: func(p probe) bool {
		_, all := p.images()
		_, got := p.images("ImageId", strings.Join(all[:50], ","))
		return len(got) == 20
	},
	ImagesUnasked: func(p probe) bool {
		_, got := p.images("ImageId", "m-nobody")
		return len(got) > 0
	},
	ImagesEmpty: func(p probe) bool { code, got := p.images(); return code == "" && len(got) == 0 },
	ImageIDsEmpty: func(p probe) bool {
		_, all := p.images()
		code, got := p.images("ImageId", strings.Join(all[:1], ","))
		return code == "" && len(got) == 0
	},
	ImagesErrorAs200:  func(p probe) bool { code, got := p.images(); return code != "" && len(got) == 0 },
	OfferedErrorAs200: func(p probe) bool { return p.offered(true).code() != "" && p.offered(true).status == 200 },
	OfferedOfOthers:   func(p probe) bool { return bytes.Contains(p.offered(true).body, []byte("anotherimage")) },
	OfferedEmpty:      func(p probe) bool { return len(p.offeredTypes(true)) == 0 && p.offered(true).code() == "" },
	OfferedOldAlone: func(p probe) bool {
		return !slices.Contains(p.offeredTypes(false), "ecs.g6.large") && slices.Contains(p.offeredTypes(false), "ecs.g5.large")
	},
	OfferedUnknown: func(p probe) bool { return slices.Contains(p.offeredTypes(true), "ecs.zz99x.large") },
	OfferedCut:     func(p probe) bool { return has(p.offered(true), "NextToken") },
	AgentsOfOthers: func(p probe) bool { return bytes.Contains(p.agents().body, []byte("nobodysinstance")) },
	AgentsAhead: func(p probe) bool {
		return bytes.Contains(p.agents().body, []byte(time.Now().UTC().Add(24*time.Hour).Format("2006-01-02T")))
	},
	AgentsNowhere:   func(p probe) bool { return p.agents().code() == "RegionId.ApiNotSupported" },
	AgentsHalf:      func(p probe) bool { return bytes.Count(p.agents().body, []byte("LastHeartbeatTime")) == 50 },
	ConsoleOfOthers: func(p probe) bool { return bytes.Contains(p.console().body, []byte("nobodysinstance")) },
	ConsoleOld: func(p probe) bool {
		var got struct{ LastUpdateTime string }
		err := json.Unmarshal(p.console().body, &got)
		at, _ := time.ParseInLocation("2006-01-02 15:04:05", got.LastUpdateTime, consoleZone)
		return err == nil && at.UTC().Format("2006-01-02T15:04Z") < p.first().Instances.Instance[0].CreationTime
	},
	ConsoleGarbled: func(p probe) bool {
		var got struct{ ConsoleOutput []byte }
		return json.Unmarshal(p.console().body, &got) == nil && bytes.Contains(got.ConsoleOutput, []byte("\x1b]0;"))
	},
	TemplatesErrorAs200: func(p probe) bool {
		r := ask(p.T, p.s, "DescribeLaunchTemplates", "RegionId", here)
		return r.code() != "" && r.status == 200
	},
	TemplatesCut: func(p probe) bool {
		counted, got := p.templates()
		return counted > 1 && len(got) == 1
	},
	TemplatesGarbled: func(p probe) bool {
		_, got := p.templates()
		return strings.Contains(got[0].LaunchTemplateID, "<b>")
	},
	VersionsOfOthers: func(p probe) bool { return bytes.Contains(p.versions().body, []byte("somebodyselses")) },
	VersionsMissing:  func(p probe) bool { r := p.versions(); return r.code() == "" && !has(r, "LaunchTemplateData") },
	DisksErrorAs200: func(p probe) bool {
		r := ask(p.T, p.s, "DescribeDisks", "RegionId", here)
		return r.code() != "" && r.status == 200
	},
	DisksEmpty: func(p probe) bool {
		counted, ids, _ := p.disks()
		return counted > 0 && len(ids) == 0
	},
	DisksCut: func(p probe) bool {
		counted, ids, body := p.disks()
		return len(ids) > 0 && len(ids) < 500 && counted > len(ids) && strings.Contains(body, `"NextToken":""`)
	},
	DisksTwice: func(p probe) bool {
		_, ids, _ := p.disks()
		return len(ids) > 1 && ids[0] == ids[len(ids)-1]
	},
	DisksOfOthers: func(p probe) bool { _, _, body := p.disks(); return strings.Contains(body, "nobodysinstance") },
	DisksElsewhere: func(p probe) bool {
		_, ids, body := p.disks()
		return len(ids) > 0 && !slices.Contains(ids, "") && strings.Contains(body, there)
	},
	DisksUnknown:      func(p probe) bool { _, _, body := p.disks(); return strings.Contains(body, "cloud_quantum") },
	ChangesErrorAs200: func(p probe) bool { r := p.changes(); return r.code() != "" && r.status == 200 },
	ChangesEmpty:      func(p probe) bool { r := p.changes(); return r.code() == "" && !has(r, "Value") },
	ChangesElsewhere: func(p probe) bool {
		return bytes.Contains(p.changes().body, []byte(`x"}]`)) || bytes.Contains(p.changes().body, []byte(`x","`))
	},
	ChangesFewer: func(p probe) bool {
		r := p.changes()
		return has(r, "Value") && !bytes.Contains(r.body, []byte("8i."))
	},
	RegionsEmpty: func(p probe) bool { return !has(ask(p.T, p.s, "DescribeRegions"), "RegionId") },
	RegionsCut: func(p probe) bool {
		r := ask(p.T, p.s, "DescribeRegions")
		return has(r, "NextToken") && !strings.Contains(string(r.body), `"`+there+`"`)
	},
	RegionVanishes: func(p probe) bool {
		return !strings.Contains(string(ask(p.T, p.s, "DescribeRegions").body), `"`+there+`"`) && ask(p.T, p.s, "DescribeInstances", "RegionId", there).code() == ""
	},
	MembersPromoted: func(p probe) bool { return strings.Contains(string(p.members().body), `"PromoteVerifying"`) },
	DirectoryDown:   func(p probe) bool { return p.members().status == 503 },
	ThrottleLong: func(p probe) bool {
		r := p.ask()
		return r.code() == "Throttling.User" && r.header.Get("Retry-After") == "110" && p.ask().status == 200
	},
	ThrottleMillis: func(p probe) bool {
		for range 7 {
			if r := p.ask(); r.code() == "Throttling.User" && r.header.Get("x-acs-retry-after") == "200" {
				return true
			}
		}
		return false
	},
	BusyUnknownCodes: func(p probe) bool {
		seen := map[string]bool{}
		for range 20 {
			r := p.ask()
			seen[fmt.Sprint(r.status, " ", r.code())] = true
		}
		return seen["429 TooManyRequests"] && seen["408 RequestTimeout"] && seen["400 SystemBusy"]
	},
	BodiesDocumented: func(p probe) bool {
		r := p.ask("InstanceIds", quoted(p.first().ids()[:1]))
		return r.page(p.T).NextToken != "" && p.first().TotalCount == p.total()
	},
	Bodies2015: func(p probe) bool {
		r := p.ask("PageNumber", "1")
		return !has(r, "OSName") && !has(r, "NextToken") && has(r, "InstanceId")
	},
	CountTimes500:  func(p probe) bool { return p.total() == 500*p.s.ScopeSize(DemoAccountID, here) },
	CountElsewhere: func(p probe) bool { return p.total() == p.s.ScopeSize(DemoAccountID, there) },
	CountFalls: func(p probe) bool {
		second := p.ask("PageNumber", "2", "PageSize", "100").page(p.T)
		return second.TotalCount == p.total()-100
	},
	CountNegative: func(p probe) bool { return p.total() == -1 },
	RowsTwice: func(p probe) bool {
		first := p.first()
		second := p.ask("MaxResults", "100", "NextToken", first.NextToken).page(p.T)
		return second.ids()[0] == first.ids()[99] && second.Instances.Instance[0].ImageId != first.Instances.Instance[99].ImageId
	},
	RowsNull: func(p probe) bool { return bytes.Contains(p.ask("MaxResults", "100").body, []byte(`,null,`)) },
	PagesRepeated: func(p probe) bool {
		first := p.first()
		again := p.ask("MaxResults", "100", "NextToken", first.NextToken).page(p.T)
		return again.NextToken != first.NextToken && slices.Equal(first.ids(), again.ids())
	},
	PagesTooLarge: func(p probe) bool { return len(p.first().ids()) == 150 },
	TokenForgets: func(p probe) bool {
		at := p.minute()
		narrow := []string{"MaxResults", "10", "Filter.1.Key", "CreationEndTime", "Filter.1.Value", at}
		page := p.ask(narrow...).page(p.T)
		for range 20 {
			if page.NextToken != "" {
				page = p.ask(append(narrow, "NextToken", page.NextToken)...).page(p.T)
			}
		}
		return slices.ContainsFunc(page.ids(), func(string) bool { return page.Instances.Instance[0].CreationTime > at })
	},
	CreatedLater: func(p probe) bool {
		return bytes.Contains(p.ask("MaxResults", "100").body, []byte(`"CreationTime":"2099`))
	},
	CreatedNever: func(p probe) bool {
		return bytes.Count(p.ask("MaxResults", "100").body, []byte(`"CreationTime"`)) < 100
	},
	ListEmptyAtFirst: func(p probe) bool {
		first := p.first()
		return len(first.ids()) == 0 && first.TotalCount == 0 && len(p.first().ids()) == 100 && p.total() > 100
	},
	List206: func(p probe) bool { return p.statuses(206) },
	List204: func(p probe) bool { return p.statuses(204) },
	ListGzipCut: func(p probe) bool {
		for range 3 {
			if p.ask("MaxResults", "100").err != nil {
				return true
			}
		}
		return false
	},
	ListTwice: func(p probe) bool { return bytes.Count(p.ask("MaxResults", "100").body, []byte(`"Instances":`)) == 2 },
	JSONTwice: func(p probe) bool { return bytes.Count(p.ask("MaxResults", "100").body, []byte(`"RequestId":`)) == 2 },
	RegionsClosed: func(p probe) bool {
		r := ask(p.T, p.s, "DescribeRegions")
		return strings.Contains(string(r.body), `"soldOut"`) && !strings.Contains(string(r.body), `"available"`)
	},
	MembersUncounted: func(p probe) bool { return !has(p.members(), "TotalCount") },
	MembersCountLow: func(p probe) bool {
		return bytes.Contains(p.members("PageSize", "100").body, []byte(`"TotalCount":5}`)) && bytes.Contains(p.members("PageSize", "100", "PageNumber", "2").body, []byte(`"TotalCount":2}`))
	},
	MembersCountFalls: func(p probe) bool {
		second := p.members("PageSize", "100", "PageNumber", "2")
		return bytes.Contains(p.members("PageSize", "100").body, []byte(`"TotalCount":7}`)) && !has(second, "AccountId") && bytes.Contains(second.body, []byte(`"TotalCount":5}`))
	},
	ImagesTwice: func(p probe) bool {
		_, got := p.images("ImageId", p.first().Instances.Instance[0].ImageId)
		return len(got) == 2 && got[0] == got[1]
	},
	ZonesElsewhere: func(p probe) bool {
		return bytes.Contains(p.ask("MaxResults", "100").body, []byte(`"ZoneId":"`+there)) && !has(p.ask("MaxResults", "100"), there)
	},
	FamiliesOfOthers: func(p probe) bool {
		return regexp.MustCompile(`"InstanceType":"ecs\.[^g][^"]*","InstanceTypeFamily":"ecs\.g8i"`).Match(p.ask("MaxResults", "100").body)
	},
	IDsTwice: func(p probe) bool {
		listed := p.first().Instances.Instance
		got := p.ask("InstanceIds", quoted(p.first().ids()[:1]), "MaxResults", "100").page(p.T).Instances.Instance
		return len(got) == 2 && got[0].InstanceId == got[1].InstanceId && got[0].ImageId != got[1].ImageId && got[1].ImageId == listed[0].ImageId
	},
	Bodies2024: func(p probe) bool {
		return !has(p.ask(), "AdditionalInfo") && has(p.ask(), "ImageOptions") && has(p.ask(), "OSName")
	},
}

// statuses asks three times and says whether the status comes.
func (p probe) statuses(want int) bool {
	for range 3 {
		if p.ask("MaxResults", "100").status == want {
			return true
		}
	}
	return false
}

func quoted(ids []string) string {
	b, err := json.Marshal(ids)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// offered asks on which types an image is offered: a public one or one of the
// account's own.
func (p probe) offered(public bool) result {
	id := "aliyun_3_x64_20G_alibase_20260513.vhd"
	if !public {
		for _, s := range p.s.fleet.byName[scopeName{DemoAccountID, here}].slots {
			if s.owner == "self" && s.present && s.kind.arch == "x86_64" {
				id = s.imageID
			}
		}
	}
	return ask(p.T, p.s, "DescribeImageSupportInstanceTypes", "RegionId", here, "ImageId", id)
}

func (p probe) offeredTypes(public bool) (ids []string) {
	var body ecs.DescribeImageSupportInstanceTypesResponseBody
	if err := json.Unmarshal(p.offered(public).body, &body); err != nil {
		p.Fatal(err)
	}
	for _, t := range body.InstanceTypes.InstanceType {
		ids = append(ids, *t.InstanceTypeId)
	}
	return ids
}

func (p probe) members(kv ...string) result {
	values := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		values.Set(kv[i], kv[i+1])
	}
	return do(signed(p.T, p.s.URL, "2020-03-31", "ListAccounts", demoKeys(), values))
}

// Each contradiction shows in the answers while it is in force, and not
// without it.
func TestContradictions(t *testing.T) {
	t.Parallel()
	for _, c := range Contradictions() {
		t.Run(c.Name, func(t *testing.T) {
			check := shows[c]
			if check == nil || c.Says == "" || c.From == "" {
				t.Fatal("no check, no text or no source of this contradiction")
			}
			s := start(t, Options{Instances: 4000, Regions: 2, Images: 700, Accounts: 8, Seed: 9})
			if check(probe{t, s}) {
				t.Error("shows without being in force: the check proves nothing")
			}
			if err := s.Contradict(c.Name); err != nil {
				t.Fatal(err)
			}
			if !check(probe{t, s}) {
				t.Errorf("does not show: %s", c.Says)
			}
			if err := s.Contradict(); err != nil {
				t.Fatal(err)
			}
			if check(probe{t, s}) {
				t.Error("shows after it was ended")
			}
		})
	}
	if len(shows) != len(Contradictions()) {
		t.Errorf("%d checks of %d contradictions", len(shows), len(Contradictions()))
	}
}

// Whatever it contradicts, an answer fits the SDK's own type: only fields that
// it knows, except where the contradiction is about that.
func TestContradictoryAnswersFitTheSDK(t *testing.T) {
	t.Parallel()
	apart := []Contradiction{TokenTwice, OfferedErrorAs200, OfferedCut, RegionsCut, ErrorAs200, ImagesErrorAs200, Bodies2015, List206, List204, ListGzipCut, ListTwice, JSONTwice} // a key twice; fields of an error; a token where there are none; strings for numbers
	for _, c := range Contradictions() {
		if slices.Contains(apart, c) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			s := start(t, Options{Instances: 300, Regions: 2, Seed: 9, Contradict: []string{c.Name}})
			for _, kv := range [][]string{{"MaxResults", "100", "AdditionalAttributes.1", "CURRENT_OS_NVME_SUPPORTED"}, {"PageNumber", "1", "PageSize", "50"}} {
				if r := ask(t, s, "DescribeInstances", append(kv, "RegionId", here)...); r.status == 200 {
					strict(t, c.Name, r.body, &ecs.DescribeInstancesResponseBody{})
				} else if r.code() == "" {
					t.Errorf("%d without a code: %.200s", r.status, r.body)
				}
			}
			strict(t, c.Name, ask(t, s, "DescribeImages", "RegionId", here).body, &ecs.DescribeImagesResponseBody{})
			strict(t, c.Name, ask(t, s, "DescribeImageSupportInstanceTypes", "RegionId", here, "ImageId", "aliyun_3_x64_20G_alibase_20260513.vhd").body, &ecs.DescribeImageSupportInstanceTypesResponseBody{})
			strict(t, c.Name, ask(t, s, "DescribeRegions").body, &ecs.DescribeRegionsResponseBody{})
		})
	}
}

// The example bodies are shown member by member, in their order and of their
// types, with the fleet's own instances in them.
func TestAnswersTakeOnTheShapeOfExamples(t *testing.T) {
	for shape, example := range map[Contradiction][]byte{BodiesDocumented: bodyDocumented, Bodies2015: body2015, Bodies2024: body2024} {
		t.Run(shape.Name, func(t *testing.T) {
			s := start(t, Options{Instances: 300, Regions: 1, Seed: 9, Contradict: []string{shape.Name}})
			r := ask(t, s, "DescribeInstances", "RegionId", here, "PageNumber", "1", "PageSize", "10")
			have, want := paths(t, r.body), paths(t, example)
			for at, kind := range want {
				if have[at] != kind {
					t.Errorf("%s is a %s in the example, here %q", at, kind, have[at])
				}
			}
			for at := range have {
				if want[at] == "" {
					t.Errorf("%s is not in the example", at)
				}
			}
			truth := map[string]bool{}
			_ = s.EachTruth(func(tr *Truth) error { truth[tr.InstanceID] = true; return nil })
			for _, id := range looseIDs(t, r.body) {
				if !truth[id] {
					t.Errorf("%s is not of the fleet", id)
				}
			}
		})
	}
}

// looseIDs are the ids of an answer whose numbers may be strings.
func looseIDs(t *testing.T, body []byte) (ids []string) {
	t.Helper()
	var v struct {
		Instances struct{ Instance []struct{ InstanceId string } }
	}
	if err := json.Unmarshal(body, &v); err != nil || len(v.Instances.Instance) != 10 {
		t.Fatalf("%d instances, %v", len(v.Instances.Instance), err)
	}
	for _, in := range v.Instances.Instance {
		ids = append(ids, in.InstanceId)
	}
	return ids
}

func TestParametersThatAreNotImplementedAreRefused(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 1})
	for _, tt := range []struct {
		action string
		kv     []string
		named  string
	}{
		{"DescribeInstances", []string{"VpcId", "vpc-1"}, "VpcId"},
		{"DescribeInstances", []string{"Tag.1.Key", "team", "Tag.1.Value", "a"}, "Tag.1"},
		{"DescribeInstances", []string{"Filter.3.Key", "ExpiredStartTime", "Filter.3.Value", "2020-01-01T00:00Z"}, "Filter.3"},
		{"DescribeInstances", []string{"Filter.1.Name", "CreationStartTime"}, "Filter.1.Name"},
		{"DescribeImages", []string{"ImageName", "app"}, "ImageName"},
		{"DescribeRegions", []string{"ResourceType", "instance"}, "ResourceType"},
		{"DescribeInstanceTypes", []string{"MinimumCpuCoreCount", "8"}, "MinimumCpuCoreCount"},
	} {
		r := ask(t, s, tt.action, append(tt.kv, "RegionId", here)...)
		if r.status != 400 || r.code() != "UnsupportedParameter" || !strings.Contains(string(r.body), tt.named) {
			t.Errorf("%s %v: %d %.300s", tt.action, tt.kv, r.status, r.body)
		}
	}
}

func TestUnknownContradictionsAreRefused(t *testing.T) {
	_, err := New(Options{Instances: 10, Regions: 1, Contradict: []string{BoundsAfter.Name, "bounds-sideways"}})
	if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "bounds-sideways") || !strings.Contains(err.Error(), BoundsHalfOpen.Name) {
		t.Errorf("%v", err)
	}
}

// Contradictions are put in force over HTTP, too.
func TestContradictionsAreControlled(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 1})
	status := post(t, s, "POST", "contradictions", `["count-zero","ids-capped"]`, nil)
	var names []string
	if post(t, s, "GET", "contradictions", "", &names); status != 200 || !slices.Equal(names, []string{CountZero.Name, IDsCapped.Name}) {
		t.Errorf("%d %v", status, names)
	}
	var refused struct{ Error string }
	if status := post(t, s, "POST", "contradictions", `["count-none"]`, &refused); status != 400 || !strings.Contains(refused.Error, "count-none") {
		t.Errorf("%d %s", status, refused.Error)
	}
	if n := (probe{t, s}).total(); n != 0 {
		t.Errorf("counts %d", n)
	}
}
