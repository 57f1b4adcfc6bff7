package ecssim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Sessions are not remembered: everything is in the security token, sealed
// with a key of the seed.

// session is what a security token says.
type session struct {
	Account int    `json:"a"`
	Role    string `json:"r"`
	Name    string `json:"n"`
	Expires int64  `json:"e"` // Unix milliseconds
	Epoch   uint32 `json:"p"`
	Serial  uint64 `json:"s"`
}

// seal makes the three parts of temporary keys.
func (s *Simulator) seal(in session) (key, secret, token string) {
	payload, err := json.Marshal(in)
	if err != nil {
		return "", "", "" // a struct of numbers and strings always encodes
	}
	mac := s.mac("token", payload)
	token = "CAIS" + base64.StdEncoding.EncodeToString(append(mac, payload...))
	key, secret = s.sessionKeys(token)
	return key, secret, token
}

// sessionKeys derives the key pair of a security token.
func (s *Simulator) sessionKeys(token string) (key, secret string) {
	m := s.mac("keys", []byte(token))
	enc := base64.RawURLEncoding.EncodeToString(m)
	enc = strings.NewReplacer("-", "a", "_", "b").Replace(enc)
	return "STS." + enc[:20], enc[20:] + enc[:10]
}

func (s *Simulator) mac(purpose string, payload []byte) []byte {
	h := hmac.New(sha256.New, fmt.Appendf(nil, "sts %s %d", purpose, s.fleet.seed))
	h.Write(payload)
	return h.Sum(nil)
}

// secretOf finds the secret of an access key.
func (s *Simulator) secretOf(key, token string) (*caller, string, *apiError) {
	if strings.HasPrefix(key, "STS.") {
		return s.sessionOf(key, token)
	}
	for i := range s.opt.Keys {
		if account := s.opt.Keys[i]; account.AccessKeyID == key {
			if token != "" {
				return nil, "", errBadToken
			}
			return &caller{account: account, kind: "User", name: account.Name}, account.AccessKeySecret, nil
		}
	}
	return nil, "", errUnknownKey
}

// sessionOf opens a security token.
func (s *Simulator) sessionOf(key, token string) (*caller, string, *apiError) {
	if token == "" {
		return nil, "", &apiError{400, "MissingSecurityToken", "SecurityToken is mandatory for this action."}
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token, "CAIS"))
	if err != nil || len(raw) < sha256.Size || !hmac.Equal(raw[:sha256.Size], s.mac("token", raw[sha256.Size:])) {
		return nil, "", errBadToken
	}
	var in session
	if json.Unmarshal(raw[sha256.Size:], &in) != nil || in.Account < 0 || in.Account >= len(s.opt.Keys) {
		return nil, "", errBadToken
	}
	want, secret := s.sessionKeys(token)
	if want != key {
		return nil, "", errUnknownKey
	}
	if in.Epoch != s.sessionEpoch.Load() || s.opt.Now().UnixMilli() >= in.Expires {
		return nil, "", errExpiredSession
	}
	return &caller{account: s.opt.Keys[in.Account], kind: "AssumedRoleUser", name: in.Role + ":" + in.Name}, secret, nil
}

var (
	roleARN     = regexp.MustCompile(`^acs:ram::(\d+):role/([A-Za-z0-9.-]{1,64})$`)
	sessionName = regexp.MustCompile(`^[\w.@-]{2,32}$`)
)

// assumeRole answers AssumeRole.
func (s *Simulator) assumeRole(call *call, _ *scope) (object, *apiError) {
	arn, name := call.params.get("RoleArn"), call.params.get("RoleSessionName")
	switch {
	case arn == "":
		return nil, errMissing("RoleArn")
	case name == "":
		return nil, errMissing("RoleSessionName")
	case !sessionName.MatchString(name):
		return nil, &apiError{400, "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed."}
	}
	match := roleARN.FindStringSubmatch(arn)
	if match == nil {
		return nil, &apiError{400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed."}
	}
	at := slices.IndexFunc(s.opt.Keys, func(a Account) bool { return a.ID == match[1] })
	if at < 0 || (s.opt.RoleName != "" && s.opt.RoleName != match[2]) {
		return nil, &apiError{404, "EntityNotExist.Role", "The specified role not exists: " + match[2]}
	}
	if s.opt.ExternalID != "" && call.params.get("ExternalId") != s.opt.ExternalID {
		return nil, &apiError{403, "NoPermission", "You are not authorized to do this action. You should be authorized by RAM."}
	}
	seconds, err := call.params.int("DurationSeconds", 3600)
	if err != nil || seconds < 900 || seconds > 43200 {
		return nil, &apiError{400, "InvalidParameter.DurationSeconds", "The Min/Max value of DurationSeconds is 15min/1hr."}
	}
	ttl := time.Duration(seconds) * time.Second
	if s.opt.SessionTTL > 0 {
		ttl = s.opt.SessionTTL
	}
	expires, role := s.opt.Now().Add(ttl), match[2]
	key, secret, token := s.seal(session{Account: at, Role: role, Name: name, Expires: expires.UnixMilli(), Epoch: s.sessionEpoch.Load(), Serial: s.serial.Add(1)})
	return object{
		"AssumedRoleUser": object{
			"Arn":           "acs:ram::" + s.opt.Keys[at].ID + ":role/" + role + "/" + name,
			"AssumedRoleId": fmt.Sprintf("3%017d:%s", hash(uint64(at), hashString(role))%1e17, name),
		},
		"Credentials": object{"AccessKeyId": key, "AccessKeySecret": secret, "SecurityToken": token, "Expiration": expires.UTC().Format(time.RFC3339)},
	}, nil
}

// callerIdentity answers GetCallerIdentity.
func (s *Simulator) callerIdentity(call *call, _ *scope) (object, *apiError) {
	account := call.caller.account.ID
	arn, kind := "acs:ram::"+account+":root", "Account"
	if call.caller.kind == "AssumedRoleUser" {
		arn, kind = "acs:ram::"+account+":assumed-role/"+strings.Replace(call.caller.name, ":", "/", 1), call.caller.kind
	}
	return object{"IdentityType": kind, "AccountId": account, "PrincipalId": account, "UserId": account, "Arn": arn}, nil
}

// resourceDirectory answers GetResourceDirectory.
func (s *Simulator) resourceDirectory(*call, *scope) (object, *apiError) {
	return object{"ResourceDirectory": object{
		"ResourceDirectoryId": "rd-sim001", "RootFolderId": "r-sim001", "CreateTime": "2021-03-04T05:06:07Z",
		"MasterAccountId": s.opt.Keys[0].ID, "MasterAccountName": s.opt.Keys[0].Name,
	}}, nil
}

// listAccounts answers ListAccounts of the resource directory: all accounts but the
// first, which manages it and is no member.
func (s *Simulator) listAccounts(call *call, _ *scope) (object, *apiError) {
	at, err := call.params.page(100)
	if err != nil {
		return nil, err
	}
	falls := s.against(MembersCountFalls)
	if falls || s.against(MembersUncounted) || s.against(MembersCountLow) { // what is said of counts shows where there are several pages
		few := min(at.size, 5)
		at = paging{at.from / at.size * few, few}
	}
	var rows []object
	for index, account := range s.opt.Keys[1:] {
		rows = append(rows, object{
			"AccountId": account.ID, "DisplayName": account.Name, "Status": s.memberStatus(index), "Type": "ResourceAccount", "JoinMethod": "created", "FolderId": "r-sim001",
			"ResourceDirectoryId": "rd-sim001", "JoinTime": "2021-03-04T05:06:07Z", "ModifyTime": "2021-03-04T05:06:07Z",
		})
	}
	total := len(rows)
	if falls {
		rows = rows[:min(at.size, total)]
		if at.from > 0 {
			total = len(rows)
		}
	}
	answer := paged(at, total, "Accounts", "Account", rows)
	if s.against(MembersCountLow) {
		answer["TotalCount"] = len(cut(at, rows))
	}
	if s.against(MembersUncounted) {
		delete(answer, "TotalCount")
	}
	return answer, nil
}
