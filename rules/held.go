package rules

import (
	"cmp"
	"fmt"
	"strings"
)

// Held is one source of evidence: what it says of an instance, and which
// verdicts would be others without it.
type Held struct {
	Source string `json:"source"` // instance, image, machine, up, platform, fleet
	// Held says that something of it is known; otherwise Says tells what is missing.
	Held bool   `json:"held"`
	Says string `json:"says"`
	// Identity says that the operating system is what this source says.
	Identity bool `json:"identity,omitempty"`
	// Decides are the targets whose verdict, rule or confidence would be another
	// one if nothing of this source were known. Where two sources say the same,
	// neither decides.
	Decides []string `json:"decides"`
	// Counts are how many instances of the image count on a class, of the fleet
	// alone. Counts above three are rounded down.
	Counts []ClassCount `json:"counts,omitempty"`
}

// ClassCount is what the instances of one image tell of it on a class.
type ClassCount struct {
	Class string `json:"class"`
	Up    int    `json:"up"`
	Own   int    `json:"own_kernel"` // of these, with the image's own kernel
}

// A source of evidence: how facts are without it, and what it says.
type evidenceSource struct {
	name    string
	without func(*Facts)
	says    func(*Facts, *profile) string // "" where nothing of it is known
	missing string
}

// sources are all of them, the firmest first.
var sources = [...]evidenceSource{
	{
		"machine", func(f *Facts) { f.Guest = GuestFacts{Up: f.Guest.Up} },
		func(f *Facts, _ *profile) string { return f.Guest.says() },
		"the machine itself has not answered, or was not asked; --probe asks it",
	},
	{
		"up", func(f *Facts) { f.Guest.Up = Unobserved },
		func(f *Facts, _ *profile) string {
			return map[Tri]string{Yes: "its guest was heard of since it started", No: "its console log shows that it did not come up"}[f.Guest.Up]
		},
		"neither a heartbeat nor a console log tells whether its guest is up",
	},
	{
		"platform", func(f *Facts) { f.Image.Offered, f.Image.Refused = "", "" },
		func(f *Facts, _ *profile) string { return f.Image.platformSays() },
		"the platform was not asked where it offers the image, or has not answered",
	},
	{
		"fleet", func(f *Facts) { f.Image.Fleet = "" },
		func(f *Facts, p *profile) string { return f.fleetSays(p) },
		"no complete scan counted an instance of its image that was heard of",
	},
	{
		"image", func(f *Facts) {
			f.Image = ImageFacts{Offered: f.Image.Offered, Refused: f.Image.Refused, Fleet: f.Image.Fleet}
		},
		func(f *Facts, _ *profile) string { return f.Image.says() },
		"nothing is known of its image: it is not there any more, or it was not asked for",
	},
	{
		"instance", func(f *Facts) { f.OSName, f.OSNameEn, f.OSType, f.Name = "", "", "", "" },
		func(f *Facts, _ *profile) string { return cmp.Or(f.OSName, f.OSNameEn, f.Name, f.OSType) },
		"the instance names no operating system",
	},
}

// held says of each source what it tells, and what hangs on it: the facts are
// judged without it.
func (r *Ruleset) held(facts *Facts, profile *profile, targets []Target, judged *Classification) []Held {
	out := make([]Held, 0, len(sources))
	for i := range sources {
		source := &sources[i]
		held := Held{Source: source.name, Says: source.says(facts, profile), Decides: []string{}}
		if held.Held = held.Says != ""; !held.Held {
			held.Says = source.missing
			out = append(out, held)
			continue
		}
		held.Identity = source.name == map[Evidence]string{EvidenceGuest: "machine", EvidenceImage: "image", EvidenceInstance: "instance"}[judged.OS.Evidence]
		if source.name == "fleet" {
			held.Counts = profile.fleet.counts()
		}
		less := *facts
		source.without(&less)
		id := less.identify()
		profile := r.profile(&less, &id)
		other := r.evaluate(&profile, &id, targets, nil)
		for j := range judged.Verdicts {
			is, was := &judged.Verdicts[j], &other.Verdicts[j]
			if is.Level != was.Level || is.Confidence != was.Confidence || is.Rule != was.Rule {
				held.Decides = append(held.Decides, is.Target)
			}
		}
		out = append(out, held)
	}
	return out
}

// says is what a machine answered in a few words.
func (g *GuestFacts) says() string {
	if *g == (GuestFacts{Up: g.Up}) {
		return ""
	}
	var parts []string
	for _, text := range [...]struct{ label, text string }{{"", g.Release}, {"kernel ", g.Kernel}, {"kernel of the console log ", g.ConsoleKernel}, {"", g.Architecture}} {
		if text.text != "" {
			parts = append(parts, text.label+text.text)
		}
	}
	for _, is := range [...]struct {
		label string
		tri   Tri
	}{
		{"virtio at boot", g.Virtio},
		{"NVMe at boot", g.NVMe},
		{"disks named by device", g.DeviceNames},
		{"root named by device on the console", g.ConsoleNames},
		{"remnants of Xen", g.XenResidue},
		{"third-party security software", g.SecuritySoft},
		{"FreeBSD patch", g.FreeBSDPatch},
		{"system files sound", g.SystemFiles},
	} {
		if is.tri != Unobserved {
			parts = append(parts, is.label+": "+map[Tri]string{Yes: "yes", No: "no"}[is.tri])
		}
	}
	return strings.Join(parts, ", ")
}

func (im *ImageFacts) platformSays() string {
	offered, refused := len(strings.Fields(im.Offered)), len(strings.Fields(im.Refused))
	if offered+refused == 0 {
		return ""
	}
	return fmt.Sprintf("it offers the image on %d instance families and refuses it on %d where it offers a current one", offered, refused)
}

func (f *fleet) counts() (out []ClassCount) {
	for class, s := range f {
		if s.Up > 0 {
			out = append(out, ClassCount{Class(class).String(), s.Up, s.Own})
		}
	}
	return out
}

// fleetSays is what the instances of the image tell, and whether it counts.
func (f *Facts) fleetSays(p *profile) string {
	if f.Image.Fleet == "" {
		return ""
	}
	var parts []string
	for _, count := range p.fleet.counts() {
		parts = append(parts, fmt.Sprintf("%s: %d, %d of them with the image's own kernel", count.Class, count.Up, count.Own))
	}
	if len(parts) == 0 {
		return "instances of its image were heard of, but as another system, with another kernel or of an image described otherwise: they do not count"
	}
	return "instances of its image that were heard of, at least: " + strings.Join(parts, "; ")
}

// says is what is known of an image itself in a few words, and "" where it was not
// read; what the platform and its instances tell of it are sources of their own.
func (im *ImageFacts) says() string {
	switch {
	case im.Presence == ImageMissing:
		return "the image is not there any more"
	case *im == (ImageFacts{Offered: im.Offered, Refused: im.Refused, Fleet: im.Fleet}):
		return ""
	}
	var parts []string
	for _, part := range [...]struct{ label, text string }{
		{"", cmp.Or(im.OSName, im.OSNameEn, im.TagOSVersion, im.CheckOSVersion, im.Platform, im.Family, im.Name, im.OSType)},
		{"owner ", im.Owner},
		{"checked kernel ", cmp.Or(im.CheckKernel, im.TagKernelVersion)},
	} {
		if part.text != "" {
			parts = append(parts, part.label+part.text)
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "the image names no operating system")
}
