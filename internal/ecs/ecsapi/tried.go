package ecsapi

import (
	"regexp"
	"strings"
)

// sources are what the SDK's credential chain says of each source that it
// tried, and what that means.
var sources = []struct {
	said  *regexp.Regexp
	means string
}{
	{regexp.MustCompile(`unable to get credentials from enviro\w+ variables, Access key ID must be specified via environment variable \((\w+)\)`), "the environment has no $1"},
	{regexp.MustCompile(`unable to get credentials from enviro\w+ variables, Access key secret must be specified via environment variable \((\w+)\)`), "the environment has no $1"},
	{regexp.MustCompile(`reading aliyun cli config from '([^']*)' failed open [^,]*: no such file or directory`), "the aliyun CLI has no $1"},
	{regexp.MustCompile(`ERROR: Can not open file\s*open ([^,]*): no such file or directory`), "there is no $1"},
	{regexp.MustCompile(`get role name failed: GET (http://[^/ ]+)\S* 404`), "the machine has no instance role ($1 knows none)"},
	{regexp.MustCompile(`get (?:role name|metadata token) failed: (?:GET|Get|PUT|Put) "?(http://[^/ "]+)[^,;]*`), "no instance role is to be had (nothing answers at $1, as on machines outside Alibaba Cloud)"},
	{regexp.MustCompile(`unable to get credentials from any of the providers in the chain:?`), ""},
}

// tried sums up in one line which sources of credentials were tried and what
// each lacked. What the SDK says beyond what is known stands at the end.
func tried(said string) string {
	rest := said
	var lacks []string
	for _, s := range sources {
		if at := s.said.FindStringSubmatchIndex(rest); at != nil {
			if s.means != "" {
				lacks = append(lacks, string(s.said.ExpandString(nil, s.means, rest, at)))
			}
			rest = rest[:at[0]] + rest[at[1]:]
		}
	}
	if rest = strings.Trim(rest, " ,:;.\n"); rest != "" {
		lacks = append(lacks, rest)
	}
	return strings.Join(lacks, "; ")
}
