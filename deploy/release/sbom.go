package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/CycloneDX/cyclonedx-go"
)

// linked returns the modules that a binary says it was linked from, the
// replaced ones as what they were replaced by.
func linked(binary string) (*buildinfo.BuildInfo, []debug.Module, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, nil, fmt.Errorf("build information of %s: %w", binary, err)
	}
	var modules []debug.Module
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		modules = append(modules, *module)
	}
	return info, modules, nil
}

// writeSBOM writes the bill of materials of one binary as CycloneDX JSON. It
// holds no time and no serial number, so that the same binary gives the same
// document.
func writeSBOM(path, binary string) error {
	info, modules, err := linked(binary)
	if err != nil {
		return err
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		Type: cyclonedx.ComponentTypeApplication, Name: "shenscan", BOMRef: info.Main.Path, PackageURL: "pkg:golang/" + info.Main.Path,
		Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}},
	}}
	components := []cyclonedx.Component{{
		Type: cyclonedx.ComponentTypeLibrary, Name: "std", Version: info.GoVersion,
		BOMRef: "pkg:golang/std@" + info.GoVersion, PackageURL: "pkg:golang/std@" + info.GoVersion,
	}}
	var references []string
	for _, module := range modules {
		url := "pkg:golang/" + module.Path + "@" + module.Version
		references = append(references, url)
		// The module's checksum of go.sum covers a listing of files, not one file,
		// so it is a property and no hash of the component.
		components = append(components, cyclonedx.Component{
			Type: cyclonedx.ComponentTypeLibrary, Name: module.Path, Version: module.Version, BOMRef: url, PackageURL: url,
			Properties: &[]cyclonedx.Property{{Name: "go:sum", Value: module.Sum}},
		})
	}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: info.Main.Path, Dependencies: &references}}
	var text bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON)
	if err := encoder.SetPretty(true).Encode(bom); err != nil {
		return fmt.Errorf("bill of materials of %s: %w", binary, err)
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}
