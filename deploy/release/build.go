package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

type buildOptions struct {
	// root is the repository, out the folder of the artefacts.
	root, out string
	// version is a tag such as v0.1.0; empty means what git describe says.
	version string
	// only is one operating system and architecture, or empty for all.
	only string
}

// build makes every artefact of .goreleaser.yaml and lists them on stdout.
func build(ctx context.Context, opts buildOptions, stdout io.Writer) error {
	cfg, err := readConfig(filepath.Join(opts.root, ".goreleaser.yaml"))
	if err != nil {
		return err
	}
	base, when, err := describe(ctx, opts)
	if err != nil {
		return err
	}
	base.ProjectName = cfg.ProjectName
	if err := os.MkdirAll(opts.out, 0o755); err != nil {
		return err
	}
	spec := cfg.Builds[0]
	base.Binary = spec.Binary
	var artefacts, binaries []string
	var targets []names
	for _, goos := range spec.GoOS {
		for _, goarch := range spec.GoArch {
			if opts.only != "" && opts.only != goos+"/"+goarch {
				continue
			}
			target := base
			target.Os, target.Arch = goos, goarch
			targets = append(targets, target)
		}
	}
	if len(targets) == 0 {
		return fmt.Errorf("-only %s is none of the systems in .goreleaser.yaml", opts.only)
	}
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, target := range targets {
		binary, err := compile(ctx, opts.root, work, spec, target)
		if err != nil {
			return err
		}
		binaries = append(binaries, binary)
	}
	notices := filepath.Join(work, "NOTICES.md")
	if err := writeNotices(ctx, opts.root, notices, binaries); err != nil {
		return err
	}
	for i, target := range targets {
		file, err := pack(opts, cfg.Archives[0], target, binaries[i], notices, when)
		if err != nil {
			return err
		}
		document, err := target.expand(cfg.SBOMs[0].Documents[0])
		if err != nil {
			return err
		}
		if err := writeSBOM(filepath.Join(opts.out, document), binaries[i]); err != nil {
			return err
		}
		artefacts = append(artefacts, file, document)
	}
	sums, err := base.expand(cfg.Checksum.NameTemplate)
	if err != nil {
		return err
	}
	if err := writeSums(opts.out, sums, artefacts); err != nil {
		return err
	}
	return list(stdout, opts.out, append(artefacts, sums))
}

// describe finds out which commit is released, under which version and with
// which time: the commit's, so that a second build gives the same bytes.
func describe(ctx context.Context, opts buildOptions) (names, time.Time, error) {
	git := func(args ...string) (string, error) {
		out, err := output(ctx, opts.root, nil, "git", args...)
		return strings.TrimSpace(string(out)), err
	}
	head, err := git("log", "-1", "--format=%H %ct")
	if err != nil {
		return names{}, time.Time{}, err
	}
	commit, seconds, _ := strings.Cut(head, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return names{}, time.Time{}, fmt.Errorf("git log: time of the commit: %w", err)
	}
	tag := opts.version
	if tag == "" {
		// Without any tag git describe knows nothing: the commit alone is named.
		if tag, err = git("describe", "--tags", "--match", "v*", "--dirty"); err != nil {
			if tag, err = git("describe", "--always", "--abbrev=12", "--dirty", "--exclude", "*"); err != nil {
				return names{}, time.Time{}, err
			}
			tag = "v0.0.0-" + tag
		}
	}
	if !strings.HasPrefix(tag, "v") {
		return names{}, time.Time{}, fmt.Errorf("version %q does not begin with v", tag)
	}
	when := time.Unix(unix, 0).UTC()
	return names{
		Version: tag[1:], Tag: tag, FullCommit: commit,
		CommitTimestamp: seconds, CommitDate: when.Format(time.RFC3339),
	}, when, nil
}

// compile builds the binary for one target and returns its path.
func compile(ctx context.Context, root, work string, spec buildSpec, target names) (string, error) {
	ldflags, err := target.expandAll(spec.LDFlags)
	if err != nil {
		return "", err
	}
	name := spec.Binary
	if target.Os == "windows" {
		name += ".exe"
	}
	binary, err := filepath.Abs(filepath.Join(work, target.Os+"_"+target.Arch, name))
	if err != nil {
		return "", err
	}
	args := slices.Concat([]string{"build"}, spec.Flags, []string{"-ldflags", strings.Join(ldflags, " "), "-o", binary, spec.Main})
	env := slices.Concat(spec.Env, []string{"GOOS=" + target.Os, "GOARCH=" + target.Arch, "GOFLAGS="})
	if _, err := output(ctx, root, env, "go", args...); err != nil {
		return "", fmt.Errorf("%s/%s: %w", target.Os, target.Arch, err)
	}
	return binary, nil
}

// pack puts the binary and the files of the archive's list into the archive of
// one target, and returns the archive's name below out.
func pack(opts buildOptions, spec archive, target names, binary, notices string, when time.Time) (string, error) {
	name, err := target.expand(spec.NameTemplate)
	if err != nil {
		return "", err
	}
	format := spec.Formats[0]
	for _, override := range spec.FormatOverrides {
		if override.GoOS == target.Os {
			format = override.Formats[0]
		}
	}
	var files []packed
	for _, file := range spec.Files {
		path := filepath.Join(opts.root, file.Src)
		if filepath.Base(file.Src) == "NOTICES.md" {
			path = notices
		}
		files = append(files, packed{name: filepath.Base(file.Src), path: path, mode: 0o644})
	}
	files = append(files, packed{name: filepath.Base(binary), path: binary, mode: 0o755})
	name += "." + format
	return name, writeArchive(filepath.Join(opts.out, name), format, files, when)
}

// writeSums writes the checksums in the form that sha256sum --check reads.
func writeSums(folder, name string, artefacts []string) error {
	sorted := slices.Sorted(slices.Values(artefacts))
	var text bytes.Buffer
	for _, artefact := range sorted {
		content, err := os.ReadFile(filepath.Join(folder, artefact))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(content), artefact)
	}
	return os.WriteFile(filepath.Join(folder, name), text.Bytes(), 0o644)
}

func list(w io.Writer, folder string, artefacts []string) error {
	for _, artefact := range artefacts {
		info, err := os.Stat(filepath.Join(folder, artefact))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%10d  %s\n", info.Size(), artefact); err != nil {
			return err
		}
	}
	return nil
}

// output runs a command in a folder and returns what it printed; its own words
// are part of the error when it fails.
func output(ctx context.Context, folder string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("%s %s: %w: %s", name, cmp.Or(strings.Join(args[:min(len(args), 2)], " "), ""), err, bytes.TrimSpace(exit.Stderr))
	}
	return out, err
}
