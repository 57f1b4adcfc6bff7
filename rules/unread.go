package rules

import (
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/version"
)

// Unread is a text that could not be read, or not all of it: it takes no part in
// the verdict, though it may speak against it.
type Unread struct {
	Field string `json:"field"`
	Text  string `json:"text"`
	Why   string `json:"why"`
}

// Unread lists the texts of facts that say nothing to the rules. The id of a custom
// image is none of them: its letters are drawn by lot.
func (r *Ruleset) Unread(facts *Facts) []Unread {
	var out []Unread
	add := func(field, text, why string) { out = append(out, Unread{field, strings.Clone(text), why}) }
	texts := facts.texts()
	for i := range texts {
		if n := &texts[i]; strings.TrimSpace(n.text) != "" {
			if why := n.unread(); why != "" {
				add(n.field, n.text, why)
			}
		}
	}
	for _, observed := range [...]struct {
		field, text string
		known       []string
	}{
		{"os_type", facts.OSType, []string{"linux", "windows"}},
		{"image.os_type", facts.Image.OSType, []string{"linux", "windows"}},
		{"boot_mode", facts.Image.BootMode, []string{"bios", "uefi", "uefi-preferred"}},
	} {
		if observed.text != "" && !slices.Contains(observed.known, strings.ToLower(observed.text)) {
			add(observed.field, observed.text, "it is none of "+strings.Join(observed.known, ", "))
		}
	}
	for _, a := range [...][2]string{{"guest.architecture", facts.Guest.Architecture}, {"architecture", facts.Image.Architecture}} {
		if a[1] != "" && archName(a[1]) == "" {
			add(a[0], a[1], "no architecture is called so")
		}
	}
	if hw := facts.Hardware(); hw.InstanceType != "" && r.machine(hw).Family == "" {
		why := "no instance family is known by it"
		if hw.InstanceFamily != "" {
			why = "the cloud says that it is of family " + hw.InstanceFamily + ", which it is not named after: which of the two it runs on is not known"
		}
		add("instance_type", hw.InstanceType, why)
	}
	return out
}

// unread says why the text could not be read, "" where it could.
func (n *named) unread() string {
	if n.kernel {
		if !version.ParseKernel(n.text).OK {
			return "it names no kernel"
		}
		return ""
	}
	guess := distro.Identify(n.text)
	return whyUnread(&guess, n.text)
}

// whyUnread says why a text of which that was read says nothing, or not all.
func whyUnread(guess *distro.Guess, text string) string {
	switch {
	case guess.Cut:
		return "it is too long to be read whole"
	case guess.Failed:
		return "reading it failed, which is a fault of shenscan: report it with this text"
	case guess.Unreal:
		return "it names a release that the table of releases does not list"
	case guess.Family == "" && guess.Version == "" && guess.Kernel == "" && !distro.Opaque(text):
		return "it names no operating system that the table of names lists"
	}
	return ""
}
