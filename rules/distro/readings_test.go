package distro_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules/distro"
)

var update = flag.Bool("update", false, "write what is read into testdata/readings.tsv; look at what changed")

// The whole of what is read of a name: the system, what else it may be, and what
// is left open. A word or a digit that is taken for something else than it is shows
// here, also where the family and the version stay what they are.
func TestReadings(t *testing.T) {
	const path = "testdata/readings.tsv"
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unfold := strings.NewReplacer(`\n`, "\n", `\t`, "\t")
	var out strings.Builder
	for line := range strings.Lines(string(file)) {
		line = strings.TrimRight(line, "\n")
		name, rest, _ := strings.Cut(line, "\t")
		want, source, ok := strings.Cut(rest, "\t")
		if !ok {
			t.Fatalf("%s: %q is not a name, what is read of it, and where it comes from", path, line)
		}
		if name == "name" {
			out.WriteString(line + "\n")
			continue
		}
		guess := distro.Identify(unfold.Replace(name))
		got := reading(&guess)
		if got != want && !*update {
			t.Errorf("%s: read as %s; it says %s", name, got, want)
		}
		out.WriteString(name + "\t" + got + "\t" + source + "\n")
	}
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// reading spells a guess in one line.
func reading(guess *distro.Guess) string {
	system := func(s distro.System) string {
		text := s.Family
		if s.Version != "" {
			text += " " + s.Version
		}
		if s.ServicePack != "" {
			text += " SP" + s.ServicePack
		}
		if s.Edition != "" {
			text += " (" + s.Edition + ")"
		}
		return text
	}
	parts := []string{system(distro.System{Family: guess.Family, Version: guess.Version, ServicePack: guess.ServicePack, Edition: guess.Edition})}
	say := func(is bool, text string) {
		if is {
			parts = append(parts, text)
		}
	}
	say(guess.Arch != "", guess.Arch)
	say(guess.Kernel != "", "kernel "+guess.Kernel)
	say(guess.Failed, "reading it panics")
	say(guess.Vague, "vague")
	say(guess.NotR2, "not R2")
	say(guess.AMD, "for AMD")
	say(guess.Unreal, "a version that never was")
	say(guess.Cut, "cut")
	say(guess.Listed, "one of several")
	say(guess.Twin, "as an older one")
	for _, other := range guess.Also {
		parts = append(parts, "or "+system(other))
	}
	return strings.TrimPrefix(strings.Join(parts, ", "), ", ")
}
