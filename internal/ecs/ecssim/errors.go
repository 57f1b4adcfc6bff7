package ecssim

import "fmt"

// apiError is an answer of the API that is an error: its HTTP status, code and
// message.
type apiError struct {
	status        int
	code, message string
}

func errInvalid(param string) *apiError {
	return &apiError{400, "InvalidParameter", fmt.Sprintf("The specified parameter %s is not valid.", param)}
}

func errMissing(param string) *apiError {
	return &apiError{400, "MissingParameter", fmt.Sprintf("The input parameter %q that is mandatory for processing this request is not supplied.", param)}
}

func errThrottled() *apiError {
	return &apiError{400, "Throttling.User", "Request was denied due to user flow control."}
}

func errForbidden() *apiError {
	return &apiError{403, "Forbidden.RAM", "User not authorized to operate on the specified resource, or this API doesn't support RAM."}
}

func errRegion() *apiError {
	return &apiError{404, "InvalidRegionId.NotFound", "The specified RegionId does not exist."}
}

func errDryRun() *apiError {
	return &apiError{400, "DryRunOperation", "Request validation has been passed with DryRun flag set."}
}

func errExpiredSession() *apiError {
	return &apiError{400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."}
}

// body is the error as the gateway words it.
func (e *apiError) body(b []byte, requestID, host string, caller *caller, action string) []byte {
	b = append(b, `{"RequestId":`...)
	b = appendJSON(b, requestID)
	b = append(b, `,"HostId":`...)
	b = appendJSON(b, host)
	b = append(b, `,"Code":`...)
	b = appendJSON(b, e.code)
	b = append(b, `,"Message":`...)
	b = appendJSON(b, e.message)
	if e.code == "Forbidden.RAM" && caller != nil {
		b = append(b, `,"AccessDeniedDetail":{"PolicyType":"AccountLevelIdentityBasedPolicy","AuthPrincipalOwnerId":`...)
		b = appendJSON(b, caller.account.ID)
		b = append(b, `,"AuthPrincipalType":`...)
		b = appendJSON(b, caller.kind)
		b = append(b, `,"AuthPrincipalDisplayName":`...)
		b = appendJSON(b, caller.name)
		b = append(b, `,"NoPermissionType":"ImplicitDeny","AuthAction":`...)
		b = appendJSON(b, "ecs:"+action)
		b = append(b, '}')
	}
	b = append(b, `,"Recommend":`...)
	b = appendJSON(b, "https://api.aliyun.com/troubleshoot?q="+e.code+"&product=Ecs&requestId="+requestID)
	return append(b, '}')
}
