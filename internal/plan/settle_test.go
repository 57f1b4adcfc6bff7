package plan_test

import (
	"bytes"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

func TestSettleFindsTheCheapestQuestion(t *testing.T) {
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	to, err := rs.ParseTarget("shenlong-8")
	if err != nil {
		t.Fatal(err)
	}
	c := rs.NewClassifier([]rules.Target{to})
	fact := func(o rules.Observation, found bool) rules.Facts {
		f := o.Facts()
		f.Running, f.OSType = rules.Yes, "linux"
		if found {
			f.Image.Presence = rules.ImageFound
		}
		return f
	}
	// Ubuntu 18.04 is unknown there for no other reason than whether the platform
	// accepts it; CentOS without a version may be anything.
	ubuntu := fact(rules.Observation{OSName: "Ubuntu  18.04 64位", ImageID: "ubuntu_18_04_64_20G_alibase_20181212.vhd", ImageOwner: "system", OSNVMe: rules.Yes, ImageNVMe: rules.Yes}, true)
	vague := fact(rules.Observation{OSName: "CentOS 64位", ImageID: "m-bp1aaaaaaaaaaaaaaaaa"}, false)
	stopped := vague
	stopped.Running = rules.No
	scope := ecs.Scope{Account: "1", Region: "cn-hangzhou"}
	var open []*plan.Open
	for i, f := range []rules.Facts{ubuntu, ubuntu, ubuntu, vague, vague, stopped} {
		if level := c.Classify(&f).Verdicts[0].Level; level != rules.Unknown {
			t.Fatalf("instance %d is %s", i, level)
		}
		open = append(open, &plan.Open{Scope: scope, ID: "i-" + string(rune('a'+i)), Facts: f})
	}
	each := func(list []*plan.Open, err error) iter.Seq2[*plan.Open, error] {
		return func(yield func(*plan.Open, error) bool) {
			for _, o := range list {
				if !yield(o, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
			}
		}
	}
	s, err := plan.FindQuestions(c, each(open, nil), map[string][]string{"centos": {"CentOS  5.8 64位", "CentOS  7.9 64位"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]plan.Question{}
	total := s.Rest
	for _, q := range s.Questions {
		got[q.Ask] = q
		total += q.Settles + q.May
	}
	if s.Unknown != 6 || total != 6 || s.Rest != 1 {
		t.Errorf("%d unknown, %d accounted for, %d left: %+v", s.Unknown, total, s.Rest, s.Questions)
	}
	if q := got["platform"]; q.Settles != 3 || q.About != 1 || q.Calls != 2 || s.Questions[0].Ask != "platform" {
		t.Errorf("%+v", q)
	}
	// 5.8 is incompatible, 7.9 still a question for the platform: it depends.
	if q := got["machines"]; q.Settles != 0 || q.May != 2 || q.About != 2 {
		t.Errorf("%+v", q)
	}
	for _, f := range plan.SettleFormats() {
		var b bytes.Buffer
		if err := plan.WriteSettle(&b, f, s, report.Options{}); err != nil || !strings.Contains(b.String(), "shenscan scan --target shenlong-8 --probe --verdict unknown") {
			t.Errorf("%s: %v\n%s", f, err, b.String())
		}
	}
	if err := plan.WriteSettle(&bytes.Buffer{}, report.HTML, s, report.Options{}); !errors.Is(err, report.ErrFormat) {
		t.Errorf("html: %v", err)
	}
	broken := errors.New("broken")
	if _, err := plan.FindQuestions(c, each(open, broken), nil); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// A machine that answered, and an image that the platform was asked about, are
// not asked again.
func TestSettleAsksNothingTwice(t *testing.T) {
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	to, err := rs.ParseTarget("shenlong-7")
	if err != nil {
		t.Fatal(err)
	}
	c := rs.NewClassifier([]rules.Target{to})
	o := rules.Observation{OSName: "CentOS 64位", ImageID: "m-bp1aaaaaaaaaaaaaaaaa", Release: "CentOS release 6.8 (Final)", Offered: "ecs.g5"}
	f := o.Facts()
	f.Running, f.OSType, f.Image.Presence = rules.Yes, "linux", rules.ImageFound
	if level := c.Classify(&f).Verdicts[0].Level; level != rules.Unknown {
		t.Fatalf("it is %s", level)
	}
	s, err := plan.FindQuestions(c, func(yield func(*plan.Open, error) bool) {
		yield(&plan.Open{Scope: ecs.Scope{Account: "1", Region: "r"}, ID: "i-1", Facts: f}, nil)
	}, nil)
	if err != nil || len(s.Questions) > 0 || s.Rest != 1 {
		t.Errorf("%v %+v", err, s)
	}
}
