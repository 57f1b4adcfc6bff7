package rules

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"io/fs"
	"strings"
	"sync"
)

// source is what decides a judgement beside the rules themselves: how names are
// read, the tables of words and releases, how rules are tried, and what of a
// judgement is stored.
//
//go:embed *.go distro/*.go distro/*.tsv family/*.go family/*.tsv version/*.go waves/*.go outcome/*.go
var source embed.FS

// code is the hash of source, tests apart. It is a part of every digest: a
// shenscan that reads a name otherwise has another digest with the same rules,
// so that what an older one stored is judged anew, and a sink does not take the
// judgement of a worker that knows less.
var code = sync.OnceValue(func() []byte { return hashSource(source) })

// hashSource hashes the files in the order of their names. An error is a part of
// the hash: the files are in the binary, and only a directory could not be read.
func hashSource(files fs.FS) []byte {
	hash := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		// A checkout may end lines in another way.
		content := sha256.Sum256(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")))
		hash.Write([]byte(path))
		hash.Write(content[:])
		return nil
	})
	if err != nil {
		hash.Write([]byte(err.Error()))
	}
	return hash.Sum(nil)
}
