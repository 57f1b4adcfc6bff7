package event_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// What a machine wrote on its console is kept where it is short and printable: it
// is shown in terminals and pages.
func TestOnlyShortPrintableTextsOfAConsoleAreKept(t *testing.T) {
	var none *event.Console
	if !none.Sound() {
		t.Error("no console log is refused")
	}
	for text, want := range map[string]bool{
		"":                       true,
		" ~":                     true, // the first and the last printable character
		"\x1f":                   false,
		"\x7f":                   false,
		"\x1b[31m":               false,
		"é":                      false,
		strings.Repeat("x", 200): true,
		strings.Repeat("x", 201): false,
	} {
		for field, console := range map[string]event.Console{"kernel": {Kernel: text}, "root": {Root: text}, "end": {End: text}, "excerpt": {Excerpt: text}} {
			if console.Sound() != want {
				t.Errorf("%s %q: %t", field, text, !want)
			}
		}
	}
}

func TestOnlyShortTextsOfALaunchTemplateAreKept(t *testing.T) {
	var none *event.Template
	if !none.Sound() {
		t.Error("no template is refused")
	}
	fits, long := strings.Repeat("x", 4096), strings.Repeat("x", 4097)
	version := func(image, name string) event.TemplateVersion {
		return event.TemplateVersion{Image: image, Facts: rules.ImageFacts{Name: name}}
	}
	for name, c := range map[string]struct {
		template event.Template
		want     bool
	}{
		"an empty one":              {event.Template{}, true},
		"the longest name":          {event.Template{Name: fits}, true},
		"a longer name":             {event.Template{Name: long}, false},
		"two versions":              {event.Template{Versions: make([]event.TemplateVersion, 2)}, true},
		"three versions":            {event.Template{Versions: make([]event.TemplateVersion, 3)}, false},
		"the longest of its images": {event.Template{Versions: []event.TemplateVersion{version(fits, fits), version(fits, fits)}}, true},
		"a longer image id":         {event.Template{Versions: []event.TemplateVersion{{}, version(long, "")}}, false},
		"a longer image name":       {event.Template{Versions: []event.TemplateVersion{version("", long), {}}}, false},
	} {
		if got := c.template.Sound(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// An image is offered on a family where the platform offers all types that the
// yardstick has, and refused where it offers none of them. What is no count, and an
// answer with a cause not to use it, says nothing.
func TestFamiliesThatAnImageIsOfferedOn(t *testing.T) {
	for name, c := range map[string]struct {
		image, yardstick, cause string
		offered, refused        []string
	}{
		"no answer":                       {"", "ecs.g6=2", "", nil, nil},
		"an answer that cannot be used":   {"ecs.g6=2", "ecs.g6=2 ecs.g7=3", "a day old", nil, nil},
		"all, some and none":              {"ecs.g6=2 ecs.g7=1", "ecs.g6=2 ecs.g7=3 ecs.g8i=4", "", []string{"ecs.g6"}, []string{"ecs.g8i"}},
		"more than the yardstick":         {"ecs.g6=3", "ecs.g6=2", "", []string{"ecs.g6"}, nil},
		"without a yardstick":             {"ecs.g7=1 ecs.g6=3", "", "", []string{"ecs.g6", "ecs.g7"}, nil},
		"no types are none":               {"ecs.g6=1 ecs.g7=0", "ecs.g6=1", "", []string{"ecs.g6"}, nil},
		"what is no count":                {"ecs.g6=1 ecs.g7=x ecs.g8i=99999999999999999999 ecs.g9i", "ecs.g5=-3 ecs.g4=0 ecs.g3=99999999999999999999", "", []string{"ecs.g6"}, nil},
		"refused families in their order": {"ecs.c5=1", "ecs.g8i=1 ecs.g7=1", "", []string{"ecs.c5"}, []string{"ecs.g7", "ecs.g8i"}},
	} {
		t.Run(name, func(t *testing.T) {
			offered, refused := event.EvidenceItem{Types: c.image, Cause: c.cause}.Families(event.EvidenceItem{Types: c.yardstick})
			if diff := cmp.Diff([][]string{c.offered, c.refused}, [][]string{offered, refused}); diff != "" {
				t.Errorf("offered and refused (-want +got):\n%s", diff)
			}
		})
	}
	// A yardstick that cannot be used refuses nothing.
	_, refused := event.EvidenceItem{Types: "ecs.g6=1"}.Families(event.EvidenceItem{Types: "ecs.g7=1", Cause: "throttled"})
	if len(refused) != 0 {
		t.Errorf("a yardstick that cannot be used refuses %v", refused)
	}
}
