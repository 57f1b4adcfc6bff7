package httpapi

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/sink/store"
)

// planView is the migration plan.
type planView struct {
	view
	Q          url.Values
	Plan       *plan.Plan
	Fields     []field
	Hidden     []chip
	Chips      []chip
	Waves      []planWave
	Shown      *planWave // the wave whose instances are listed
	Items      []planItem
	Owner      string
	From, All  int // of the instances that are listed
	Prev, Next string
	JSON       string
	KeepOS     bool
}

// planWave is a wave with its address.
type planWave struct {
	*plan.Wave
	Class  string
	Link   string
	Owners []planOwner
	More   int // owners beyond those
}

// planOwner is the part of an owner in a wave.
type planOwner struct {
	plan.Owner
	Label, Link string
}

// planItem is the work on one instance, with the texts of its solutions.
type planItem struct {
	*plan.Item
	Link                    string
	Solutions, Alternatives []*plan.Solution
	Open                    bool // its steps are unfolded
}

const (
	planRows   = 50 // instances on a page
	planOwners = 8  // owners of a wave that are named
)

// noOwner stands for the instances without an owner in an address.
const noOwner = "-"

func planParams() []param {
	return append(scopeParams(), text("target", ""), text("owner_tag", ""), param{name: "keep_os", kind: "boolean"},
		text("wave", ""), text("owner", ""), text("instance", ""), param{name: "from", kind: "integer"}, text("refresh", ""))
}

// FirstPlan is what the page of the plan opens with, of the targets of the store.
func FirstPlan(targets []string) PlanRequest {
	if len(targets) == 0 {
		return PlanRequest{}
	}
	return PlanRequest{Target: targets[len(targets)-1]}
}

func (s *server) planPage(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	planRequest := PlanRequest{Target: values.Get("target"), OwnerTag: values.Get("owner_tag"), KeepOS: values.Get("keep_os") == "true"}
	stored, err := s.o.Store.View(r.Context(), store.Filter{})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	summary, known := stored.Summary(), stored.Known()
	s.close(stored)
	planRequest.Target = cmp.Or(planRequest.Target, FirstPlan(summary.Targets).Target)
	view := &planView{view: s.viewOf(r, "", "Plan", summary), Q: values, KeepOS: planRequest.KeepOS}
	f, err := scopeOf(values)
	if err == nil {
		view.Plan, err = s.o.Answers.Plan(r.Context(), f, planRequest)
	}
	view.fill(known, planRequest.Target)
	status := http.StatusOK
	if err != nil {
		if status, view.Error = s.fault(r, err); status >= 500 {
			s.failWith(w, r, status, view.Error)
			return
		}
		s.page(w, r, status, "plan", view)
		return
	}
	if err := view.list(); err != nil {
		s.fail(w, r, err)
		return
	}
	s.page(w, r, status, "plan", view)
}

// with is the address of the plan with some parameters changed.
func (v *planView) with(pairs ...string) string { return address("/plan", v.Q, pairs...) }

// First is the number of the first instance that is listed.
func (v *planView) First() int { return v.From + 1 }

// Narrowed says whether a wave, an owner or an instance was asked for.
func (v *planView) Narrowed() bool {
	return v.Q.Get("wave") != "" || v.Q.Get("owner") != "" || v.Q.Get("instance") != ""
}

// fill makes the form.
func (v *planView) fill(known *filter.Known, target string) {
	v.Fields = inForce([]field{
		{Name: "target", Label: "Target, family or type", Options: plain(known.Targets), Typed: true, Value: target},
		{Name: "owner_tag", Label: "Tag that names owners", Typed: true, Hint: "owner"},
		{Name: "os", Label: "Operating system", Typed: true, Hint: "CentOS 5"},
		{Name: "tag", Label: "Tag", Typed: true, Hint: "env=prod"},
		{Name: "family", Label: "Family", Options: plain(known.Families), Typed: true, Hint: "ecs.g5"},
		{Name: "account", Label: "Account", Options: plain(known.Accounts)},
		{Name: "region", Label: "Region", Options: plain(known.Regions)},
	}, v.Q)
	v.Hidden = hidden(v.Q, "image", "status", "verdict", "confidence", "waived", "exclude", "wave", "owner")
	for _, n := range append(plainNames(), [2]string{"wave", "Wave"}, [2]string{"owner", "Owner"}, [2]string{"instance", "Instance"}) {
		value := strings.Join(v.Q[n[0]], ", ")
		if value == "" || n[0] == "target" {
			continue
		}
		if n[0] == "owner" && value == noOwner {
			value = "without an owner"
		}
		if closed(n[0]) || n[0] == "owner" && v.Q.Get("owner") == noOwner {
			value = v.lang.Say(value)
		}
		v.Chips = append(v.Chips, chip{n[0], n[1], report.Short(value, 80), v.with(n[0], "", "from", "")})
	}
	words := make([]string, len(v.Chips))
	for i, c := range v.Chips {
		words[i] = c.Value
	}
	v.Title = report.Short(strings.TrimSuffix(v.lang.Say("Plan to "+report.Short(target, 40))+": "+strings.Join(words, ", "), ": "), 120)
	api := url.Values{}
	for name, values := range v.Q {
		if slices.Contains(filter.Words(), name) || name == "owner_tag" || name == "keep_os" {
			api[name] = values
		}
	}
	api.Set("target", target)
	v.JSON = "/api/v1/plan?" + api.Encode()
}

// list chooses the wave, owner and instances that are shown.
func (v *planView) list() error {
	whole := v.Plan
	wave, owner, instance := v.Q.Get("wave"), v.Q.Get("owner"), v.Q.Get("instance")
	v.Owner = owner
	from := 0
	if s := v.Q.Get("from"); s != "" {
		var err error
		if from, err = strconv.Atoi(s); err != nil || from < 0 {
			return badQuery("from is a number from 0")
		}
	}
	for _, w := range whole.Waves {
		pw := planWave{Wave: w, Class: plan.WaveClass(w.ID), Link: v.with("wave", string(w.ID), "from", "", "instance", "") + "#list"}
		for _, o := range w.Owners[:min(len(w.Owners), planOwners)] {
			name := cmp.Or(o.Name, noOwner)
			label := report.Short(cmp.Or(o.Name, "without an owner"), 60)
			pw.Owners = append(pw.Owners, planOwner{o, label, v.with("wave", string(w.ID), "owner", name, "from", "", "instance", "") + "#list"})
		}
		pw.More = len(w.Owners) - len(pw.Owners)
		v.Waves = append(v.Waves, pw)
		for item := range w.Items {
			if wave != "" && string(w.ID) != wave || owner != "" && cmp.Or(item.Owner, noOwner) != owner || instance != "" && item.InstanceID != instance {
				continue
			}
			if wave == "" && owner == "" && instance == "" {
				break
			}
			if v.All++; v.All > from && len(v.Items) < planRows {
				v.Items = append(v.Items, v.item(w, item))
			}
		}
		if string(w.ID) == wave {
			v.Shown = &v.Waves[len(v.Waves)-1]
		}
	}
	if wave != "" && v.Shown == nil {
		var names []string
		for _, w := range whole.Waves {
			names = append(names, string(w.ID))
		}
		return badQuery("wave %q is not one of %s", report.Short(wave, 40), strings.Join(names, ", "))
	}
	if v.From = min(from, v.All); len(v.Items) == 1 {
		v.Items[0].Open = true
	}
	if from > 0 {
		v.Prev = v.with("from", strconv.Itoa(max(0, from-planRows))) + "#list"
	}
	if from+planRows < v.All {
		v.Next = v.with("from", strconv.Itoa(from+planRows)) + "#list"
	}
	return nil
}

func (v *planView) item(wave *plan.Wave, item *plan.Item) planItem {
	out := planItem{Item: item, Link: instanceAddress(item.Account, item.Region, item.InstanceID)}
	find := func(names []string) []*plan.Solution {
		var found []*plan.Solution
		for _, name := range names {
			for _, s := range wave.Solutions {
				if s.Name == name {
					found = append(found, s)
				}
			}
		}
		return found
	}
	out.Solutions, out.Alternatives = find(item.Solutions), find(item.Alternatives)
	return out
}
