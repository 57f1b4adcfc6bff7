// Release makes what a release of shenscan consists of, into one folder: an
// archive for each operating system and architecture, a software bill of
// materials beside each, the notices of the modules that are linked in, and the
// checksums of all of it. It publishes nothing.
//
// What is built, and how, stands in .goreleaser.yaml alone: GoReleaser publishes
// a tag from that file, and this program builds the same from it where
// GoReleaser or the network is not to be had, so that CI sees the file work.
//
//	go run . build -version v0.1.0 -out ../../build/release
//	go run . sbom -out shenscan.cdx.json path/to/shenscan
//	go run . notices -out NOTICES.md path/to/shenscan...
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("say what to make: build, sbom or notices")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	out := flags.String("out", "", "the file or, for build, the folder to write")
	version := flags.String("version", "", "the version that the binaries name (build); default: git describe")
	root := flags.String("root", filepath.Join("..", ".."), "the folder of the repository (build)")
	only := flags.String("only", "", "build for this system alone, such as linux/amd64 (build)")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("-out is missing")
	}
	switch args[0] {
	case "build":
		return build(ctx, buildOptions{root: *root, out: *out, version: *version, only: *only}, stdout)
	case "sbom":
		if flags.NArg() != 1 {
			return errors.New("sbom takes one binary")
		}
		return writeSBOM(*out, flags.Arg(0))
	case "notices":
		return writeNotices(ctx, *root, *out, flags.Args())
	default:
		return fmt.Errorf("%q is not build, sbom or notices", args[0])
	}
}
