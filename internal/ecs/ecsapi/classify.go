package ecsapi

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shenscan/shenscan/internal/ecs"
)

// failure is an error body of the API.
type failure struct {
	Code, Message, RequestID, AuthAction string
}

// faultError is what the API said, as a cause in an *ecs.Error.
type faultError string

func (f faultError) Error() string { return string(f) }

// parseFailure reads an error body: JSON with the keys in either spelling, or
// XML. It reports false when the body is neither.
func parseFailure(body []byte) (failure, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) == nil {
		parsed := failure{
			Code:      text(members, "Code", "code"),
			Message:   text(members, "Message", "message"),
			RequestID: text(members, "RequestId", "requestId"),
		}
		var detail map[string]json.RawMessage
		if json.Unmarshal(first(members, "AccessDeniedDetail", "accessDeniedDetail"), &detail) == nil {
			parsed.AuthAction = text(detail, "AuthAction")
		}
		return parsed.clipped(), parsed.Code != ""
	}
	var x struct {
		Code      string `xml:"Code"`
		Message   string `xml:"Message"`
		RequestID string `xml:"RequestId"`
	}
	if strings.HasPrefix(strings.TrimSpace(string(body[:min(len(body), 64)])), "<") && xml.Unmarshal(body, &x) == nil {
		return failure{Code: x.Code, Message: x.Message, RequestID: x.RequestID}.clipped(), x.Code != ""
	}
	return failure{}, false
}

// errFailure means that an answer of status 200 says that the call failed.
var errFailure = errors.New("the answer is that of a failed call")

// telling reports whether the name of a member that no document of the API has
// may say that an answer is that of a failed call, or not all of it, or is
// another spelling of one that it has.
func telling(key string) bool { return failsAs[strings.ToLower(key)] != nil }

// failsAs are the members by which gateways and private clouds say that a call failed, by
// their names in small letters, and what each says it with. Those that never say so are
// telling otherwise.
var failsAs = map[string]func(text string) bool{
	"success": isFalse, "issuccess": isFalse, "asapisuccess": isFalse,
	"httpstatuscode": isErrorStatus, "statuscode": isErrorStatus, "httpcode": isErrorStatus,
	"error": isError, "errors": isError, "errorcode": isError, "errcode": isError, "errormessage": isError, "errmsg": isError,
	"hasmore": never, "istruncated": never, "truncated": never, "partial": never, "ispartial": never, "partialresult": never, "incomplete": never, "isincomplete": never, "code": never, "message": never,
	"instances": never, "nexttoken": never, "totalcount": never,
}

func never(string) bool { return false }

func isFalse(text string) bool { return text == "false" || text == "0" }

func isErrorStatus(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 400
}

func isError(text string) bool {
	return !meansSuccess(text) && !slices.Contains([]string{"", "null", "[]", "{}", "0", "false", "none"}, text)
}

// tellsOfFailure reports whether a member that no document of the API has says
// that the call failed.
func tellsOfFailure(key string, value jsontext.Value) bool {
	fails := failsAs[strings.ToLower(key)]
	return fails != nil && fails(strings.ToLower(strings.Trim(string(value), `"`)))
}

// goesOn reports whether a listing says that there is more of it, in members of which no
// document tells. Where the same is there under two names, which of them is true is not
// known.
func goesOn(rest present) (more bool, err error) {
	for key, value := range rest {
		switch strings.ToLower(key) {
		case "instances", "nexttoken", "totalcount":
			return false, errors.New("the answer has instances, nextToken or totalCount under two names")
		case "hasmore", "istruncated", "truncated", "partial", "ispartial", "partialresult", "incomplete", "isincomplete":
			said := strings.ToLower(strings.Trim(string(value), `"`))
			more = more || !slices.Contains([]string{"false", "0", "null", ""}, said)
		}
	}
	return more, nil
}

// ending is what an answer says of a list that has no further pages, or of which no other
// was asked for.
type ending struct {
	NextToken  string
	TotalCount count
}

// cut says why so many things may not be all, "" where nothing says so. rest are the
// members of the answer that nobody asks for.
func (e *ending) cut(rest present, listed int, things string) (string, error) {
	more, err := goesOn(rest)
	switch {
	case err != nil:
		return "", err
	case e.NextToken != "":
		return "it goes on under a NextToken, which the action does not take", nil
	case orNone(e.TotalCount) > listed:
		return fmt.Sprintf("it counts %d %s and names %d", e.TotalCount.v, things, listed), nil
	case more:
		return "it says that there are more " + things + ", and not where", nil
	}
	return "", nil
}

// meansSuccess reports whether a code or message says that nothing went wrong;
// private clouds send such ones with good answers.
func meansSuccess(s string) bool {
	switch strings.ToLower(s) {
	case "200", "ok", "success", "successful":
		return true
	}
	return false
}

func first(m map[string]json.RawMessage, keys ...string) json.RawMessage {
	for _, k := range keys {
		if v, ok := m[k]; ok {
			return v
		}
	}
	return nil
}

// text returns the string at the first of the keys; a number or a boolean as
// it was written, anything else "".
func text(m map[string]json.RawMessage, keys ...string) string {
	raw := first(m, keys...)
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if t := string(raw); t != "null" && !strings.ContainsAny(t, "{[") {
		return t
	}
	return ""
}

func (f failure) clipped() failure {
	return failure{Code: clip(f.Code, 100), Message: scrub(clip(f.Message, 500)), RequestID: clip(f.RequestID, 64), AuthAction: clip(f.AuthAction, 100)}
}

// clip makes untrusted text printable and short.
func clip(value string, n int) string {
	if len(value) > n {
		value = value[:n] + "..."
	}
	return strings.Map(func(char rune) rune {
		if char < ' ' || char == 0x7f || char == '\ufffd' || (char >= 0x80 && char < 0xa0) || (char >= 0x202a && char <= 0x202e) || (char >= 0x2066 && char <= 0x2069) {
			return ' '
		}
		return char
	}, value)
}

var keyShape = regexp.MustCompile(`\b(?:LTAI[0-9A-Za-z]{8,}|STS\.[0-9A-Za-z]{8,}|TMP\.[0-9A-Za-z]{8,}|CAI[Sa-z0-9A-Z+/]{40,}={0,2})|\bSignature=[0-9A-Za-z%+/=]{16,}`)

// scrub removes what looks like an access key id, a security token or a
// signature: the API quotes them in some messages (SignatureDoesNotMatch
// quotes the string that was signed).
func scrub(value string) string {
	if i := strings.Index(value, "server string to sign is:"); i >= 0 {
		value = value[:i] + "(the string to sign is left out)"
	}
	return keyShape.ReplaceAllString(value, redacted)
}

// codes maps an API code to its class. Codes and not statuses decide: the
// same code comes with different statuses.
var codes = classed(map[ecs.Class]string{
	// A retry after SignatureNonceUsed signs anew.
	ecs.Transient: `
		ServiceUnavailable ServiceUnavailable.RegionMaintaining InternalError InternalError.Dispatch OperationConflict SignatureNonceUsed
		LastTokenProcessing`,
	ecs.Credentials: `
		InvalidAccessKeyId InvalidAccessKeyId.NotFound InvalidAccessKeyId.Inactive InvalidAccessKeySecret Forbidden.AccessKeyDisabled
		SignatureDoesNotMatch IncompleteSignature MissingSecurityToken InvalidSecurityToken InvalidSecurityToken.Expired
		InvalidSecurityToken.Malformed SecurityTokenExpired InvalidTimeStamp.Expired InvalidTimeStamp.Format IllegalTimestamp
		EntityNotExist.Role`,
	ecs.Permission: `
		Forbidden Forbidden.RAM Forbidden.SubUser Forbidden.Unauthorized Forbidden.RiskControl NoPermission ImplicitDeny ExplicitDeny
		Unauthorized`,
	ecs.RegionClosed: `
		RegionUnauthorized Unauthorized.EmptyRegion InvalidRegionId InvalidRegionId.NotFound InvalidRegionId.MalFormed
		InvalidRegionId.Malformed Forbidden.RegionId RegionId.ApiNotSupported InvalidProductCode InvalidOperation.NotOpen`,
	ecs.TokenExpired: `InvalidParameter.NextToken InvalidNextToken InvalidNextToken.NotFound InvalidNextToken.Expired InvalidNextToken.Malformed`,
	// InvalidParamter is how the API spells it.
	ecs.BadRequest: `
		UnsupportedOperation InvalidAction.NotFound InvalidVersion InvalidParamter UnsupportedHTTPMethod InvalidProtocol.NeedSsl
		InvalidInstanceIds.Malform InvalidInstance.NotFound InvalidImageId.NotFound InvalidFilterKey.NotFound InvalidFilterValue.Mismatch`,
})

func classed(lists map[ecs.Class]string) map[string]ecs.Class {
	out := map[string]ecs.Class{}
	for class, list := range lists {
		for code := range strings.FieldsSeq(list) {
			out[code] = class
		}
	}
	return out
}

// classOf classifies what the API said. chained says that the call carried a
// NextToken. What is not on the list is judged by its code's beginning, by what
// its text names and by the status, in this order.
func classOf(failure failure, status int, chained bool) ecs.Class {
	if strings.Contains(failure.Code, "Throttling") {
		return ecs.Throttled
	}
	if mentionsToken(failure) || chained && status >= 400 && status < 500 && namesAToken(failure) {
		return ecs.TokenExpired
	}
	if c, ok := codes[failure.Code]; ok {
		return c
	}
	for _, known := range []struct {
		prefix string
		class  ecs.Class
	}{
		{"InvalidAccessKey", ecs.Credentials},
		{"InvalidSecurityToken", ecs.Credentials},
		{"SecurityToken", ecs.Credentials},
		{"InvalidTimeStamp", ecs.Credentials},
		{"NoPermission", ecs.Permission},
		{"Forbidden", ecs.Permission},
		{"InvalidRegionId", ecs.RegionClosed},
		{"MissingParameter", ecs.BadRequest},
		{"InvalidParameter", ecs.BadRequest},
		{"ServiceUnavailable", ecs.Transient},
		{"InternalError", ecs.Transient},
		{"SystemBusy", ecs.Throttled},
	} {
		if strings.HasPrefix(failure.Code, known.prefix) {
			return known.class
		}
	}
	return classOfText(strings.ToLower(failure.Code+" "+failure.Message), status)
}

// classOfText judges a refusal whose code nobody has heard of.
func classOfText(text string, status int) ecs.Class {
	for _, known := range []struct {
		words []string
		class ecs.Class
	}{
		{[]string{"flow control", "too many requests", "rate limit", "throttl"}, ecs.Throttled},
		{[]string{"access key", "accesskey", "security token", "securitytoken", "signature", "credential"}, ecs.Credentials},
		{[]string{"not authorized", "not authorised", "no permission", "access denied", "accessdenied"}, ecs.Permission},
	} {
		for _, w := range known.words {
			if strings.Contains(text, w) {
				return known.class
			}
		}
	}
	switch {
	case status == http.StatusTooManyRequests:
		return ecs.Throttled
	case status == http.StatusUnauthorized:
		return ecs.Credentials
	case status == http.StatusForbidden:
		return ecs.Permission
	case status >= 500, status == http.StatusRequestTimeout:
		return ecs.Transient
	}
	return ecs.BadRequest
}

// mentionsToken reports whether the API refused NextToken. The code for an
// expired one is documented nowhere, the parameter's name is in the message.
func mentionsToken(failure failure) bool {
	if !strings.HasPrefix(failure.Code, "InvalidParam") && !strings.HasPrefix(failure.Code, "InvalidNextToken") {
		return false
	}
	return strings.Contains(failure.Message, "NextToken") || strings.Contains(failure.Code, "NextToken")
}

// namesAToken reports whether a refusal is about a token that is none of the
// credentials'.
func namesAToken(f failure) bool {
	text := strings.ToLower(f.Code + " " + f.Message)
	for _, other := range []string{"securitytoken", "security token", "security-token", "ststoken", "sts token"} {
		text = strings.ReplaceAll(text, other, "")
	}
	return strings.Contains(text, "token")
}

// toError makes the *ecs.Error of one failed exchange. err is what the SDK
// returned.
func toError(req *request, s ecs.Scope, exchange *exchange, err error, now time.Time) *ecs.Error {
	failure := &ecs.Error{Action: req.action, Scope: s, Status: exchange.status}
	if f, ok := parseFailure(exchange.failed); ok {
		failure.Class, failure.Code, failure.RequestID = classOf(f, exchange.status, req.query["NextToken"] != ""), f.Code, f.RequestID
		failure.Err = faultError(f.Message)
		failure.Mend = mend(failure, f, exchange.header, now)
		return failure
	}
	failure.RequestID = clip(exchange.header.Get("X-Acs-Request-Id"), 64)
	cause := exchange.err
	if cause == nil { // there was none
		cause = errors.New(scrub(clip(err.Error(), 300)))
	}
	failure.Err = cause
	switch {
	case errors.Is(cause, errTooLarge), errors.Is(cause, errRedirect), errors.Is(cause, errContentType), errors.Is(cause, errCached), errors.Is(cause, errEmpty):
		failure.Class = ecs.BadAnswer
		failure.Mend = "look whether a proxy or a captive portal answers instead of the endpoint"
	case errors.Is(cause, errAddress):
		failure.Class = ecs.BadRequest
		failure.Mend = "check the endpoint's name resolution; set vpc for VPC endpoints"
	default:
		failure.Class = ecs.Transient // every failure that is not the API's own word
		failure.Mend = networkMend(cause)
	}
	return failure
}

func networkMend(cause error) string {
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		return "the endpoint did not answer in time; look at the network path, or raise the timeout"
	case strings.Contains(cause.Error(), "certificate"):
		return "the endpoint's certificate is not trusted; give the CA file of the proxy in between, if there is one"
	case strings.Contains(cause.Error(), "no such host"):
		return "the endpoint's name does not resolve; check DNS and the region's id"
	}
	return ""
}

// mend says what a person can do about a refusal.
func mend(failure *ecs.Error, f failure, header http.Header, now time.Time) string {
	switch failure.Class {
	case ecs.Throttled:
		return "another tool or console shares this account's quota: lower --rate, or ask for more in Quota Center"
	case ecs.Permission:
		return permissionMend(failure, f)
	case ecs.RegionClosed:
		return "activate the region for this account, or leave it out with --region"
	case ecs.Credentials:
		return credentialsMend(failure, header, now)
	case ecs.TokenExpired:
		return "the listing starts again from its first page"
	default:
		return "" // nothing that a person could do
	}
}

func permissionMend(failure *ecs.Error, f failure) string {
	if failure.Code == "Forbidden.RiskControl" {
		return "the account is held by risk control: ask Alibaba Cloud support"
	}
	action := f.AuthAction
	if action == "" {
		action = permissionOf(failure.Action)
	}
	if failure.Action == actAssume {
		return "let the base identity call sts:AssumeRole on the role, and let the role's trust policy name that identity"
	}
	file := "deploy/ram-policy.json"
	actions := Actions()
	if i := slices.IndexFunc(actions, func(a Action) bool { return a.Name == failure.Action }); i >= 0 {
		file = actions[i].Policy()
	}
	return "grant " + action + " to the identity that shenscan uses in account " + failure.Scope.Account + " (" + file + " holds all that is needed)"
}

func permissionOf(action string) string {
	for _, a := range Actions() {
		if a.Name == action && a.Permission != "" {
			return a.Permission
		}
	}
	return "ecs:" + action
}

func credentialsMend(failure *ecs.Error, header http.Header, now time.Time) string {
	switch failure.Code {
	case "InvalidTimeStamp.Expired", "IllegalTimestamp", "InvalidTimeStamp.Format":
		return timestampMend(header, now)
	case "EntityNotExist.Role":
		return "the role does not exist: check role_arn"
	case "InvalidAccessKeyId.Inactive", "Forbidden.AccessKeyDisabled":
		return "the access key is disabled: enable it, or give another one"
	}
	if failure.Scope.Account == ecs.BaseCredentials {
		return "give shenscan an access key that is valid: ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or another source of credentials of those in docs/FIRST-SCAN.md"
	}
	return "check the credentials of account " + failure.Scope.Account + ": shenscan doctor"
}

// clockRight is how far from the cloud's a clock may be that is right: the Date
// of an answer has no fractions, and the answer took its time.
const clockRight = 30 * time.Second

// timestampMend says what to do about a timestamp that the cloud refused. It
// takes one that is 15 minutes off; where this machine's clock is right,
// something else is wrong.
func timestampMend(h http.Header, now time.Time) string {
	server, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return "this machine's clock may be off: compare it with the cloud's (shenscan doctor)"
	}
	if off := now.Sub(server); off.Abs() > clockRight {
		return fmt.Sprintf("this machine's clock is %s off: set it (NTP)", off.Round(time.Second))
	}
	return "this machine's clock is right by the answer's Date: look for a proxy that holds requests back or sends them again"
}

// longestHint bounds what is believed of a hint.
const longestHint = 24 * time.Hour

// retryHint returns how long the API asks to wait: Retry-After in seconds or as
// a date, x-acs-retry-after in milliseconds, or TimeLeft (milliseconds) of the
// rate limit headers of the API gateway; the longest of them.
func retryHint(header http.Header, now time.Time) time.Duration {
	var wait time.Duration
	millis := func(s string) {
		if ms, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
			wait = max(wait, time.Duration(min(ms, longestHint.Milliseconds()))*time.Millisecond)
		}
	}
	for _, name := range []string{"X-Ratelimit-User-Api", "X-Ratelimit-User"} {
		for pair := range strings.SplitSeq(header.Get(name), ",") {
			if key, value, _ := strings.Cut(strings.TrimSpace(pair), ":"); key == "TimeLeft" {
				millis(value)
			}
		}
	}
	millis(header.Get("X-Acs-Retry-After"))
	after := strings.TrimSpace(header.Get("Retry-After"))
	if s, err := strconv.ParseInt(after, 10, 64); err == nil {
		wait = max(wait, time.Duration(min(s, int64(longestHint/time.Second)))*time.Second)
	} else if at, err := http.ParseTime(after); err == nil {
		if date, err := http.ParseTime(header.Get("Date")); err == nil { // by the clock that wrote it
			now = date
		}
		wait = max(wait, at.Sub(now))
	}
	return min(wait, longestHint)
}
