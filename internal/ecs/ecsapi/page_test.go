package ecsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// responses returns the recorded and documented bodies whose name begins with
// prefix.
func responses(t testing.TB, prefix string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "responses", prefix+"*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no bodies %s*: %v", prefix, err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(p)] = raw
	}
	return out
}

var samePage = cmp.Options{cmpopts.EquateEmpty(), cmp.AllowUnexported(listing{})}

// bigPage writes a page as the API does, every field of an instance included.
func bigPage(n int, token string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"RequestId":"473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E","NextToken":%q,"TotalCount":0,"PageNumber":0,"PageSize":100,"Instances":{"Instance":[`, token)
	os := []string{"CentOS  5.8 64位", "CentOS  7.6 64位", "Ubuntu  16.04 64位", "Windows Server  2008 R2 企业版 64位中文版", "Debian  6.0.9 64位", "Alibaba Cloud Linux  3.2104 LTS 64位"}
	types := []string{"ecs.g5.large", "ecs.c5.xlarge", "ecs.s6-c1m2.small", "ecs.r5.2xlarge", "ecs.g6.large"}
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		ty := types[i*7%len(types)]
		fmt.Fprintf(&b, `{"ResourceGroupId":"rg-bp67acfmxazb4p%04d","Memory":8192,"InstanceChargeType":"PostPaid","Cpu":2,"OSName":%q,"InstanceNetworkType":"vpc","InnerIpAddress":{"IpAddress":[]},"ExpiredTime":"2099-12-31T15:59Z","ImageId":"m-bp1hu74xiv2jok79%04d","EipAddress":{"AllocationId":"","IpAddress":"","InternetChargeType":""},"ImageOptions":{"LoginAsNonRoot":false,"CurrentOSNVMeSupported":%v},"HostName":"iZbp1h4adlltjc1d48%04dZ","VlanId":"","Status":"Running","HibernationOptions":{"Configured":false},"MetadataOptions":{"HttpTokens":"","HttpEndpoint":""},"InstanceId":"i-bp1h4adlltjc1d48%04d","StoppedMode":"Not-applicable","CpuOptions":{"ThreadsPerCore":2,"Numa":"ON","CoreCount":1},"StartTime":"2024-04-14T22:32Z","PrivateDnsNameOptions":{},"DeletionProtection":false,"SecurityGroupIds":{"SecurityGroupId":["sg-bp16q7p8yafqaure63n4","sg-bp16q7p8yafqaure63n5"]},"VpcAttributes":{"PrivateIpAddress":{"IpAddress":["172.16.181.%d"]},"VpcId":"vpc-bp171csbkbnjhg1bj3npw","VSwitchId":"vsw-bp1xgvok3myac6ctry030","NatIpAddress":""},"InternetChargeType":"PayByTraffic","InstanceName":"web-%d-prod","DeploymentSetId":"","InternetMaxBandwidthOut":0,"SerialNumber":"af401694-c1ec-44d6-971a-2d9a1270f%03d","OSType":"linux","CreationTime":"2024-04-14T22:%02dZ","AutoReleaseTime":"","Description":"the description of an instance","InstanceTypeFamily":%q,"DedicatedInstanceAttribute":{"Tenancy":"","Affinity":""},"PublicIpAddress":{"IpAddress":["203.0.113.%d"]},"GPUSpec":"","NetworkInterfaces":{"NetworkInterface":[{"Type":"Primary","PrimaryIpAddress":"172.16.181.225","MacAddress":"00:16:3e:25:48:a8","NetworkInterfaceId":"eni-bp1gbt9qj7r2le5577wy","PrivateIpSets":{"PrivateIpSet":[{"PrivateIpAddress":"172.16.181.225","Primary":true}]},"Ipv6Sets":{"Ipv6Set":[{"Ipv6Address":"2408:4321:180:1701:94c7:bc38:3bfa:9"}]}}]},"SpotPriceLimit":0.0,"DeviceAvailable":true,"SaleCycle":"","InstanceType":%q,"SpotStrategy":"NoSpot","OSNameEn":%q,"IoOptimized":true,"ZoneId":"cn-hangzhou-%c","ClusterId":"","EcsCapacityReservationAttr":{"CapacityReservationPreference":"","CapacityReservationId":""},"DedicatedHostAttribute":{"DedicatedHostId":"","DedicatedHostName":"","DedicatedHostClusterId":""},"GPUAmount":0,"OperationLocks":{"LockReason":[]},"InternetMaxBandwidthIn":-1,"Recyclable":false,"RegionId":"cn-hangzhou","CreditSpecification":"","Tags":{"Tag":[{"TagKey":"team","TagValue":"payments-%d"},{"TagKey":"env","TagValue":"prod"}]},"KeyPairName":"kp-ops","HpcClusterId":"","ISP":"","LocalStorageAmount":0,"LocalStorageCapacity":0,"SpotDuration":1,"RdmaIpAddress":{"IpAddress":[]},"AdditionalInfo":{"EnableHighDensityMode":false}}`,
			i, os[i%len(os)], i%40, i%3 == 0, i, i, i%256, i, i%1000, i%60, strings.Join(strings.Split(ty, ".")[:2], "."), i%256, ty, os[i%len(os)], 'g'+rune(i%4), i%10)
	}
	b.WriteString(`]}}`)
	return b.Bytes()
}

var regionIn = regexp.MustCompile(`"RegionId" ?: ?"([^"]*)"`)

// decode reads an answer as if it were for the first region that it names.
func decode(body []byte) (*listing, error) { return decodeListing(body, regionOf(body)) }

func regionOf(body []byte) string {
	if m := regionIn.FindSubmatch(body); m != nil {
		return string(m[1])
	}
	return "cn-hangzhou"
}

func TestRecordedBodiesAreReadAlikeByThePageReader(t *testing.T) {
	for name, body := range responses(t, "DescribeInstances.") {
		t.Run(name, func(t *testing.T) {
			want, wantErr := decodeOddListing(body, regionOf(body))
			got, err := decode(body)
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("err = %v, unmarshal: %v", err, wantErr)
			}
			if diff := cmp.Diff(want, got, samePage); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRecordedBodiesTakeTheFastPath(t *testing.T) {
	for name, body := range responses(t, "DescribeInstances.recorded.") {
		if strings.Contains(name, "one-item") { // an instance without its envelope
			continue
		}
		if _, ok := readPage(body, regionOf(body)); !ok {
			t.Errorf("%s surprised the page reader", name)
		}
	}
	if _, ok := readPage(bigPage(100, "t"), "cn-hangzhou"); !ok {
		t.Error("the full page surprised the page reader")
	}
}

func TestDecodePageReadsEveryField(t *testing.T) {
	p, err := decode(responses(t, "DescribeInstances.example.")["DescribeInstances.example.json"])
	if err != nil {
		t.Fatal(err)
	}
	want := &listing{
		next: "caeba0bbb2be03f84eb48b699f0a4883", chained: true, requestID: "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E",
		instances: []ecs.Instance{{
			ID: "i-bp67acfmxazb4p0001", Name: "legacy-web-01", Type: "ecs.s1.medium", Family: "ecs.s1", ImageID: "CentOS_5.4_32.raw",
			OSName: "CentOS  5.4 32位", OSNameEn: "CentOS  5.4 32 bit", OSType: "linux", Status: "Running", Zone: "cn-hangzhou-b",
			CreationTime: "2013-06-20T21:34Z", StartTime: "2019-11-02T03:10Z", NetworkType: "classic", IoOptimized: rules.No, CPU: 1, MemoryMiB: 4096,
			Tags: []ecs.Tag{{Key: "team", Value: "payments"}, {Key: "env", Value: "prod"}},
		}, {
			ID: "i-bp67acfmxazb4p0002", Name: "app-02", Type: "ecs.g5.large", Family: "ecs.g5", ImageID: "m-bp67acfmxazb4p0002",
			OSName: "CentOS  7.4 64位", OSNameEn: "CentOS  7.4 64 bit", OSType: "linux", Status: "Stopped", Zone: "cn-hangzhou-h",
			CreationTime: "2018-12-10T04:04Z", StartTime: "2026-03-01T04:04Z", NetworkType: "vpc", IoOptimized: rules.Yes, OSNVMe: rules.No, CPU: 2, MemoryMiB: 8192,
		}},
	}
	if diff := cmp.Diff(want, p, samePage); diff != "" {
		t.Error(diff)
	}
}

func TestDecodePageTakesTheSpellingsThatWereSeen(t *testing.T) {
	one := func(members string) string {
		return `{"Instances":{"Instance":[{"InstanceId":"i-1",` + members + `}]}}`
	}
	for name, tc := range map[string]struct {
		body string
		want ecs.Instance
	}{
		"numbers as strings":        {one(`"Cpu":"4","Memory":"8192"`), ecs.Instance{CPU: 4, MemoryMiB: 8192}},
		"number with a fraction":    {one(`"Memory":8192.0`), ecs.Instance{MemoryMiB: 8192}},
		"boolean as a string":       {one(`"IoOptimized":"true"`), ecs.Instance{IoOptimized: rules.Yes}},
		"boolean as a word":         {one(`"IoOptimized":"optimized"`), ecs.Instance{IoOptimized: rules.Yes}},
		"string as a number":        {one(`"InstanceName":12`), ecs.Instance{Name: "12"}},
		"nulls":                     {one(`"OSName":null,"Cpu":null,"Tags":null,"IoOptimized":null,"ImageOptions":null`), ecs.Instance{}},
		"empty strings for objects": {one(`"Tags":"","ImageOptions":""`), ecs.Instance{}},
		"empty objects":             {one(`"Tags":{},"ImageOptions":{}`), ecs.Instance{}},
		"bare tag list":             {one(`"Tags":[{"TagKey":"a","TagValue":"b"}]`), ecs.Instance{Tags: []ecs.Tag{{Key: "a", Value: "b"}}}},
		"single tag":                {one(`"Tags":{"Tag":{"Key":"a","Value":1}}`), ecs.Instance{Tags: []ecs.Tag{{Key: "a", Value: "1"}}}},
		"escapes":                   {one(`"InstanceName":"a\"b\u4f4d\/"`), ecs.Instance{Name: `a"b位/`}},
		"escaped key":               {one(`"Instance\u004eame":"x"`), ecs.Instance{Name: "x"}},
		"half a surrogate pair":     {one(`"InstanceName":"a\ud83d"`), ecs.Instance{Name: "a\ufffd"}},
		"nvme in quotes":            {one(`"ImageOptions":{"CurrentOSNVMeSupported":"true","X":[1]}`), ecs.Instance{OSNVMe: rules.Yes}},
		"unknown members":           {one(`"New":{"a":[1,-2.5e3,{"b":null}],"c":true},"Status":"Running"`), ecs.Instance{Status: "Running"}},
		"invalid UTF-8":             {one("\"InstanceName\":\"a\xff\""), ecs.Instance{Name: "a\ufffd"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := decode([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			tc.want.ID = "i-1"
			if diff := cmp.Diff([]ecs.Instance{tc.want}, p.instances, samePage); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodePageNeverReturnsAShorterList(t *testing.T) {
	t.Parallel()
	good := string(bigPage(3, "t"))
	for name, body := range map[string]string{
		"empty":                 "",
		"null":                  "null",
		"no Instances":          `{"RequestId":"x"}`,
		"Instances null":        `{"Instances":null}`,
		"Instances empty":       `{"Instances":{}}`,
		"Instance null":         `{"Instances":{"Instance":null}}`,
		"Instance a string":     `{"Instances":{"Instance":""}}`,
		"Instance a number":     `{"Instances":{"Instance":3}}`,
		"list of numbers":       `{"Instances":{"Instance":[1]}}`,
		"NextToken twice":       `{"Instances":{"Instance":[{"InstanceId":"i"}]},"NextToken":"t","NextToken":""}`,
		"Instances twice":       `{"Instances":{"Instance":[{"InstanceId":"i"}]},"Instances":{"Instance":[]}}`,
		"Instance twice":        `{"Instances":{"Instance":[{"InstanceId":"i"}],"Instance":[]}}`,
		"TotalCount twice":      `{"TotalCount":2,"Instances":{"Instance":[{"InstanceId":"i"}]},"TotalCount":1}`,
		"InstanceId twice":      `{"Instances":{"Instance":[{"InstanceId":"i","InstanceId":"j"}]}}`,
		"an error's code":       `{"Code":"Forbidden.RAM","Instances":{"Instance":[{"InstanceId":"i"}]}}`,
		"an error's message":    `{"message":"not now","Instances":{"Instance":[{"InstanceId":"i"}]}}`,
		"object as OSName":      `{"Instances":{"Instance":[{"InstanceId":"i","OSName":{}}]}}`,
		"list as ImageId":       `{"Instances":{"Instance":[{"InstanceId":"i","ImageId":["m"]}]}}`,
		"word as Cpu":           `{"Instances":{"Instance":[{"InstanceId":"i","Cpu":"two"}]}}`,
		"negative Memory":       `{"Instances":{"Instance":[{"InstanceId":"i","Memory":-1}]}}`,
		"maybe as IoOptimized":  `{"Instances":{"Instance":[{"InstanceId":"i","IoOptimized":"maybe"}]}}`,
		"wrong case of the key": `{"instances":{"instance":[{"instanceId":"i"}]}}`,
		"cut short":             good[:len(good)-2],
		"cut in a string":       good[:len(good)/2],
		"something behind it":   good + "x",
		"comma too many":        `{"Instances":{"Instance":[{"InstanceId":"i"},]}}`,
		"comma missing":         `{"Instances":{"Instance":[{"InstanceId":"i"}{"InstanceId":"j"}]}}`,
		"HTML":                  `<html><body>busy</body></html>`,
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := decode([]byte(body)); err == nil {
				t.Errorf("decoded as %+v", p)
			}
		})
	}
	for cut := range len(good) {
		if _, err := decode([]byte(good[:cut])); err == nil {
			t.Fatalf("the page cut at byte %d was decoded", cut)
		}
	}
}

func TestDecodePageKeepsNothingOfTheBuffer(t *testing.T) {
	body := bigPage(5, "token")
	buf := append(make([]byte, 0, len(body)+padding), body...)
	p, err := decode(buf)
	if err != nil {
		t.Fatal(err)
	}
	for i := range buf {
		buf[i] = 'x'
	}
	want, _ := decodeOddListing(body, regionOf(body))
	if diff := cmp.Diff(want, p, samePage); diff != "" {
		t.Error(diff)
	}
}

// The reader of a page reads others behind it, and the page stays what it was.
func TestAPageStaysWhatItWasWhileOthersAreRead(t *testing.T) {
	r := new(pageReader)
	pages := map[string]*listing{}
	for range 3 {
		for _, n := range []int{7, 9, 12, 2} {
			token := fmt.Sprint("page of ", n)
			page, ok := r.page(bigPage(n, token), "cn-hangzhou")
			if !ok {
				t.Fatal("the page surprised the page reader")
			}
			pages[token] = page
		}
	}
	for token, got := range pages {
		want, _ := decodeOddListing(bigPage(len(got.instances), token), "cn-hangzhou")
		if diff := cmp.Diff(want, got, samePage); diff != "" {
			t.Errorf("%s: %s", token, diff)
		}
	}
}

// Random pages whose values repeat from instance to instance, half of them
// damaged in one byte, are read alike by the page reader and by unmarshal.
func TestRandomPagesAreReadAlike(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	values := []string{
		`"a"`, `""`, `"a\"b"`, `"\u4f4d"`, `"位"`, `1`, `0.0`, `-1`, `12`, `123`, `true`, `false`, `null`, `[]`, `{}`, `["a",1]`, `{"a":{"b":[1,2]}}`, `"true"`, `"12"`,
		`{"Tag":[{"TagKey":"k","TagValue":"v"}]}`, `{"Tag":[]}`, `{"CurrentOSNVMeSupported":true}`, `[{"TagKey":"k"}]`,
		`{"a":{"b":[1,3]}}`, `{"a":{"b":["x",{"c":0.5}]}}`, `{"a":{"b":["\\",{"c":{}}]}}`, `{"a":{"b":[]}}`, `{"a": {"b":[1,2]}}`, `{"a":1,"b":2}`, `{"a":1,"c":2}`, `["a"]`, `["b",1]`, `[[],[1]]`, `[[2],[1,2]]`,
		`{"Tag":[{"TagKey":"k","TagValue":"w"},{"TagKey":"l","TagValue":"\""}]}`, `{"Tag":[{"TagKey":"k","TagValue":""},{"TagKey":"l","TagValue":null}]}`, `{"Tag":[{"TagValue":"v","TagKey":"k"}]}`,
		`{"Tag":[{"X":{},"TagKey":"k","TagValue":"w"}]}`, `{"Tag":[{"TagKey":"k","TagValue":"w","X":[1]}]}`, `{"Tag":[{"TagKey":"k","TagValue":"v","TagValue":"w"}]}`, `{"Tag":[{"TagKey":"k","TagValue":1}]}`, "\"\xff\"", `"` + strings.Repeat("x", 40) + `"`,
	}
	keys := []string{"OSName", "InstanceName", "Cpu", "Memory", "IoOptimized", "Tags", "Tags", "ImageOptions", "Status", "RegionId", "A", "HostName", "SpotPriceLimit", "DedicatedHostAttribute", "EcsCapacityReservationAttr", "Other"}
	fast, damaged := 0, 0
	for range 10_000 {
		var shape, last []string
		for range 1 + rnd.IntN(8) {
			shape, last = append(shape, pick(keys...)), append(last, pick(values...))
		}
		var items []string
		for n := range rnd.IntN(5) {
			var item strings.Builder
			fmt.Fprintf(&item, `{"InstanceId":"i-%d"`, n)
			for k := range shape {
				if rnd.IntN(4) == 0 {
					last[k] = pick(values...)
				}
				if rnd.IntN(12) > 0 {
					item.WriteString(pick(",", ",", ", ") + `"` + shape[k] + `"` + pick(":", ":", " : ") + last[k])
				}
			}
			items = append(items, item.String()+"}")
		}
		body := []byte(`{"RequestId":"r","Instances":{"Instance":[` + strings.Join(items, ",") + `]},"NextToken":"t"}`)
		if rnd.IntN(2) == 0 {
			body[rnd.IntN(len(body))] = pick(`"`, `,`, `:`, `{`, `}`, `]`, `1`, ` `, `\`, "\x00", `x`)[0]
			damaged++
		}
		if readAlike(t, body) {
			fast++
		}
	}
	if fast < 1000 {
		t.Errorf("the page reader read %d of 10000 pages, %d of them damaged", fast, damaged)
	}
}

// readPage reads a page with a reader that read others before.
func readPage(body []byte, region string) (*listing, bool) {
	reader := pageReaders.Get().(*pageReader)
	defer pageReaders.Put(reader)
	return reader.page(body, region)
}

// readAlike fails unless the page reader, where it reads an answer at all,
// reads what unmarshal does. It reports whether it did. Of members that nobody
// asks for it takes one that comes twice, which unmarshal refuses.
func readAlike(t *testing.T, body []byte) bool {
	t.Helper()
	got, ok := readPage(body, "cn-hangzhou")
	if !ok {
		return false
	}
	want, err := decodeOddListing(body, "cn-hangzhou")
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return false
	}
	if err != nil {
		t.Fatalf("the page reader took what unmarshal refuses (%v): %s", err, body)
	}
	if diff := cmp.Diff(want, got, samePage); diff != "" {
		t.Fatalf("%s\n%s", body, diff)
	}
	return true
}

func FuzzDecodePage(f *testing.F) {
	for _, body := range responses(f, "DescribeInstances.") {
		var small bytes.Buffer // long seeds make fuzzing slow
		if json.Compact(&small, body) == nil && small.Len() < 3000 {
			f.Add(small.Bytes())
		}
	}
	f.Add([]byte(`{"Instances":{"Instance":[{"InstanceId":"i\u0031","Tags":{"Tag":[{"TagKey":"a"},{}]},"Cpu":"2"}]},"NextToken":null}`))
	f.Add([]byte(`{"Instances":{"Instance":[{"InstanceId":"a","A":{"x":[1,"2"]},"B":true,"Cpu":1,"C":0.5},{"InstanceId":"b","A":{"x":[2,"\u0031"]},"B":null,"Cpu":2,"C":-1},{"InstanceId":"c","A":{"x":[1,"2"]},"D":"","Cpu":3}]}}`))
	f.Add([]byte(`{"Instances":{"Instance":[{"InstanceId":"a","Tags":{"Tag":[{"TagKey":"k","TagValue":"v"},{"TagKey":"l","TagValue":"w"}]}},{"InstanceId":"b","Tags":{"Tag":[{"TagKey":"k","TagValue":"v"},{"TagKey":"l","TagValue":"x","Z":1}]}}]}}`))
	f.Add([]byte(`{"TotalCount":1,"NextToken":"","Instances":{"Instance":[{"InstanceId":"i","RegionId":"cn-beijing"},{"InstanceId":"j","RegionId":"cn-hangzhou"}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) { readAlike(t, body) })
}

// Words are looked up by their length and their end; their text decides. Equal ones lie
// in one place, also those of the pages before.
func TestWordsOfAPageAreToldApart(t *testing.T) {
	page := func(values ...string) []byte {
		var rows []string
		for i, v := range values {
			rows = append(rows, fmt.Sprintf(`{"InstanceId":"i-%d","RegionId":"cn-hangzhou","Tags":{"Tag":[{"TagKey":"k","TagValue":%q}]}}`, i, v))
		}
		return []byte(`{"Instances":{"Instance":[` + strings.Join(rows, ",") + `]}}`)
	}
	values := []string{"eight-on-A-the-end", "eight-on-B-the-end", "eight-on-A-the-end", "short", "", "shor\u00e9", "eight-on-B-the-end"}
	for range 2 {
		l, ok := readPage(page(values...), "cn-hangzhou")
		if !ok || len(l.instances) != len(values) {
			t.Fatalf("not read: %+v", l)
		}
		for i, want := range values {
			if got := l.instances[i].Tags[0].Value; got != want {
				t.Errorf("tag of row %d is %q, not %q", i, got, want)
			}
		}
		if a, b := l.instances[0].Tags[0].Key, l.instances[2].Tags[0].Key; unsafe.StringData(a) != unsafe.StringData(b) {
			t.Error("the same word lies in two places")
		}
		values[0], values[2] = values[1], values[1]
	}
}
