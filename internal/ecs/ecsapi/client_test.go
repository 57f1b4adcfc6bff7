package ecsapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

func asError(err error) *ecs.Error {
	e, _ := errors.AsType[*ecs.Error](err)
	return e
}

func TestInstancesAsksForTheLargestPageAndSignsIt(t *testing.T) {
	f := newFake(t, nil)
	c := newTestClient(t, f, nil)
	from, to := time.Date(2024, 1, 2, 3, 4, 0, 0, time.UTC), time.Date(2025, 1, 2, 3, 4, 0, 0, time.UTC)
	p, err := c.Instances(t.Context(), testScope, ecs.Query{NextToken: "tok==", CreatedFrom: from, CreatedTo: to})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Instances) != 1 || p.RequestID != "r" {
		t.Errorf("page = %+v", p)
	}
	got := f.request().URL.Query()
	want := url.Values{
		"RegionId": {"cn-hangzhou"}, "MaxResults": {"100"}, "NextToken": {"tok=="}, "AdditionalAttributes.1": {"CURRENT_OS_NVME_SUPPORTED"},
		"Filter.1.Key": {"CreationStartTime"}, "Filter.1.Value": {"2024-01-02T03:04Z"},
		"Filter.2.Key": {"CreationEndTime"}, "Filter.2.Value": {"2025-01-02T03:04Z"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	h := f.request().Header
	if h.Get("x-acs-version") != "2014-05-26" || !strings.HasPrefix(h.Get("Authorization"), "ACS3-HMAC-SHA256 Credential=testid,") {
		t.Errorf("headers = %v", h)
	}
}

func TestTheFirstPageHasNoToken(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actInstances: garbage(200, "application/json", `{"Instances":{"Instance":[{"InstanceId":"i-1"},{"InstanceId":"i-2"}]}}`)})
	c := newTestClient(t, f, nil)
	if _, err := c.Instances(t.Context(), testScope, ecs.Query{InstanceIDs: []string{"i-1", "i-2"}}); err != nil {
		t.Fatal(err)
	}
	q := f.request().URL.Query()
	if q.Has("NextToken") || q.Get("InstanceIds") != `["i-1","i-2"]` {
		t.Errorf("query = %v", q)
	}
	_, err := c.Instances(t.Context(), testScope, ecs.Query{InstanceIDs: make([]string, 101)})
	mustClass(t, err, ecs.BadRequest)
}

// garbage writes a body with any content type.
func garbage(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// cutShort promises more than it sends.
func cutShort(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, `{"Instances":{"Instance":[`)
}

// reset closes the connection without an answer.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func TestBadAnswersAreErrorsAndPassIfTheyAreRare(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		bad   http.HandlerFunc
		class ecs.Class
		calls int // until it is given up
	}{
		"503 as HTML":                 {garbage(503, "text/html", "<html>busy</html>"), ecs.Transient, 6},
		"502 without a body":          {garbage(502, "", ""), ecs.Transient, 6},
		"403 as HTML":                 {garbage(403, "text/html", "<html>no</html>"), ecs.Transient, 6},
		"503 as XML":                  {garbage(503, "text/xml;charset=utf-8", "<?xml version='1.0'?><Error><RequestId>X</RequestId><Code>ServiceUnavailable</Code><Message>m</Message></Error>"), ecs.Transient, 6},
		"500 of the API":              {refusal(500, "InternalError"), ecs.Transient, 6},
		"503 of an unknown code":      {refusal(503, "SomethingNew"), ecs.Transient, 6},
		"nonce used":                  {refusal(400, "SignatureNonceUsed"), ecs.Transient, 6},
		"connection reset":            {reset, ecs.Transient, 6},
		"cut short":                   {cutShort, ecs.Transient, 6},
		"200 without a body":          {garbage(200, "application/json", ""), ecs.BadAnswer, maxBadAnswers},
		"200 as HTML":                 {garbage(200, "text/html", "<html>login</html>"), ecs.BadAnswer, maxBadAnswers},
		"200 with half a JSON":        {garbage(200, "application/json", `{"Instances":{"Ins`), ecs.BadAnswer, maxBadAnswers},
		"200 of another shape":        {garbage(200, "application/json", `{"RequestId":"r"}`), ecs.BadAnswer, maxBadAnswers},
		"200 null":                    {garbage(200, "application/json", `null`), ecs.BadAnswer, maxBadAnswers},
		"204":                         {garbage(204, "", ""), ecs.Transient, 6},
		"200 of a success of nothing": {garbage(200, "application/json", `{"RequestId":"r","Code":"200","Message":"success"}`), ecs.BadAnswer, maxBadAnswers},
		"200 out of a cache": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Age", "86400")
			onePage(w, r)
		}, ecs.BadAnswer, maxBadAnswers},
		"deep nesting":           {garbage(200, "application/json", strings.Repeat(`{"a":`, 20000)), ecs.BadAnswer, maxBadAnswers},
		"200 with an error body": {garbage(200, "application/json", `{"Code":"ServiceUnavailable","Message":"m","RequestId":"X"}`), ecs.Transient, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]http.HandlerFunc{actInstances: tc.bad})
			c := newTestClient(t, f, nil)
			p, err := c.Instances(t.Context(), testScope, ecs.Query{})
			if p != nil {
				t.Errorf("page = %+v", p)
			}
			mustClass(t, err, tc.class)
			if n := f.count(actInstances); n != tc.calls {
				t.Errorf("%d calls, want %d", n, tc.calls)
			}
			f2 := newFake(t, map[string]http.HandlerFunc{actInstances: sequence(tc.bad, tc.bad, onePage)})
			p, err = newTestClient(t, f2, nil).Instances(t.Context(), testScope, ecs.Query{})
			if err != nil || len(p.Instances) != 1 {
				t.Errorf("after two bad answers: %+v, %v", p, err)
			}
		})
	}
}

func TestAGiganticAnswerIsNotRead(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	flood := func(compress bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			var out io.Writer = w
			if compress && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				defer z.Close()
				out = z
			}
			chunk := bytes.Repeat([]byte(`"aaaaaaaaaaaaaaaa",`), 4096)
			for range 1000 {
				n, err := out.Write(chunk)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		}
	}
	for _, gz := range []bool{false, true} {
		f := newFake(t, map[string]http.HandlerFunc{actInstances: flood(gz)})
		c := newTestClient(t, f, func(o *Options) { o.MaxBody = 1 << 20; o.Gzip = gz })
		_, err := c.Instances(t.Context(), testScope, ecs.Query{})
		mustClass(t, err, ecs.BadAnswer)
		if !errors.Is(err, errTooLarge) {
			t.Errorf("gzip %v: %v", gz, err)
		}
	}
}

// An answer that was in no cache at all, or whose age is none, is one of now.
func TestAnAnswerOfNoAgeIsTaken(t *testing.T) {
	t.Parallel()
	for _, age := range []string{"0", "", "unknown"} {
		f := newFake(t, map[string]http.HandlerFunc{actInstances: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Age", age)
			onePage(w, r)
		}})
		if p, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{}); err != nil || len(p.Instances) != 1 {
			t.Errorf("Age %q: %+v, %v", age, p, err)
		}
	}
}

func TestGzipIsASetting(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actInstances: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Accept-Encoding") != "gzip" {
			onePage(w, r)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		fmt.Fprint(z, `{"Instances":{"Instance":[{"InstanceId":"i-gz"}]}}`)
	}})
	for gz, want := range map[bool]string{true: "i-gz", false: "i-1"} {
		p, err := newTestClient(t, f, func(o *Options) { o.Gzip = gz }).Instances(t.Context(), testScope, ecs.Query{})
		if err != nil || p.Instances[0].ID != want {
			t.Errorf("gzip %v: %+v, %v", gz, p, err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	second := newFake(t, nil)
	f := newFake(t, map[string]http.HandlerFunc{actInstances: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, second.URL, http.StatusTemporaryRedirect)
	}})
	_, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{})
	mustClass(t, err, ecs.BadAnswer)
	if n := second.count(actInstances) + second.count(""); n != 0 {
		t.Errorf("%d requests reached the second host", n)
	}
}

// The second call has a second to be answered in, so that no other test runs beside it.
func TestAHangEndsAtTheTimeout(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"no header": func(http.ResponseWriter) {},
		"half a body": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"Instances":`)
			w.(http.Flusher).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			hang := func(w http.ResponseWriter, _ *http.Request) {
				begin(w)
				<-release
			}
			f := newFake(t, map[string]http.HandlerFunc{actInstances: sequence(hang, onePage)})
			t.Cleanup(func() { close(release) })
			c := newTestClient(t, f, func(o *Options) { o.Timeout = time.Second; o.MaxAttempts = 1 })
			_, err := c.Instances(t.Context(), testScope, ecs.Query{})
			mustClass(t, err, ecs.Transient)
			if errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errTimeout) {
				t.Errorf("err = %v", err)
			}
			if _, err := c.Instances(t.Context(), testScope, ecs.Query{}); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}

func TestCancellationEndsACallAtOnce(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 1)
	f := newFake(t, map[string]http.HandlerFunc{actInstances: func(http.ResponseWriter, *http.Request) {
		started <- struct{}{}
		<-release
	}})
	defer close(release)
	c := newTestClient(t, f, nil)
	if _, err := c.Accounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	_, err := c.Instances(ctx, testScope, ecs.Query{})
	if !errors.Is(err, context.Canceled) || asError(err) != nil {
		t.Errorf("err = %v", err)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var conns atomic.Int64
	f := &fake{calls: map[string]int{}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	f.Start()
	t.Cleanup(f.Close)
	c := newTestClient(t, f, func(o *Options) { o.Concurrency = 16 })
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 25 {
				if _, err := c.Instances(t.Context(), testScope, ecs.Query{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := conns.Load(); n > 40 {
		t.Errorf("%d connections for 400 calls of 16 callers", n)
	}
}

func TestErrorsAreClassifiedByCode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status int
		code   string
		class  ecs.Class
		calls  int
	}{
		{400, "Throttling", ecs.Throttled, 3},
		{429, "Throttling.User", ecs.Throttled, 3},
		{403, "Rejected.Throttling", ecs.Throttled, 3},
		{404, "InvalidAccessKeyId.NotFound", ecs.Credentials, 2},
		{400, "SignatureDoesNotMatch", ecs.Credentials, 2},
		{400, "InvalidSecurityToken.Expired", ecs.Credentials, 2},
		{500, "InvalidTimeStamp.Expired", ecs.Credentials, 2},
		{403, "Forbidden.RAM", ecs.Permission, 1},
		{403, "NoPermission", ecs.Permission, 1},
		{403, "Forbidden.RiskControl", ecs.Permission, 1},
		{404, "InvalidRegionId.NotFound", ecs.RegionClosed, 1},
		{403, "RegionUnauthorized", ecs.RegionClosed, 1},
		{400, "Forbidden.RegionId", ecs.RegionClosed, 1},
		{400, "MissingParameter.X", ecs.BadRequest, 1},
		{400, "InvalidParameter", ecs.BadRequest, 1},
		{400, "UnsupportedOperation", ecs.BadRequest, 1},
	} {
		t.Run(tc.code, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]http.HandlerFunc{actInstances: refusal(tc.status, tc.code)})
			c := newTestClient(t, f, func(o *Options) { o.MaxThrottles = 2 })
			_, err := c.Instances(t.Context(), testScope, ecs.Query{})
			e := mustClass(t, err, tc.class)
			if e.Code != tc.code || e.Status != tc.status || e.RequestID != "REQ-1" || e.Action != actInstances || e.Scope != testScope {
				t.Errorf("error = %+v", e)
			}
			if n := f.count(actInstances); n != tc.calls {
				t.Errorf("%d calls, want %d", n, tc.calls)
			}
			if tc.class != ecs.BadRequest && e.Mend == "" {
				t.Error("nothing says what to do")
			}
		})
	}
}

func TestAnExpiredTokenIsTheCallersToHandle(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actInstances: garbage(400, "application/json",
		`{"Code":"InvalidParameter","Message":"The specified parameter NextToken is not valid.","RequestId":"r"}`)})
	_, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{NextToken: "old"})
	mustClass(t, err, ecs.TokenExpired)
	if n := f.count(actInstances); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// TestAnUnknownCodeIsJudgedByItsTextAndStatus holds refusals that are in no
// document against what they say, on a call that carried a NextToken.
func TestAnUnknownCodeIsJudgedByItsTextAndStatus(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status        int
		code, message string
		class         ecs.Class
	}{
		"a token by another name":      {400, "PagingContext.Stale", "The token of this listing is no longer known.", ecs.TokenExpired},
		"an expired token, 404":        {404, "Token.Expired", "expired", ecs.TokenExpired},
		"a parameter, in its message":  {400, "InvalidValue", "The parameter NextToken is not valid.", ecs.TokenExpired},
		"a token of the credentials":   {400, "SecurityToken.Unknown", "The security token is not known.", ecs.Credentials},
		"a server that fails":          {500, "Token.Store", "the token store is away", ecs.Transient},
		"busy":                         {400, "SystemBusy", "try again", ecs.Throttled},
		"too many requests":            {429, "Slow.Down", "", ecs.Throttled},
		"flow control":                 {400, "Denied", "Request was denied due to user flow control.", ecs.Throttled},
		"a request that took too long": {408, "Late", "", ecs.Transient},
		"unauthorized":                 {401, "Who", "", ecs.Credentials},
		"a key":                        {400, "KeyTrouble", "The access key is not known.", ecs.Credentials},
		"forbidden":                    {403, "No", "", ecs.Permission},
		"nothing to go by":             {400, "Odd", "odd", ecs.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, map[string]http.HandlerFunc{actInstances: garbage(tc.status, "application/json",
				fmt.Sprintf(`{"Code":%q,"Message":%q,"RequestId":"r"}`, tc.code, tc.message))})
			c := newTestClient(t, f, func(o *Options) { o.MaxThrottles, o.MaxAttempts = 1, 1 })
			_, err := c.Instances(t.Context(), testScope, ecs.Query{NextToken: "old"})
			mustClass(t, err, tc.class)
		})
	}
}

func TestATimestampThatIsRefusedThoughTheClockIsRight(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actInstances: refusal(400, "IllegalTimestamp")})
	_, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{})
	if e := mustClass(t, err, ecs.Credentials); strings.Contains(e.Mend, "NTP") || !strings.Contains(e.Mend, "clock is right") {
		t.Errorf("mend = %q", e.Mend)
	}
}

func TestMendSaysWhatToDo(t *testing.T) {
	ram, err := os.ReadFile(filepath.Join("testdata", "responses", "Error.example.ram.json"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(t, map[string]http.HandlerFunc{
		actInstances: garbage(403, "application/json", string(ram)),
		actTypes: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(-20*time.Minute).UTC().Format(http.TimeFormat))
			refusal(400, "InvalidTimeStamp.Expired")(w, r)
		},
	})
	c := newTestClient(t, f, nil)
	_, err = c.Instances(t.Context(), testScope, ecs.Query{})
	if e := mustClass(t, err, ecs.Permission); !strings.Contains(e.Mend, "grant ecs:DescribeInstances") || !strings.Contains(e.Mend, testAccount) {
		t.Errorf("mend = %q", e.Mend)
	}
	_, err = c.InstanceTypes(t.Context(), testAccount)
	if e := mustClass(t, err, ecs.Credentials); !strings.Contains(e.Mend, "clock is 20m") {
		t.Errorf("mend = %q", e.Mend)
	}
}

func TestClockSkew(t *testing.T) {
	late := func(w http.ResponseWriter) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	}
	f := newFake(t, map[string]http.HandlerFunc{
		actInstances: func(w http.ResponseWriter, r *http.Request) { late(w); onePage(w, r) },
		actIdentity: func(w http.ResponseWriter, _ *http.Request) {
			late(w)
			answer(w, 200, `{"AccountId":"`+testAccount+`","RequestId":"r"}`)
		},
	})
	c := newTestClient(t, f, func(o *Options) { o.Accounts = []Account{{Name: testAccount}} })
	if _, known := c.ClockSkew(); known {
		t.Error("the skew is known before the first answer")
	}
	if _, err := c.Instances(t.Context(), testScope, ecs.Query{}); err != nil {
		t.Fatal(err)
	}
	if d, known := c.ClockSkew(); !known || d < time.Hour-time.Second || d > time.Hour+5*time.Second {
		t.Errorf("%v, %v", d, known)
	}
}

func TestASignatureErrorShowsNoSecret(t *testing.T) {
	body := `{"Code":"SignatureDoesNotMatch","Message":"Specified signature is not matched with our calculation. server string to sign is:ACS3 x-acs-accesskey-id:STS.NTabcdefghijkl12345 LTAI5tAbCdEfGhIjKlMnOp","RequestId":"r"}`
	f := newFake(t, map[string]http.HandlerFunc{actInstances: garbage(400, "application/json", body)})
	_, err := newTestClient(t, f, nil).Instances(t.Context(), testScope, ecs.Query{})
	mustClass(t, err, ecs.Credentials)
	for _, bad := range []string{"STS.NT", "LTAI5t", "accesskey-id"} {
		if strings.Contains(err.Error(), bad) {
			t.Errorf("the error holds %s: %v", bad, err)
		}
	}
}

func TestVerifyAccess(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actInstances: refusal(400, "DryRunOperation")})
	c := newTestClient(t, f, nil)
	if err := c.VerifyAccess(t.Context(), testScope); err != nil {
		t.Error(err)
	}
	if q := f.request().URL.Query(); q.Get("DryRun") != "true" {
		t.Errorf("query = %v", q)
	}
	denied := newFake(t, map[string]http.HandlerFunc{actInstances: refusal(403, "Forbidden.RAM")})
	mustClass(t, newTestClient(t, denied, nil).VerifyAccess(t.Context(), testScope), ecs.Permission)
	ignored := newFake(t, nil)
	mustClass(t, newTestClient(t, ignored, nil).VerifyAccess(t.Context(), testScope), ecs.BadAnswer)
}

func TestCountInstances(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actInstances: sequence(
		garbage(200, "application/json", `{"TotalCount":"4321","Instances":{"Instance":[{"InstanceId":"i"}]}}`),
		garbage(200, "application/json", `{"Instances":{"Instance":[]}}`))})
	c := newTestClient(t, f, nil)
	n, err := c.CountInstances(t.Context(), testScope, ecs.Query{})
	if err != nil || n != 4321 {
		t.Errorf("%d, %v", n, err)
	}
	if q := f.request().URL.Query(); q.Get("PageNumber") != "1" || q.Get("PageSize") != "1" || q.Has("MaxResults") {
		t.Errorf("query = %v", q)
	}
	if n, err = c.CountInstances(t.Context(), testScope, ecs.Query{}); err != nil || n != ecs.NoCount {
		t.Errorf("an answer without a count: %d, %v", n, err)
	}
}

// revoked answers like RAM: an empty list, and a refusal to a dry run.
func revoked(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("DryRun") == "true" {
		refusal(403, "Forbidden.RAM")(w, r)
		return
	}
	answer(w, 200, `{"RequestId":"r","TotalCount":0,"PageNumber":1,"PageSize":100,"NextToken":"","Instances":{"Instance":[]}}`)
}

func TestAPermissionThatIsRevokedBehindThePageIsNoEndOfTheChain(t *testing.T) {
	first := garbage(200, "application/json", `{"RequestId":"r","TotalCount":2,"NextToken":"t","Instances":{"Instance":[{"InstanceId":"i-1"}]}}`)
	c := newTestClient(t, newFake(t, map[string]http.HandlerFunc{actInstances: sequence(first, revoked)}), nil)
	p, err := c.Instances(t.Context(), testScope, ecs.Query{})
	if err != nil || p.NextToken != "t" {
		t.Fatalf("%+v, %v", p, err)
	}
	_, err = c.Instances(t.Context(), testScope, ecs.Query{NextToken: p.NextToken})
	mustClass(t, err, ecs.Permission)
}

func TestRegions(t *testing.T) {
	body := responses(t, "DescribeRegions.recorded.")["DescribeRegions.recorded.troubleshooter.01.json"]
	f := newFake(t, map[string]http.HandlerFunc{actRegions: garbage(200, "application/json", string(body))})
	rs, err := newTestClient(t, f, nil).Regions(t.Context(), testAccount)
	if err != nil || len(rs) < 20 {
		t.Fatalf("%d regions, %v", len(rs), err)
	}
	if rs[0].ID == "" || rs[0].Endpoint == "" {
		t.Errorf("region = %+v", rs[0])
	}
	for _, body := range []string{`{"Regions":{"Region":[{"RegionId":""}]}}`, `{"Regions":{}}`, `{"Regions":{"Region":[{"RegionId":"../x"}]}}`} {
		if _, err := decodeRegions([]byte(body)); err == nil {
			t.Errorf("%s was taken", body)
		}
	}
}

func TestImagesBatchesAndNamesTheMissing(t *testing.T) {
	var batches []int
	f := newFake(t, map[string]http.HandlerFunc{actImages: func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		ids := strings.Split(q.Get("ImageId"), ",")
		batches = append(batches, len(ids))
		if q.Get("PageSize") != "100" || q.Get("ShowExpired") != "true" || len(strings.Split(q.Get("Status"), ",")) != 6 {
			t.Errorf("query = %v", q)
		}
		var items []string
		for _, id := range ids {
			if id == "m-gone" || strings.ContainsAny(id, "&' ") {
				continue
			}
			items = append(items, fmt.Sprintf(`{"ImageId":%q,"OSName":"CentOS  5.8 64位","Status":"Deprecated"}`, id))
		}
		answer(w, 200, `{"Images":{"Image":[`+strings.Join(items, ",")+`]},"TotalCount":"`+fmt.Sprint(len(items))+`"}`)
	}})
	ids := []string{"m-gone", "bad,id", "a&b", "", "m-0"}
	for i := range 110 {
		ids = append(ids, fmt.Sprintf("m-%d", i))
	}
	got, err := newTestClient(t, f, nil).Images(t.Context(), testScope, ids)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 114 || got[0].Facts.Presence != rules.ImageMissing || got[1].Facts.Presence != rules.ImageMissing || got[4].Facts.OSName != "CentOS  5.8 64位" {
		t.Errorf("%d images: %+v", len(got), got[:5])
	}
	// Then for the one that is missing: once more, and of the three owners whose
	// images may have to be asked for.
	if diff := cmp.Diff([]int{50, 50, 11, 1, 1, 1, 1}, batches); diff != "" {
		t.Error(diff)
	}
}

func TestAnImageIDThatTheAPIRefusesIsMissing(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actImages: func(w http.ResponseWriter, r *http.Request) {
		ids := r.URL.Query().Get("ImageId")
		if strings.Contains(ids, "poison") {
			refusal(400, "InvalidImageId.Malformed")(w, r)
			return
		}
		answer(w, 200, `{"Images":{"Image":[{"ImageId":"`+strings.ReplaceAll(ids, ",", `"},{"ImageId":"`)+`"}]}}`)
	}})
	got, err := newTestClient(t, f, nil).Images(t.Context(), testScope, []string{"m-1", "m-2", "poison", "m-3", "m-4"})
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range got {
		if missing := img.Facts.Presence == rules.ImageMissing; missing != (img.ID == "poison") {
			t.Errorf("%+v", img)
		}
	}
}

func TestImageFacts(t *testing.T) {
	for name, body := range responses(t, "DescribeImages.") {
		if _, err := decodeImages(body, regionOf(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := decodeImages(responses(t, "DescribeImages.example.")["DescribeImages.example.json"], "cn-hangzhou")
	if err != nil {
		t.Fatal(err)
	}
	want := rules.ImageFacts{
		Presence: rules.ImageFound, Name: "legacy-app-2019", Platform: "CentOS", OSName: "CentOS  7.4 64位", OSNameEn: "CentOS  7.4 64 bit",
		OSType: "linux", Architecture: "x86_64", BootMode: "BIOS", Owner: "self", Status: "Available", IoOptimized: rules.Yes, NVMe: rules.No,
		CheckNVMe: rules.No, CheckVirtio: rules.Yes, TagOSVersion: "CentOS 7.4", TagKernelVersion: "3.10.0-693.el7.x86_64",
	}
	if diff := cmp.Diff(want, got.images[0].Facts); diff != "" {
		t.Error(diff)
	}
	got, err = decodeImages([]byte(`{"Images":{"Image":[{"ImageId":"m","Features":"","Tags":null,"DetectionOptions":{"Items":{"Item":[
		{"Name":"GUESTOS.Virtio","Value":"Unsupported"},{"Name":"guestos.xen","Value":"supported"},{"Name":"GUESTOS.KernelVersion","Value":"2.6.18-308"},
		{"Name":"GUESTOS.OSVersion","Value":"5.8"},{"Name":"FSTAB","Value":"Normal"},{"Name":"Grub","RiskCode":"X"},{"Name":"GUESTOS.SupportMocInstanceTypes","Value":"false"}]}}}]}}`), "cn-hangzhou")
	if err != nil {
		t.Fatal(err)
	}
	want = rules.ImageFacts{
		Presence: rules.ImageFound, CheckVirtio: rules.No, CheckXen: rules.Yes, CheckKernel: "2.6.18-308", CheckOSVersion: "5.8",
		CheckFstab: rules.Yes, CheckGRUB: rules.No, CheckSupported: rules.No,
	}
	if diff := cmp.Diff(want, got.images[0].Facts); diff != "" {
		t.Error(diff)
	}
}

func TestInstanceTypesAreListedToTheEnd(t *testing.T) {
	page := func(token, ids string) http.HandlerFunc {
		return garbage(200, "application/json", `{"NextToken":"`+token+`","InstanceTypes":{"InstanceType":[`+ids+`]}}`)
	}
	f := newFake(t, map[string]http.HandlerFunc{actTypes: sequence(
		page("a", `{"InstanceTypeId":"ecs.g8y.large","InstanceTypeFamily":"ecs.g8y","CpuArchitecture":"ARM","CpuCoreCount":"2","MemorySize":8,"NvmeSupport":"required","SupportedBootModes":{"SupportedBootMode":["UEFI"]}}`),
		page("", `{"InstanceTypeId":"ecs.s1.small","MemorySize":"0.5"},{"InstanceTypeId":"ecs.g8y.large"}`))})
	got, err := newTestClient(t, f, nil).InstanceTypes(t.Context(), testAccount)
	if err != nil {
		t.Fatal(err)
	}
	want := []ecs.InstanceType{
		{ID: "ecs.g8y.large", Family: "ecs.g8y", Arch: "ARM", CPU: 2, MemoryGiB: 8, NVMe: "required", BootModes: []string{"UEFI"}},
		{ID: "ecs.s1.small", MemoryGiB: 0.5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	loop := newFake(t, map[string]http.HandlerFunc{actTypes: page("a", `{"InstanceTypeId":"x"}`)})
	_, err = newTestClient(t, loop, nil).InstanceTypes(t.Context(), testAccount)
	mustClass(t, err, ecs.BadAnswer)
}

func TestAScopeThatKeepsFailingIsGivenUpAndOthersAreNot(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actInstances: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("RegionId") == "cn-beijing" {
			refusal(503, "ServiceUnavailable")(w, r)
			return
		}
		onePage(w, r)
	}})
	c := newTestClient(t, f, func(o *Options) { o.CircuitAfter = 2; o.CircuitPause = time.Hour; o.MaxAttempts = 2 })
	sick := ecs.Scope{Account: testAccount, Region: "cn-beijing"}
	for range 5 {
		_, err := c.Instances(t.Context(), sick, ecs.Query{})
		mustClass(t, err, ecs.Transient)
		if _, err := c.Instances(t.Context(), testScope, ecs.Query{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.Instances(t.Context(), sick, ecs.Query{})
	if !errors.Is(err, ErrGivenUp) || asError(err).Class != ecs.Transient {
		t.Errorf("err = %v", err)
	}
	if n := f.count(actInstances); n != 4+5 {
		t.Errorf("%d calls", n)
	}
}

func TestTheProxyPasswordStaysWithTheProxy(t *testing.T) {
	seen := make(chan http.Header, 4)
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-acs-action") == actIdentity {
			answer(w, 200, `{"AccountId":"`+testAccount+`","RequestId":"r"}`)
			return
		}
		seen <- r.Header.Clone()
		onePage(w, r)
	}))
	defer f.Close()
	t.Setenv("HTTP_PROXY", "http://user:proxypassword@127.0.0.1:1")
	c, err := New(Options{Endpoint: f.URL, Accounts: []Account{{Name: "a"}}, Base: &Keys{AccessKeyID: NewSecret("testid"), AccessKeySecret: NewSecret("testsecret")}, StartRate: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Instances(t.Context(), ecs.Scope{Account: testAccount, Region: "r"}, ecs.Query{}); err != nil {
		t.Fatal(err)
	}
	if h := <-seen; h.Get("Proxy-Authorization") != "" {
		t.Errorf("headers = %v", h)
	}
}
