package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// legal matches the names under which modules ship their licence and what it
// asks to be passed on.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|copyright|patents)([.-].*)?$`)

// writeNotices writes the licence texts of every module that one of the
// binaries links. A module that ships none is named as such: a reader must know
// that its terms are to be looked up at its source.
func writeNotices(ctx context.Context, root, path string, binaries []string) error {
	if len(binaries) == 0 {
		return errors.New("notices: name at least one binary")
	}
	modules := map[string]debug.Module{}
	for _, binary := range binaries {
		_, deps, err := linked(binary)
		if err != nil {
			return err
		}
		for _, module := range deps {
			modules[module.Path+"@"+module.Version] = module
		}
	}
	folders, err := moduleFolders(ctx, root, slices.Sorted(maps.Keys(modules)))
	if err != nil {
		return err
	}
	var without []string
	var body bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(modules)) {
		texts, err := legalTexts(folders[key])
		if err != nil {
			return fmt.Errorf("licence of %s: %w", key, err)
		}
		if len(texts) == 0 {
			without = append(without, key)
			continue
		}
		fmt.Fprintf(&body, "\n## %s\n", key)
		for _, text := range texts {
			fmt.Fprintf(&body, "\n### %s\n\n```\n%s\n```\n", text.name, strings.ReplaceAll(strings.TrimRight(text.content, "\n"), "```", "'''"))
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Notices\n\nshenscan is licensed under the Apache License 2.0 (LICENSE). Its binaries are linked from the Go standard library\n"+
		"(BSD-3-Clause, https://go.dev/LICENSE) and from %d modules, whose licences follow as the modules ship them.\n", len(modules))
	if len(without) > 0 {
		fmt.Fprintf(&out, "\nThese ship no licence file; their terms stand at their source:\n\n- %s\n", strings.Join(without, "\n- "))
	}
	out.Write(body.Bytes())
	return os.WriteFile(path, out.Bytes(), 0o644)
}

type legalText struct{ name, content string }

// legalTexts reads the licence files at the top of a module's folder.
func legalTexts(folder string) ([]legalText, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var texts []legalText
	for _, entry := range entries {
		if entry.IsDir() || !legal.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, legalText{entry.Name(), strings.ReplaceAll(string(content), "\r\n", "\n")})
	}
	slices.SortFunc(texts, func(a, b legalText) int { return cmp.Compare(a.name, b.name) })
	return texts, nil
}

// moduleFolders returns where each module (path@version) lies in the module
// cache, after bringing it there where it is missing.
func moduleFolders(ctx context.Context, root string, keys []string) (map[string]string, error) {
	out, err := output(ctx, root, []string{"GOFLAGS=-mod=mod"}, "go", append([]string{"mod", "download", "-json"}, keys...)...)
	if err != nil {
		return nil, err
	}
	folders := map[string]string{}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var module struct{ Path, Version, Dir, Error string }
		switch err := decoder.Decode(&module); {
		case errors.Is(err, io.EOF):
			return folders, nil
		case err != nil:
			return nil, fmt.Errorf("go mod download: %w", err)
		case module.Error != "":
			return nil, fmt.Errorf("go mod download %s: %s", module.Path, module.Error)
		}
		folders[module.Path+"@"+module.Version] = module.Dir
	}
}
