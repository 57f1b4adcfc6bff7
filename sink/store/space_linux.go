package store

import (
	"os"
	"syscall"

	"go.etcd.io/bbolt"
)

// room is how many bytes the file system of f has left, where that is known.
func room(f *os.File) (free int64, known bool) {
	var space syscall.Statfs_t
	err := syscall.Fstatfs(int(f.Fd()), &space)
	return int64(space.Bavail) * int64(space.Bsize), err == nil //nolint:unconvert // 32 bits wide on 386, arm and s390x
}

// unmapRead lets go of the pages of the file that were read: the kernel keeps
// them as it keeps those of any file, but they count no longer as memory of this
// process. Whoever still holds bytes of them, in this transaction or another,
// reads the same bytes again: bbolt maps the file shared and writes to it without
// the mapping, so that no page has anything that the file has not. The transaction
// keeps the mapping where it is.
func unmapRead(tx *bbolt.Tx) {
	// An error leaves them, which is no harm.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED)
}
