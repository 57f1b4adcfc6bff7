package ecsapi

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	sdk "github.com/alibabacloud-go/ecs-20140526/v4/client"
	"github.com/alibabacloud-go/tea/dara"

	"github.com/shenscan/shenscan/internal/ecs"
)

const childEnv = "ECSAPI_BENCH_SERVER"

// serveChild answers every call with a full page, in a process of its own so
// that its CPU time is not counted, until its standard input ends.
func serveChild() {
	body := bigPage(100, "token")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		if r.Header.Get("x-acs-action") == actIdentity {
			_, _ = io.WriteString(w, `{"AccountId":"`+testAccount+`"}`)
			return
		}
		_, _ = w.Write(body)
	}))
	fmt.Println(s.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func benchServer(b *testing.B) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return url[:len(url)-1]
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCall compares, in one run, the CPU time of this process for one
// whole call of DescribeInstances with 100 instances: this package, and the
// SDK's own method.
func BenchmarkCall(b *testing.B) {
	url := benchServer(b)
	c, err := New(Options{
		Endpoint: url, Base: &Keys{AccessKeyID: NewSecret("testid"), AccessKeySecret: NewSecret("testsecret")},
		Accounts: []Account{{Name: "a"}}, StartRate: highestRate,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	cfg := &openapi.Config{HttpClient: plainClient{}}
	cfg.SetAccessKeyId("testid").SetAccessKeySecret("testsecret").SetEndpoint(url[len("http://"):]).SetProtocol("HTTP").SetRegionId("cn-hangzhou")
	plain, err := sdk.NewClient(cfg)
	if err != nil {
		b.Fatal(err)
	}
	req := new(sdk.DescribeInstancesRequest).SetRegionId("cn-hangzhou").SetMaxResults(100)
	defer http.DefaultClient.CloseIdleConnections()
	for _, side := range []struct {
		name string
		call func() (int, error)
	}{
		{"adapter", func() (int, error) {
			p, err := c.Instances(b.Context(), ecs.Scope{Account: testAccount, Region: "cn-hangzhou"}, ecs.Query{})
			if err != nil {
				return 0, err
			}
			return len(p.Instances), nil
		}},
		{"sdk", func() (int, error) {
			r, err := plain.DescribeInstancesWithOptions(req, &dara.RuntimeOptions{})
			if err != nil {
				return 0, err
			}
			return len(r.Body.Instances.Instance), nil
		}},
	} {
		b.Run(side.name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime()
			for b.Loop() {
				if n, err := side.call(); err != nil || n != 100 {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}

// plainClient is the least that the SDK can be given.
type plainClient struct{}

func (plainClient) Call(r *http.Request, _ *http.Transport) (*http.Response, error) {
	return http.DefaultClient.Do(r)
}
