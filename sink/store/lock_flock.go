//go:build linux || darwin || freebsd || netbsd || openbsd

package store

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// replacesOpenFiles says that a file may be renamed over while it is open, and
// so while its lock is held.
const replacesOpenFiles = true

// withoutWriters runs fn while no other process writes to the file, which is
// ErrLocked where one does for longer than wait. Whoever writes holds the whole
// file, by the same kind of lock that bbolt takes.
func withoutWriters(path string, wait time.Duration, fn func() error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() // which lets go of the lock
	for deadline := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if err == nil {
			return fn()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		if time.Now().After(deadline) {
			return ErrLocked
		}
	}
}

// keepOwner gives the file at path the mode and the owner of another one.
func keepOwner(path string, as os.FileInfo) error {
	if err := os.Chmod(path, as.Mode().Perm()); err != nil {
		return err
	}
	is, err := os.Stat(path)
	if err != nil {
		return err
	}
	have, ok1 := is.Sys().(*syscall.Stat_t)
	want, ok2 := as.Sys().(*syscall.Stat_t)
	if !ok1 || !ok2 || have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return os.Chown(path, int(want.Uid), int(want.Gid))
}
