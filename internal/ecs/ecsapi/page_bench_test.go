package ecsapi

import (
	"encoding/json"
	"testing"

	sdk "github.com/alibabacloud-go/ecs-20140526/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// BenchmarkPage compares, in one run, what it costs to read one full page of
// 100 instances: merely passing over it (scan, encoding/json.Valid), the page
// reader, unmarshal, and the way of the SDK.
func BenchmarkPage(b *testing.B) {
	body := bigPage(100, "token")
	buf := append(make([]byte, 0, len(body)+padding), body...)
	padded := buf[:len(body)+padding]
	run := func(name string, f func() bool) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if !f() {
					b.Fatal("not read")
				}
			}
		})
	}
	run("scan", func() bool {
		r := pageReader{text: padded, size: len(body)}
		return r.behind(0, deepest) == r.size
	})
	run("valid", func() bool { return json.Valid(body) })
	run("decode", func() bool { l, err := decodeListing(buf, "cn-hangzhou"); return err == nil && len(l.instances) == 100 })
	run("unmarshal", func() bool {
		l, err := decodeOddListing(body, "cn-hangzhou")
		return err == nil && len(l.instances) == 100
	})
	run("sdk", func() bool { return sdkDecode(body) == 100 })
}

// sdkDecode does what DescribeInstances of the SDK does with a body: JSON to
// a map, the map to JSON to a map, that to JSON to a struct.
func sdkDecode(body []byte) int {
	var obj any
	if json.Unmarshal(body, &obj) != nil {
		return -1
	}
	var result map[string]any
	if dara.Convert(map[string]any{"body": dara.ToMap(obj), "headers": map[string]*string{}, "statusCode": 200}, &result) != nil {
		return -1
	}
	resp := new(sdk.DescribeInstancesResponse)
	if dara.Convert(result, resp) != nil || resp.Body == nil {
		return -1
	}
	return len(resp.Body.Instances.Instance)
}
