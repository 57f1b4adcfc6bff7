//go:build linux || darwin || freebsd || netbsd || openbsd

package store

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Who compacts a store as root leaves it to the user that it belonged to: the sink could
// not open it any more.
func TestACopyBelongsToTheOwnerOfTheStore(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	for _, owner := range []struct{ uid, gid int }{{0, 0}, {7, 0}, {0, 7}, {7, 8}} {
		folder := t.TempDir()
		was, path := filepath.Join(folder, "was"), filepath.Join(folder, "is")
		for _, name := range []string{was, path} {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(was, owner.uid, owner.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(was, 0o640); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(was)
		if err != nil {
			t.Fatal(err)
		}
		if err := keepOwner(path, info); err != nil {
			t.Fatal(err)
		}
		if info, err = os.Stat(path); err != nil {
			t.Fatal(err)
		}
		if got, ok := info.Sys().(*syscall.Stat_t); !ok || int(got.Uid) != owner.uid || int(got.Gid) != owner.gid || info.Mode().Perm() != 0o640 {
			t.Errorf("of user %d and group %d became %d and %d, mode %s", owner.uid, owner.gid, got.Uid, got.Gid, info.Mode())
		}
	}
	info, err := os.Stat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := keepOwner(filepath.Join(t.TempDir(), "none"), info); !os.IsNotExist(err) {
		t.Errorf("of a file that is not there: %v", err)
	}
}
