package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/shenscan/shenscan/internal/report"
)

// originFile beside a store names the command that filled it, where that is not a
// scan of the cloud: what is printed about a demo or about files must not lead to
// the real cloud.
const originFile = "origin"

// maxOrigin bounds that command.
const maxOrigin = 4096

// keepOrigin notes by which command a store was filled, "" for a scan of the
// cloud.
func keepOrigin(dir, command string) error {
	path := filepath.Join(dir, originFile)
	var err error
	if command == "" {
		if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = os.WriteFile(path, []byte(command), 0o600)
	}
	if err != nil {
		return fmt.Errorf("store: note what filled it: %w", err)
	}
	return nil
}

// origin is the command that filled a store, "" where it was a scan of the cloud.
func origin(dir string) string {
	file, err := os.Open(filepath.Join(dir, originFile))
	if err != nil {
		return ""
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, maxOrigin))
	if command := report.Clean(strings.TrimSpace(string(body))); err == nil && strings.HasPrefix(command, "shenscan ") {
		return command
	}
	return ""
}

// given writes the flags of those names as they were given, for a command that
// is to be about the same.
func given(set *pflag.FlagSet, names ...string) string {
	var words []string
	for _, name := range names {
		flag := set.Lookup(name)
		if flag == nil || !flag.Changed {
			continue
		}
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			words = append(words, "--"+name+" "+report.Quoted(v))
		}
	}
	return strings.Join(words, " ")
}

// narrowing are the flags that say what an answer is about.
var narrowing = []string{"account", "region", "tag", "family", "os", "verdict", "confidence", "exclude"}

// hints make the next steps of a report fit the command line.
func hints(set *pflag.FlagSet, dir *storeFlags) report.Hints {
	return report.Hints{
		Store: dir.named(), Again: origin(dir.dir), Rules: given(set, "rules"), Targets: given(set, "target"), Narrow: given(set, narrowing...),
	}
}
