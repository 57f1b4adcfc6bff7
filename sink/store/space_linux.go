package store

import (
	"os"
	"syscall"
)

// room is how many bytes the file system of f has left, or -1.
func room(f *os.File) int64 {
	var space syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &space); err != nil {
		return -1
	}
	return int64(space.Bavail) * int64(space.Bsize) //nolint:unconvert // 32 bits wide on 386, arm and s390x
}
