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

// The errors that are the same wherever they occur.
var (
	errThrottled      = &apiError{400, "Throttling.User", "Request was denied due to user flow control."}
	errForbidden      = &apiError{403, "Forbidden.RAM", "User not authorized to operate on the specified resource, or this API doesn't support RAM."}
	errUnavailable    = &apiError{503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."}
	errNotSupported   = &apiError{400, "RegionId.ApiNotSupported", "The api is not supported in this region."}
	errExpiredSession = &apiError{400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."}
	errBadToken       = &apiError{400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed."}
	errUnknownKey     = &apiError{404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."}
	errIncomplete     = &apiError{400, "IncompleteSignature", "The request signature does not conform to Aliyun standards."}
	errSignature      = &apiError{400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation."}
	errToken          = errInvalid("NextToken")
)

// body is the error as the gateway words it.
func (e *apiError) body(out []byte, requestID, host string, caller *caller, action string) []byte {
	body := object{
		"RequestId": requestID, "HostId": host, "Code": e.code, "Message": e.message,
		"Recommend": "https://api.aliyun.com/troubleshoot?q=" + e.code + "&product=Ecs&requestId=" + requestID,
	}
	if e.code == "Forbidden.RAM" && caller != nil {
		body["AccessDeniedDetail"] = object{
			"PolicyType": "AccountLevelIdentityBasedPolicy", "AuthPrincipalOwnerId": caller.account.ID, "AuthPrincipalType": caller.kind,
			"AuthPrincipalDisplayName": caller.name, "NoPermissionType": "ImplicitDeny", "AuthAction": "ecs:" + action,
		}
	}
	return appendMarshalled(out, body)
}
