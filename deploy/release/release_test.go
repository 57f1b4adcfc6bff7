package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
)

const repository = "../.."

func git(t *testing.T, folder string, args ...string) string {
	t.Helper()
	out, err := output(t.Context(), folder, nil, "git", args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// members returns the files of an archive by name.
func members(t *testing.T, path string) map[string][]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	if strings.HasSuffix(path, ".zip") {
		archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range archive.File {
			r, err := entry.Open()
			if err != nil {
				t.Fatal(err)
			}
			if files[entry.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		return files
	}
	plain, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(plain)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReleaseIsTheSameFromTwoFolders builds one system's artefacts from two
// clones of the last commit and compares them to the byte, then opens them.
func TestReleaseIsTheSameFromTwoFolders(t *testing.T) {
	var folders [2]string
	for i := range folders {
		clone := filepath.Join(t.TempDir(), fmt.Sprintf("clone-%d", i), "x")
		git(t, repository, "clone", "-q", "--no-local", ".", clone)
		folders[i] = filepath.Join(t.TempDir(), "out")
		system := runtime.GOOS + "/" + runtime.GOARCH
		if err := build(t.Context(), buildOptions{root: clone, out: folders[i], version: "v0.1.0-test", only: system}, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(folders[0])
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(folders[0], "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		var contents [2][]byte
		for i, folder := range folders {
			if contents[i], err = os.ReadFile(filepath.Join(folder, entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(contents[0], contents[1]) {
			t.Errorf("%s differs between two builds of one commit", entry.Name())
		}
		if entry.Name() != "SHA256SUMS" && !bytes.Contains(sums, fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(contents[0]), entry.Name())) {
			t.Errorf("SHA256SUMS does not name %s with its checksum", entry.Name())
		}
	}

	base := filepath.Join(folders[0], "shenscan_0.1.0-test_"+runtime.GOOS+"_"+runtime.GOARCH)
	files := members(t, base+".tar.gz")
	for _, want := range []string{"LICENSE", "README.md", "CHANGELOG.md", "NOTICES.md", "shenscan"} {
		if len(files[want]) == 0 {
			t.Errorf("the archive lacks %s", want)
		}
	}
	// The module that ships no licence file is named; one that does is quoted.
	for _, want := range []string{"ship no licence file", "go.etcd.io/bbolt@", "Permission is hereby granted"} {
		if !bytes.Contains(files["NOTICES.md"], []byte(want)) {
			t.Errorf("NOTICES.md does not say %q", want)
		}
	}
	binary := filepath.Join(t.TempDir(), "shenscan")
	if err := os.WriteFile(binary, files["shenscan"], 0o700); err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), binary, "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "shenscan v0.1.0-test " + git(t, repository, "rev-parse", "HEAD"); !strings.HasPrefix(string(said), want+"\n") {
		t.Errorf("the binary says %q, want %q", said, want)
	}
	document, err := os.Open(base + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	defer document.Close()
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(document, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	_, modules, err := linked(binary)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(*bom.Components); got != len(modules)+1 || got < 20 {
		t.Errorf("the bill of materials has %d components, the binary %d modules and the standard library", got, len(modules))
	}
}

func TestArchivesDoNotDependOnTheMachine(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "shenscan.exe")
	if err := os.WriteFile(file, []byte("binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, when, err := describe(t.Context(), buildOptions{root: repository, version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"tar.gz", "zip"} {
		path := filepath.Join(folder, "a."+format)
		if err := writeArchive(path, format, []packed{{"shenscan.exe", file, 0o755}}, when); err != nil {
			t.Fatal(err)
		}
		if got := members(t, path); string(got["shenscan.exe"]) != "binary" || len(got) != 1 {
			t.Errorf("%s holds %v", format, got)
		}
	}
	if err := writeArchive(filepath.Join(folder, "a.rar"), "rar", nil, when); err == nil {
		t.Error("a format that nobody writes was accepted")
	}
}

func TestConfigRefusesWhatItWouldLeaveOut(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	good, err := readConfig(filepath.Join(repository, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if spec := good.Builds[0]; !slices.Equal(spec.GoOS, []string{"linux", "darwin", "windows"}) || !slices.Equal(spec.GoArch, []string{"amd64", "arm64"}) {
		t.Errorf("released are %v on %v", spec.GoOS, spec.GoArch)
	}
	for name, change := range map[string][2]string{
		"an unknown key":      {"project_name:", "projekt_name:"},
		"another version":     {"version: 2", "version: 1"},
		"two archive formats": {"formats: [tar.gz]", "formats: [tar.gz, zip]"},
	} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfig(file); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := (names{}).expand("{{ .Nothing }}"); err == nil {
		t.Error("a template with an unknown name was expanded")
	}
}

func TestWrongUseIsSaid(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"build"},
		{"sbom", "-out", "x"},
		{"notices", "-out", "x"},
		{"publish", "-out", "x"},
		{"build", "-out", t.TempDir(), "-only", "plan9/mips", "-root", repository},
		{"build", "-out", t.TempDir(), "-version", "1.0", "-root", repository},
		{"sbom", "-out", "x", "main.go"},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
