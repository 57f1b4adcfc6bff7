//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd

package store

import (
	"os"
	"time"
)

// replacesOpenFiles says that a file may be renamed over while it is open.
const replacesOpenFiles = false

// withoutWriters runs fn. Here a file that another process holds cannot be
// looked at ahead of bbolt, which finds the lock out itself.
func withoutWriters(_ string, _ time.Duration, fn func() error) error { return fn() }

// keepOwner gives the file at path the mode of another one.
func keepOwner(path string, as os.FileInfo) error { return os.Chmod(path, as.Mode().Perm()) }
