// Package files writes the files that shenscan is asked for, and those that it
// keeps to itself. What it writes appears whole or not at all, is its owner's
// alone unless the file that it replaces was not, and never replaces or follows
// what is no regular file. It does not know what it writes.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write writes a file that a user named. A regular file that is there is
// replaced as a whole and keeps its mode and, where that may be, its owner; where
// there is none, the new one is its owner's alone. A pipe or a character device,
// also through a link such as /dev/stdout, is written to as it is. Anything else
// is refused: folders, block devices, sockets, and symbolic links, which others
// may have put there to have another file written.
func Write(path string, write func(io.Writer) error) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return replace(path, nil, write)
	case err != nil:
		return err
	case info.Mode().IsRegular():
		// Whoever may not write to a file may not replace it either.
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
		return replace(path, info, write)
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Stat(path)
		if err != nil || !takesStream(to.Mode()) {
			return fmt.Errorf("%s is a symbolic link and is not followed: name the file that is meant", path)
		}
	case !takesStream(info.Mode()):
		return fmt.Errorf("%s is neither a regular file nor a pipe or terminal, and is left alone", path)
	}
	return writeThrough(path, write)
}

// takesStream says whether a file takes bytes one after the other and keeps none
// in place.
func takesStream(mode fs.FileMode) bool {
	return mode&fs.ModeNamedPipe != 0 || mode&fs.ModeCharDevice != 0
}

func writeThrough(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !takesStream(info.Mode()) {
		err = fmt.Errorf("%s was exchanged while it was opened, and is left alone", path)
	}
	if err == nil {
		err = write(file)
	}
	return errors.Join(err, file.Close())
}

// WritePrivate writes a file that its owner alone may read, whatever was there.
func WritePrivate(path string, body []byte) error {
	return replace(path, nil, func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	})
}

// replace writes beside path and renames; as is the file that was there.
func replace(path string, as fs.FileInfo, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".shenscan-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	if err := write(tmp); err != nil {
		return err
	}
	if as != nil {
		// Where the owner cannot be kept, the mode would let others in.
		if keepOwner(tmp, as) == nil {
			if err := tmp.Chmod(as.Mode().Perm()); err != nil {
				return err
			}
		}
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return tmp.Close()
}

// maxPrivate bounds a private file.
const maxPrivate = 64 << 10

// ReadPrivate reads what WritePrivate wrote: a regular file that nobody but its
// owner can have written. What others could have put there is not believed.
func ReadPrivate(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	named, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !named.Mode().IsRegular() || !os.SameFile(named, info):
		return nil, fmt.Errorf("%s is no regular file, and is not believed", path)
	case info.Mode().Perm()&0o022 != 0 && hasModes:
		return nil, fmt.Errorf("%s may be written by others, and is not believed", path)
	}
	body, err := io.ReadAll(io.LimitReader(file, maxPrivate+1))
	if err == nil && len(body) > maxPrivate {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxPrivate)
	}
	return body, err
}

// Exposed says who but its owner may read a file or look into a folder that is
// to be private, "" for nobody.
func Exposed(path string) string {
	info, err := os.Stat(path)
	if err != nil || !hasModes {
		return ""
	}
	mode := info.Mode().Perm()
	switch {
	case mode&0o007 != 0:
		return fmt.Sprintf("everybody on this machine (mode %04o)", mode)
	case mode&0o070 != 0:
		return fmt.Sprintf("its group (mode %04o)", mode)
	}
	return ""
}
