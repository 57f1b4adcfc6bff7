package filter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/rules"
)

// machine is an instance as a filter sees it.
type machine struct {
	account, region, id, family string
	tags                        map[string]string
	cl                          rules.Classification
}

func (m *machine) passes(f *filter.Filter) bool {
	tag := func(k string) (string, bool) { v, ok := m.tags[k]; return v, ok }
	return f.Scope(m.account, m.region) && f.Judged(&m.cl, filter.Machine{Family: m.family, Image: "m-bp1"}) && f.Row(m.id, "Stopped", tag)
}

var centos = &machine{
	"1234", "cn-hangzhou", "i-1", "ecs.g5",
	map[string]string{"team": "shop", "env": "prod", "empty": ""},
	rules.Classification{OS: rules.OS{Family: "centos", Version: "5.11"}, Verdicts: []rules.Verdict{
		{Target: "kvm", Level: rules.Compatible, Confidence: rules.High}, {Target: "shenlong-8", Level: rules.Incompatible, Confidence: rules.Low},
	}},
}

func TestWords(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                      true,
		"account=1234":                          true,
		"account=1234,99":                       true,
		"account=99":                            false,
		"region=cn-hangzhou account=99":         false,
		"region=cn-beijing,cn-hangzhou":         true,
		"tag=team":                              true,
		"tag=team=shop":                         true,
		"tag=team=bank":                         false,
		"tag=team=bank,team=shop":               true,
		"tag=team=shop,env=test":                false,
		"tag=team=shop,env=prod":                true,
		"tag=empty":                             true,
		"tag=empty=":                            true,
		"tag=team=":                             false,
		"tag=nobody":                            false,
		"family=ecs.g5":                         true,
		"family=ecs.g6":                         false,
		"os=centos":                             true,
		"os=CentOS":                             true,
		"os=centos:5":                           true,
		"os=centos:5.11":                        true,
		"os=centos:5.1":                         false,
		"os=debian,centos":                      true,
		"os=CentOS:5":                           true,
		"os=centos:unknown":                     false,
		"image=m-bp1":                           true,
		"image=m-bp2":                           false,
		"status=stopped":                        true,
		"status=Running":                        false,
		"waived=yes":                            false,
		"waived=no":                             true,
		"exclude=status=Stopped":                false,
		"exclude=image=m-bp1":                   false,
		"verdict=incompatible":                  true,
		"verdict=unknown":                       false,
		"verdict=kvm=incompatible":              false,
		"verdict=shenlong-8=unknown":            false,
		"verdict=kvm=compatible":                true,
		"confidence=low":                        true,
		"confidence=medium":                     false,
		"verdict=compatible confidence=low":     false, // low on another target
		"verdict=incompatible confidence=low":   true,
		"exclude=i-1":                           false,
		"exclude=i-2":                           true,
		"exclude=instance=i-1":                  false,
		"exclude=region=cn-hangzhou":            false,
		"exclude=account=99":                    true,
		"exclude=tag=team":                      false,
		"exclude=tag=team=bank":                 true,
		"exclude=os=centos:5":                   false,
		"exclude=verdict=incompatible":          false,
		"exclude=verdict=kvm=incompatible":      true,
		"exclude=family=ecs.g6,confidence=high": false,
	} {
		v := filter.Values{}
		for part := range strings.FieldsSeq(text) {
			word, value, _ := strings.Cut(part, "=")
			v[word] = append(v[word], value)
		}
		f, err := filter.Parse(v)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := centos.passes(&f); got != want {
			t.Errorf("%s lets it through: %t", text, got)
		}
		if f.IsZero() != (text == "") {
			t.Errorf("%s lets everything through: %t", text, f.IsZero())
		}
	}
}

func TestMistakesNameTheNearest(t *testing.T) {
	known := &filter.Known{
		Accounts: []string{"1234567890123456", "prod"}, Regions: []string{"cn-beijing", "cn-hangzhou"}, Targets: []string{"kvm", "shenlong-8"},
		Families: []string{"ecs.g5"}, Systems: []string{"centos", "centos 5.11", "debian", "debian 7"}, Tags: []string{"team"},
	}
	for word, values := range map[string]map[string]string{
		"account":    {"prd": `did you mean "prod"`},
		"region":     {"cn-hangzou": `did you mean "cn-hangzhou"`, "eu-central-1": "there are cn-beijing, cn-hangzhou"},
		"tag":        {"taem": `did you mean "team"`, "=x": "KEY or KEY=VALUE"},
		"family":     {"ecs.g4": `did you mean "ecs.g5"`},
		"os":         {"centso": `did you mean "centos"`, "centos:6": `did you mean "centos`},
		"verdict":    {"incompatable": `did you mean "incompatible"`, "shenlong-9=unknown": `did you mean "shenlong-8"`},
		"confidence": {"hihg": `did you mean "high"`},
		"status":     {"Runing": `did you mean "Running"`, "gone": "Pending"},
		"exclude":    {"regoin=x": `did you mean "region"`, "region=cn-bejing": `did you mean "cn-beijing"`, "everything": "WORD=VALUE", "verdict=no": "incompatible"},
	} {
		for value, want := range values {
			f, err := filter.Parse(filter.Values{word: {value}})
			if err == nil {
				err = f.Check(known)
			}
			var mistake *filter.Error
			if !errors.As(err, &mistake) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: %v; want %s", word, value, err, want)
			}
		}
	}
	f, err := filter.Parse(filter.Values{"account": {"prod"}, "region": {"cn-beijing"}, "tag": {"team=x"}, "family": {"ecs.g5"}, "os": {"centos:5,debian"}, "verdict": {"kvm=unknown"}, "exclude": {"i-1"}})
	if err != nil || f.Check(known) != nil {
		t.Errorf("%v, %v", err, f.Check(known))
	}
	if err := f.Check(&filter.Known{Accounts: known.Accounts, Regions: known.Regions, Targets: known.Targets}); err != nil {
		t.Errorf("where nothing is known of them: %v", err)
	}
	f.Rename(map[string]string{"prod": "1234567890123456"})
	if !f.Scope("1234567890123456", "cn-beijing") {
		t.Error("the name of an account is not its id")
	}
	many := strings.Repeat("x,", 300)
	if _, err := filter.Parse(filter.Values{"region": {many}}); err == nil {
		t.Error("300 values were taken")
	}
}

// TestClosedWordsAreListedOnce tells of a word that is none of a few.
func TestClosedWordsAreListedOnce(t *testing.T) {
	for word, closed := range map[string]string{"verdict": "incompatible", "confidence": "medium", "exclude": "region"} {
		_, err := filter.Parse(filter.Values{word: {"bogus"}})
		if err == nil || strings.Count(err.Error(), closed) != 1 {
			t.Errorf("--%s bogus: %v", word, err)
		}
	}
}

// People write the names of operating systems as they stand on a box.
func TestSystemsAsPeopleWriteThem(t *testing.T) {
	for written, want := range map[string]rules.OS{
		"CentOS 5":                     {Family: "centos", Version: "5.11"},
		"centos:5.11":                  {Family: "centos", Version: "5.11"},
		"Windows Server 2008 R2":       {Family: "windows-server", Version: "2008r2"},
		"windows-server 2008 R2":       {Family: "windows-server", Version: "2008r2"},
		"Red Hat Enterprise Linux 6.4": {Family: "rhel", Version: "6.4"},
		"SUSE Linux Enterprise Server": {Family: "sles", Version: "12"},
		"Alibaba Cloud Linux 3":        {Family: "alinux", Version: "3"},
		"Windows Server":               {Family: "windows-server", Version: "2012"},
		"Debian 7":                     {Family: "debian", Version: "7"},
		"centos:unknown":               {Family: "centos"},
	} {
		f, err := filter.Parse(filter.Values{"os": {written}})
		if err != nil {
			t.Errorf("%s: %v", written, err)
			continue
		}
		if !f.Judged(&rules.Classification{OS: want}, filter.Machine{}) {
			t.Errorf("%s is not %s %s", written, want.Family, want.Version)
		}
		if f.Judged(&rules.Classification{OS: rules.OS{Family: want.Family, Version: "99"}}, filter.Machine{}) && strings.ContainsAny(written, "0123456789") {
			t.Errorf("%s is every release", written)
		}
	}
}

// Filters that let different instances through have different keys.
func TestKeyTellsFiltersApart(t *testing.T) {
	seen := map[string]filter.Values{}
	for _, v := range []filter.Values{
		{},
		{"region": {"cn-hangzhou"}},
		{"exclude": {"region=cn-hangzhou"}},
		{"region": {"cn-hangzhou", "cn-beijing"}},
		{"account": {"cn-hangzhou"}},
		{"tag": {"a=b"}},
		{"tag": {"a", "b"}},
		{"tag": {"a"}},
		{"verdict": {"unknown"}},
		{"verdict": {"shenlong-6=unknown"}},
		{"os": {"centos:7"}},
		{"os": {"centos"}},
	} {
		f, err := filter.Parse(v)
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := seen[f.Key()]; ok {
			t.Errorf("%v and %v have the key %q", was, v, f.Key())
		}
		seen[f.Key()] = v
	}
}
