package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
)

// config is the part of .goreleaser.yaml that this project uses. A key that is
// not here is refused, so that nothing stands in the file that this program
// would leave out. A key without a name here is that of its field in lower case.
type config struct {
	Version     int
	ProjectName string `yaml:"project_name"`
	Before      struct{ Hooks []string }
	Builds      []buildSpec
	Archives    []archive
	SBOMs       []struct {
		ID, Artifacts, Cmd string
		Args, Documents    []string
	}
	Checksum struct {
		NameTemplate string `yaml:"name_template"`
		Algorithm    string
	}
	Changelog struct{ Disable bool }
	Release   struct {
		Draft              bool
		Prerelease, Footer string
	}
}

type buildSpec struct {
	ID, Main, Binary                  string
	Env, Flags, LDFlags, GoOS, GoArch []string
	ModTimestamp                      string `yaml:"mod_timestamp"`
}

type archive struct {
	IDs             []string
	NameTemplate    string `yaml:"name_template"`
	Formats         []string
	FormatOverrides []struct {
		GoOS    string
		Formats []string
	} `yaml:"format_overrides"`
	Files []struct {
		Src         string
		StripParent bool `yaml:"strip_parent"`
		Info        struct{ MTime string }
	}
	BuildsInfo map[string]string `yaml:"builds_info"`
}

func readConfig(file string) (config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return config{}, err
	}
	var c config
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		return config{}, fmt.Errorf("%s: %w", file, err)
	}
	switch {
	case c.Version != 2:
		err = fmt.Errorf("version is %d, GoReleaser reads 2", c.Version)
	case len(c.Builds) != 1 || len(c.Archives) != 1 || len(c.SBOMs) != 1:
		err = errors.New("one build, one archive and one sbom are expected")
	case len(c.Archives[0].Formats) != 1:
		err = errors.New("one archive format is expected")
	}
	if err != nil {
		return config{}, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// names are what the templates of .goreleaser.yaml may say, spelt as GoReleaser
// spells them.
type names struct {
	ProjectName, Version, Tag, FullCommit, CommitTimestamp, CommitDate string
	Os, Arch, Binary                                                   string
}

func (n names) expand(text string) (string, error) {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("template %q: %w", text, err)
	}
	var out strings.Builder
	if err := t.Execute(&out, n); err != nil {
		return "", fmt.Errorf("template %q: %w", text, err)
	}
	return out.String(), nil
}

func (n names) expandAll(texts []string) ([]string, error) {
	out := make([]string, len(texts))
	for i, text := range texts {
		var err error
		if out[i], err = n.expand(text); err != nil {
			return nil, err
		}
	}
	return out, nil
}
