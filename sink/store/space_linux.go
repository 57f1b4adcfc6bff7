package store

import (
	"os"
	"syscall"
)

// room is how many bytes the file system of f has left, or -1.
func room(f *os.File) int64 {
	var statfs_t syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &statfs_t); err != nil {
		return -1
	}
	return int64(statfs_t.Bavail) * int64(statfs_t.Bsize) //nolint:unconvert // 32 bits wide on 386, arm and s390x
}
