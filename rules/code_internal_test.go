package rules

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTheDigestFollowsTheCode: a binary that reads names otherwise must not take
// what an older one stored for its own judgement.
func TestTheDigestFollowsTheCode(t *testing.T) {
	base := fstest.MapFS{"a.go": {Data: []byte("one\ntwo\n")}, "distro/words.tsv": {Data: []byte("x")}, "a_test.go": {Data: []byte("t")}}
	hash := func(change func(fstest.MapFS)) []byte {
		files := fstest.MapFS{}
		for path, file := range base {
			files[path] = &fstest.MapFile{Data: file.Data}
		}
		if change != nil {
			change(files)
		}
		return hashSource(files)
	}
	same := hash(nil)
	for name, c := range map[string]struct {
		change func(fstest.MapFS)
		equal  bool
	}{
		"a word":        {func(m fstest.MapFS) { m["distro/words.tsv"].Data = []byte("y") }, false},
		"a line":        {func(m fstest.MapFS) { m["a.go"].Data = []byte("one\ntoo\n") }, false},
		"a file":        {func(m fstest.MapFS) { m["b.go"] = &fstest.MapFile{} }, false},
		"a name":        {func(m fstest.MapFS) { m["c.go"] = m["a.go"]; delete(m, "a.go") }, false},
		"a test":        {func(m fstest.MapFS) { m["a_test.go"].Data = []byte("u") }, true},
		"ends of lines": {func(m fstest.MapFS) { m["a.go"].Data = []byte("one\r\ntwo\r\n") }, true},
	} {
		if got := bytes.Equal(same, hash(c.change)); got != c.equal {
			t.Errorf("another %s: the same hash is %t, want %t", name, got, c.equal)
		}
	}
}

// TestEverySourceIsInTheDigest: no package of rules, and no table of one, is
// forgotten. The catalogue is in the digest as the rules that it defines.
func TestEverySourceIsInTheDigest(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && (d.Name() == "testdata" || path == "catalog") {
				return filepath.SkipDir
			}
			return err
		}
		ext := filepath.Ext(path)
		if ext != ".go" && ext != ".tsv" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		if _, err := fs.Stat(source, filepath.ToSlash(path)); err != nil {
			t.Errorf("%s decides judgements and is not in the digest: %v", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
