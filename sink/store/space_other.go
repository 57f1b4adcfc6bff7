//go:build !linux

package store

import (
	"os"

	"go.etcd.io/bbolt"
)

// room is how many bytes the file system of f has left, or -1.
func room(*os.File) int64 { return -1 }

// unmapRead does nothing here.
func unmapRead(*bbolt.Tx) {}
