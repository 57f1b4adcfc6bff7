package ecsapi

import "testing"

// What the SDK's chain said on a machine without any credentials.
const nothingFound = "unable to get credentials from any of the providers in the chain: unable to get credentials from enviroment variables, Access key ID must be specified via environment variable (ALIBABA_CLOUD_ACCESS_KEY_ID), reading aliyun cli config from '/home/me/.aliyun/config.json' failed open /home/me/.aliyun/config.json: no such file or directory, ERROR: Can not open fileopen /home/me/.alibabacloud/credentials: no such file or directory"

func TestTheChainOfCredentialsIsSummedUpInOneLine(t *testing.T) {
	const known = "the environment has no ALIBABA_CLOUD_ACCESS_KEY_ID; the aliyun CLI has no /home/me/.aliyun/config.json; there is no /home/me/.alibabacloud/credentials"
	for said, want := range map[string]string{
		nothingFound: known,
		nothingFound + ", the role is of another account": known + "; the role is of another account",
		"something else": "something else",
		"":               "",
	} {
		if got := tried(said); got != want {
			t.Errorf("%q\n got %q\nwant %q", said, got, want)
		}
	}
}
