//go:build !linux

package store

import (
	"os"

	"go.etcd.io/bbolt"
)

// room is how many bytes the file system of f has left, where that is known.
func room(*os.File) (free int64, known bool) { return 0, false }

// unmapRead does nothing here.
func unmapRead(*bbolt.Tx) {}
