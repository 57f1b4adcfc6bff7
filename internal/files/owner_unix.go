//go:build unix

package files

import (
	"io/fs"
	"os"
	"syscall"
)

// hasModes says that modes tell who may read a file.
const hasModes = true

// keepOwner gives file the owner of another file.
func keepOwner(file *os.File, as fs.FileInfo) error {
	is, err := file.Stat()
	if err != nil {
		return err
	}
	have, ok1 := is.Sys().(*syscall.Stat_t)
	want, ok2 := as.Sys().(*syscall.Stat_t)
	if !ok1 || !ok2 || have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return file.Chown(int(want.Uid), int(want.Gid))
}
