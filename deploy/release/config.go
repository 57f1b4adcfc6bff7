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
// would leave out.
type config struct {
	Version     int         `yaml:"version"`
	ProjectName string      `yaml:"project_name"`
	Before      hooks       `yaml:"before"`
	Builds      []buildSpec `yaml:"builds"`
	Archives    []archive   `yaml:"archives"`
	SBOMs       []sbomSpec  `yaml:"sboms"`
	Checksum    checksum    `yaml:"checksum"`
	Changelog   disabled    `yaml:"changelog"`
	Release     release     `yaml:"release"`
}

type hooks struct {
	Hooks []string `yaml:"hooks"`
}

type buildSpec struct {
	ID           string   `yaml:"id"`
	Main         string   `yaml:"main"`
	Binary       string   `yaml:"binary"`
	Env          []string `yaml:"env"`
	Flags        []string `yaml:"flags"`
	LDFlags      []string `yaml:"ldflags"`
	GoOS         []string `yaml:"goos"`
	GoArch       []string `yaml:"goarch"`
	ModTimestamp string   `yaml:"mod_timestamp"`
}

type archive struct {
	IDs             []string          `yaml:"ids"`
	NameTemplate    string            `yaml:"name_template"`
	Formats         []string          `yaml:"formats"`
	FormatOverrides []formatOverride  `yaml:"format_overrides"`
	Files           []archiveFile     `yaml:"files"`
	BuildsInfo      map[string]string `yaml:"builds_info"`
}

type formatOverride struct {
	GoOS    string   `yaml:"goos"`
	Formats []string `yaml:"formats"`
}

type archiveFile struct {
	Src         string      `yaml:"src"`
	StripParent bool        `yaml:"strip_parent"`
	Info        archiveInfo `yaml:"info"`
}

type archiveInfo struct {
	MTime string `yaml:"mtime"`
}

type sbomSpec struct {
	ID        string   `yaml:"id"`
	Artifacts string   `yaml:"artifacts"`
	Cmd       string   `yaml:"cmd"`
	Args      []string `yaml:"args"`
	Documents []string `yaml:"documents"`
}

type checksum struct {
	NameTemplate string `yaml:"name_template"`
	Algorithm    string `yaml:"algorithm"`
}

type disabled struct {
	Disable bool `yaml:"disable"`
}

type release struct {
	Draft      bool   `yaml:"draft"`
	Prerelease string `yaml:"prerelease"`
	Footer     string `yaml:"footer"`
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
