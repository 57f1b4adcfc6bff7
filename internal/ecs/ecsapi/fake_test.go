package ecsapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/proctest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		serveChild()
		return
	}
	proctest.Waits()
	proctest.CollectLess()
	goleak.VerifyTestMain(m)
}

// fake is an endpoint on loopback. Each action is answered by its handler,
// or else by a good answer.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
	calls    map[string]int
	last     *http.Request
}

const testAccount = "1234567890123456"

func newFake(t testing.TB, handlers map[string]http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{handlers: handlers, calls: map[string]int{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	action := r.Header.Get("x-acs-action")
	f.mu.Lock()
	f.calls[action]++
	f.last = r.Clone(r.Context())
	h := f.handlers[action]
	f.mu.Unlock()
	switch {
	case h != nil:
		h(w, r)
	case action == actIdentity:
		answer(w, 200, `{"AccountId":"`+testAccount+`","RequestId":"r"}`)
	case action == actInstances:
		answer(w, 200, `{"RequestId":"r","Instances":{"Instance":[{"InstanceId":"i-1"}]},"TotalCount":1}`)
	default:
		answer(w, 400, `{"Code":"UnsupportedOperation","Message":"`+action+`","RequestId":"r"}`)
	}
}

func (f *fake) count(action string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[action]
}

func (f *fake) request() *http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

// refusal answers with an error code.
func refusal(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer(w, status, fmt.Sprintf(`{"Code":%q,"Message":"the message","RequestId":"REQ-1","HostId":"h"}`, code))
	}
}

// sequence answers by each handler in turn, by the last one for ever.
func sequence(hs ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := hs[min(n, len(hs)-1)]
		n++
		mu.Unlock()
		h(w, r)
	}
}

func onePage(w http.ResponseWriter, _ *http.Request) {
	answer(w, 200, `{"RequestId":"r","TotalCount":1,"Instances":{"Instance":[{"InstanceId":"i-1"}]}}`)
}

var testNow = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

var testScope = ecs.Scope{Account: testAccount, Region: "cn-hangzhou"}

// testOptions are quick: retries wait next to nothing.
func testOptions(f *fake) Options {
	return Options{
		Endpoint: f.URL, Base: &Keys{AccessKeyID: NewSecret("testid"), AccessKeySecret: NewSecret("testsecret")},
		BackoffBase: 2 * time.Millisecond, BackoffMax: 4 * time.Millisecond, Timeout: 20 * time.Second,
		StartRate: 10000, CircuitAfter: 1000,
	}
}

func newTestClient(t testing.TB, f *fake, change func(*Options)) *Client {
	t.Helper()
	o := testOptions(f)
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// mustClass fails unless err is an *ecs.Error of the class.
func mustClass(t *testing.T, err error, want ecs.Class) *ecs.Error {
	t.Helper()
	e := asError(err)
	if e == nil {
		t.Fatalf("err = %v, want an *ecs.Error of class %s", err, want)
	}
	if e.Class != want {
		t.Fatalf("class = %s, want %s: %v", e.Class, want, err)
	}
	if s := err.Error(); strings.Contains(s, "testsecret") || strings.Contains(s, "testid") {
		t.Fatalf("the error holds a key: %s", s)
	}
	return e
}
