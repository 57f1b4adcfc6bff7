package plan

import (
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// fits knows which families are worse for an operating system than their
// generation: the rule set knows of AMD processors, licences and kernels that
// panic, and a class of targets covers them all.
type fits struct {
	rules    *rules.Ruleset
	families []string // that may be recommended
	class    rules.Target
	types    []rules.TypeFacts
	judges   map[string]*rules.Classifier
	known    map[systemKey]*reserve
	same     map[string]*reserve
}

type systemKey struct {
	family, version, servicePack, edition, arch, kernel string
	arm                                                 bool
}

// reserve is what speaks against families, by family. One is shared by every
// system that it holds for.
type reserve map[string]string

func newFits(ruleset *rules.Ruleset, class rules.Target, offers []*offer, types []rules.TypeFacts) *fits {
	f := &fits{rules: ruleset, class: class, types: types, judges: map[string]*rules.Classifier{}, known: map[systemKey]*reserve{}, same: map[string]*reserve{}}
	seen := map[string]bool{}
	for _, of := range offers {
		if !seen[of.Family] {
			seen[of.Family] = true
			f.families = append(f.families, of.Family)
		}
	}
	return f
}

// of returns what speaks against families for the record's system; never nil.
func (f *fits) of(rec *record.Record, arm bool) *reserve {
	os := &rec.OS
	key := systemKey{os.Family, os.Version, os.ServicePack, os.Edition, os.Arch, os.Kernel, arm}
	if r := f.known[key]; r != nil {
		return r
	}
	out := reserve{}
	var spelled strings.Builder
	if f.rules != nil && f.class.Family == "" {
		facts := f.facts(rec, arm)
		for _, family := range f.families {
			if reason := f.against(family, rec, facts); reason != "" {
				out[family] = reason
				spelled.WriteString(family + "\x00" + reason + "\x00")
			}
		}
	}
	r := f.same[spelled.String()]
	if r == nil {
		r = &out
		f.same[spelled.String()] = r
	}
	f.known[key] = r
	return r
}

// facts are those of the record's system on a plain machine, so that nothing
// but the family can differ.
func (f *fits) facts(rec *record.Record, arm bool) *rules.Facts {
	out := &rules.Facts{OSName: osName(rec), OSType: "linux", InstanceType: "ecs.g5.large", InstanceFamily: "ecs.g5", IoOptimized: rules.Yes, Running: rules.Yes}
	if arm {
		out.InstanceType, out.InstanceFamily = "ecs.g6r.large", "ecs.g6r"
	}
	if strings.HasPrefix(rec.OS.Family, "windows") {
		out.OSType = "windows"
	}
	out.Guest.Kernel = rec.OS.Kernel
	return out
}

// against is the reason of a family's verdict where that is worse than the
// verdict of its class, or has a finding that the class has not; "" else.
func (f *fits) against(family string, rec *record.Record, facts *rules.Facts) string {
	judge := f.judges[family]
	if judge == nil {
		target, err := f.rules.ParseTarget(family)
		if err != nil {
			return "" // no family that the rules know
		}
		target, _ = f.rules.Learn(target, f.types)
		judge = f.rules.NewClassifier([]rules.Target{f.class, target})
		f.judges[family] = judge
	}
	cl := judge.Classify(facts)
	if cl.OS.Family != rec.OS.Family || cl.OS.Version != rec.OS.Version || len(cl.Verdicts) < 2 {
		return "" // its name alone does not tell what it is
	}
	class, own := &cl.Verdicts[0], &cl.Verdicts[1]
	if own.Level != class.Level && rules.Worse(own.Level, class.Level) == own.Level {
		return own.Reason
	}
	// Something graver may hide what the family adds: the system may be mended
	// first, and the family then is what is left.
	for i := range own.Findings {
		x := &own.Findings[i]
		if x.Level != rules.Compatible && !slices.ContainsFunc(class.Findings, func(y rules.Finding) bool { return y.Rule == x.Rule }) {
			return x.Reason
		}
	}
	return ""
}
