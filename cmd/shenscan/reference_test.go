package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shenscan/shenscan/internal/config"
)

var updateReference = flag.Bool("update-reference", false, "write docs/COMMANDS.md anew")

const referenceFile = "../../docs/COMMANDS.md"

// docs/COMMANDS.md is written from the commands themselves, so that no flag is
// missing there and none is invented.
func TestReferenceIsCurrent(t *testing.T) {
	// Defaults that depend on the machine are written as a person would.
	t.Setenv("HOME", "~")
	t.Setenv("XDG_STATE_HOME", "")
	want := reference(newRoot(&settings{}))
	if *updateReference {
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/COMMANDS.md is not what the commands say: run make generate")
	}
}

func TestEveryCommandAndFlagIsExplained(t *testing.T) {
	t.Parallel()
	walk(newRoot(&settings{}), func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no short description", c.CommandPath())
		}
		shown := c.Example != "" || c.HasParent() && c.Parent().HasParent() && c.Parent().Example != ""
		if c.Runnable() && !shown && !slices.Contains([]string{"version", "help"}, c.Name()) {
			t.Errorf("%s --help shows no example", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s is not explained", c.CommandPath(), f.Name)
			}
		})
	})
}

// The overlay that docs/RULES.md shows is one that shenscan takes.
func TestOverlayExampleIsSound(t *testing.T) {
	t.Parallel()
	const example = "../../docs/overlay.example.yaml"
	if code := run(t.Context(), []string{"rules", "validate", example}); code != exitDone {
		t.Errorf("shenscan rules validate %s: exit code %d", example, code)
	}
}

func reference(root *cobra.Command) []byte {
	var b bytes.Buffer
	b.WriteString(`# Commands and settings

Written from the commands themselves by ` + "`make generate`" + `.

Every flag is also a variable in the environment and a key in the file that ` + "`--config`" + ` names: ` + "`--log-level`" + ` is ` +
		"`" + config.EnvPrefix + "LOG_LEVEL`" + ` and ` + "`log_level:`" + `. A flag wins over the environment, which wins over the file. One file may serve all commands; a name that no command knows is an
error. Only the file has ` + "`accounts:`, `resource_directory:` and `schedules:`" + `; deploy/shenscan.yaml shows them.

## Settings of all commands

`)
	referenceFlags(&b, root.PersistentFlags())
	walk(root, func(c *cobra.Command) {
		if c == root || c.Name() == "help" || c.Parent().Name() == "completion" || c.Hidden {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n", c.CommandPath(), strings.TrimSuffix(c.Short, "."))
		if c.Long != "" {
			fmt.Fprintf(&b, "\n```text\n%s\n```\n", strings.TrimSpace(c.Long))
		}
		if c.Runnable() {
			fmt.Fprintf(&b, "\n    %s\n", c.UseLine())
		}
		if c.LocalNonPersistentFlags().HasAvailableFlags() {
			b.WriteString("\n")
			referenceFlags(&b, c.LocalNonPersistentFlags())
		}
		if c.Example != "" {
			fmt.Fprintf(&b, "\nExamples:\n\n```sh\n%s\n```\n", strings.TrimRight(strings.ReplaceAll("\n"+c.Example, "\n  ", "\n"), "\n")[1:])
		}
	})
	return b.Bytes()
}

func referenceFlags(b *bytes.Buffer, set *pflag.FlagSet) {
	host, _ := os.Hostname()
	b.WriteString("| flag | default | what |\n| --- | --- | --- |\n")
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		def := f.DefValue
		switch {
		case def == host && f.Name == "sink-name":
			def = "this machine's name"
		case def == "" || def == "[]":
			def = ""
		default:
			def = "`" + def + "`"
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			kind = " " + kind
		}
		fmt.Fprintf(b, "| `--%s%s` | %s | %s |\n", f.Name, kind, def, strings.ReplaceAll(usage, "|", "\\|"))
	})
}
