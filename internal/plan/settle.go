package plan

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
)

// Settle says which questions would settle the verdicts that are unknown on a
// target, the cheapest first.
type Settle struct {
	Target    string     `json:"target"`
	Unknown   int        `json:"unknown"` // instances whose verdict is
	Questions []Question `json:"questions"`
	// Rest are those that no question here settles, whatever is answered: a person
	// or a trial has to.
	Rest int `json:"rest"`
}

// Question is something that can be asked. An instance counts for the first
// question that settles it.
type Question struct {
	Ask  string `json:"ask"`  // platform, machines, or both
	Text string `json:"text"` // in one sentence
	// Settles are the instances whose verdict is known after it, whatever the
	// answer; May are those for which it depends on the answer.
	Settles int `json:"settles"`
	May     int `json:"may"`
	// About is how many images or machines it is about, and Calls the calls of the
	// API that it takes at least.
	About    int      `json:"about"`
	Unit     string   `json:"unit"`
	Calls    int      `json:"calls"`
	Needs    []string `json:"needs"` // permissions
	Commands []string `json:"commands"`
}

// Open is an instance whose verdict on the target is unknown.
type Open struct {
	Scope ecs.Scope
	ID    string
	Facts rules.Facts
}

// The questions, the cheapest first: an image is asked about once for all that
// were made from it, and a machine only for itself.
const (
	askPlatform = iota
	askMachines
	askBoth
	asks
)

// outcome is what a question does to one instance.
type outcome uint8

const (
	leaves outcome = iota // unknown, whatever is answered
	may                   // it depends on the answer
	settles
)

// FindQuestions tries every answer that a question can have on every instance,
// by the rules themselves. classifier judges for the target alone; known yields the facts
// of the fleet, whose releases are the answers that a vague name may stand for.
func FindQuestions(classifier *rules.Classifier, open iter.Seq2[*Open, error], releases map[string][]string) (*Settle, error) {
	s := &settler{c: classifier, target: classifier.TargetList()[0], releases: releases, memo: map[rules.Facts][asks]outcome{}}
	s.families = strings.Join(familiesOf(classifier.Ruleset(), &s.target), " ")
	for i := range s.asked {
		s.asked[i] = map[[3]string]bool{}
	}
	out := &Settle{Target: classifier.Targets()[0]}
	for o, err := range open {
		if err != nil {
			return nil, err
		}
		out.Unknown++
		if !s.count(o) {
			out.Rest++
		}
	}
	for i := range asks {
		if q := s.question(i); q.Settles+q.May > 0 {
			out.Questions = append(out.Questions, q)
		}
	}
	// Those that settle the most for a call come first.
	slices.SortStableFunc(out.Questions, func(a, b Question) int {
		return cmp.Compare(b.Settles*max(a.Calls, 1), a.Settles*max(b.Calls, 1))
	})
	return out, nil
}

// familiesOf are the families that a target stands for.
func familiesOf(ruleset *rules.Ruleset, target *rules.Target) (out []string) {
	if target.Family != "" {
		return []string{target.Family}
	}
	table := ruleset.Families()
	for _, name := range table.Names() {
		if info := table.Lookup("", name); info.Class == target.Class.String() {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

type settler struct {
	c        *rules.Classifier
	target   rules.Target
	families string
	releases map[string][]string // names of releases, by family
	memo     map[rules.Facts][asks]outcome
	counts   [asks]Question
	asked    [asks]map[[3]string]bool // account, region, image or instance
}

// count counts an instance for the first question that settles it, else for the
// first that may, and reports false where there is none.
func (s *settler) count(open *Open) bool {
	all, known := s.memo[open.Facts]
	if !known {
		all = s.outcomes(&open.Facts)
		s.memo[open.Facts] = all
	}
	for _, want := range []outcome{settles, may} {
		for i, got := range all {
			if got != want {
				continue
			}
			if want == settles {
				s.counts[i].Settles++
			} else {
				s.counts[i].May++
			}
			id := open.ID
			if i == askPlatform {
				id = open.Facts.ImageID
			}
			s.asked[i][[3]string{open.Scope.Account, open.Scope.Region, id}] = true
			return true
		}
	}
	return false
}

// outcomes tries the answers to each question.
func (s *settler) outcomes(f *rules.Facts) (out [asks]outcome) {
	none := []rules.Facts{*f}
	platform, machines := s.platform(f), s.machines(none)
	if len(platform) > 0 {
		out[askPlatform] = s.judge(platform)
	}
	if len(machines) > 0 {
		out[askMachines] = s.judge(machines)
	}
	if len(platform) > 0 && len(machines) > 0 {
		out[askBoth] = s.judge(s.machines(platform))
	}
	return out
}

// judge says what a question does whose answers leave these facts.
func (s *settler) judge(answers []rules.Facts) outcome {
	unknown := 0
	for i := range answers {
		if s.c.Classify(&answers[i]).Verdicts[0].Level == rules.Unknown {
			unknown++
		}
	}
	switch unknown {
	case 0:
		return settles
	case len(answers):
		return leaves
	}
	return may
}

// platform are the facts after each answer that the platform can give about the
// image; none where it was asked, or has no image to be asked about.
func (s *settler) platform(facts *rules.Facts) []rules.Facts {
	if facts.Image.Presence != rules.ImageFound || facts.ImageID == "" || facts.Image.Offered+facts.Image.Refused != "" || s.families == "" {
		return nil
	}
	offered, refused := *facts, *facts
	offered.Image.Offered, refused.Image.Refused = s.families, s.families
	return []rules.Facts{offered, refused}
}

// machines are the facts after each answer that a machine can give, for each of
// some facts; none where it was asked, or cannot be.
func (s *settler) machines(each []rules.Facts) (out []rules.Facts) {
	for _, facts := range each {
		if facts.Running != rules.Yes || facts.OSType == "" || facts.Guest != (rules.GuestFacts{}) {
			return nil
		}
		for _, release := range s.mayBe(&facts) {
			for _, drivers := range [][2]rules.Tri{{rules.Yes, rules.Yes}, {rules.Yes, rules.No}, {rules.No, rules.No}} {
				x := facts
				x.Guest.Release, x.Guest.Virtio, x.Guest.NVMe = release, drivers[0], drivers[1]
				out = append(out, x)
			}
		}
	}
	return out
}

// mostReleases bounds the releases that are tried for a vague name.
const mostReleases = 16

// mayBe are the releases that a machine may name: that of its name where it is
// exact (""), else those of its family that the fleet has.
func (s *settler) mayBe(f *rules.Facts) []string {
	os := s.c.Classify(f).OS
	if Exact(&os) {
		return []string{""}
	}
	list := s.releases[os.Family]
	if os.Family == "" || os.Family == "unknown" || os.Family == "other-linux" {
		list = nil
		for _, more := range s.releases {
			list = append(list, more...)
		}
		slices.Sort(list)
	}
	return list[:min(len(list), mostReleases)]
}

// Exact says whether an identity leaves no release open that rules tell apart.
func Exact(os *rules.OS) bool {
	switch os.Family {
	case "", "unknown", "other-linux":
		return false
	case "centos", "rhel", "oracle", "rocky", "almalinux", "anolis", "debian", "opensuse":
		return strings.Contains(os.Version, ".")
	}
	return os.Version != ""
}

func (s *settler) question(i int) Question {
	count := s.counts[i]
	count.About = len(s.asked[i])
	perScope := map[[2]string]int{}
	for k := range s.asked[i] {
		perScope[[2]string{k[0], k[1]}]++
	}
	batches := 0
	for _, n := range perScope {
		batches += (n + ecs.MaxCommandInstances - 1) / ecs.MaxCommandInstances
	}
	platform, machines := "ecs:DescribeImageSupportInstanceTypes", []string{"ecs:DescribeCloudAssistantStatus", "ecs:RunCommand", "ecs:DescribeInvocationResults"}
	scan := "shenscan scan --target " + report.Quoted(s.c.Targets()[0])
	probe := scan + " --probe --verdict unknown"
	switch i {
	case askPlatform:
		count.Ask, count.Unit, count.Calls, count.Needs, count.Commands = "platform", "images", count.About+len(perScope), []string{platform}, []string{scan}
		count.Text = "Ask the platform whether it offers these images on the target; every scan does, where it is permitted."
	case askMachines: // whether its agent answers, the command, and its results
		count.Ask, count.Unit, count.Calls, count.Needs, count.Commands = "machines", "machines", 3*batches, machines, []string{probe + " --dry-run", probe}
		count.Text = "Ask the machines themselves for their release, kernel and boot drivers."
	default:
		count.Ask, count.Unit, count.Calls, count.Needs = "both", "machines", 3*batches+len(perScope), append([]string{platform}, machines...)
		count.Commands = []string{scan, probe}
		count.Text = "Ask the platform about the image, and then the machines that are still unknown: neither answer is enough alone."
	}
	return count
}

// SettleFormats are those that WriteSettle writes.
func SettleFormats() []report.Format { return []report.Format{report.Table, report.JSON} }

// WriteSettle writes the questions in one of SettleFormats; any other is report.ErrFormat.
func WriteSettle(w io.Writer, format report.Format, settle *Settle, options report.Options) error {
	return report.Writers{
		report.Table: func(out *bufio.Writer) error {
			settle.table(out, options.Columns(), options.Language)
			return nil
		},
		report.JSON: func(out *bufio.Writer) error { return report.WriteJSONLine(out, settle) },
	}.Write(w, format, "questions")
}

func (s *Settle) table(w io.Writer, width int, in lang.Language) {
	fmt.Fprintln(w, in.Say(fmt.Sprintf("%s unknown on %s.", report.Plural(s.Unknown, "instance is", "instances are"), report.Clean(s.Target))))
	for i := range s.Questions {
		question := &s.Questions[i]
		fmt.Fprint(w, "\n", report.Hung(fmt.Sprintf("%d. ", i+1), in.Say(question.Text), width))
		fmt.Fprint(w, report.Hung("   ", in.Say(fmt.Sprintf("settles %d, may settle %d more; %d %s, %s at least", question.Settles, question.May, question.About, question.Unit, report.Plural(question.Calls, "call", "calls"))), width))
		fmt.Fprint(w, report.Hung("   ", in.Say("needs ")+strings.Join(report.SayAll(in, question.Needs), ", "), width))
		for _, c := range question.Commands {
			fmt.Fprintf(w, "     %s\n", c)
		}
	}
	if s.Rest > 0 {
		fmt.Fprint(w, "\n", report.Hung("", in.Say(fmt.Sprintf("No answer to these settles %d: look at the question of each (shenscan plan), or try a copy (custom-image-trial).", s.Rest)), width))
	}
}
