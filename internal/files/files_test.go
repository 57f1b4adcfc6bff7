//go:build unix

package files_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shenscan/shenscan/internal/files"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func put(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestNewFilesArePrivateAndOldOnesKeepTheirMode(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]os.FileMode{"new": 0o600, "shared": 0o664, "tight": 0o200} {
		path := filepath.Join(dir, name)
		if name != "new" {
			put(t, path, want)
		}
		if err := files.Write(path, text("report")); err != nil {
			t.Fatal(err)
		}
		if got := mode(t, path); got != want {
			t.Errorf("%s has mode %v, want %v", name, got, want)
		}
		if name != "tight" && content(t, path) != "report" {
			t.Errorf("%s holds %q", name, content(t, path))
		}
	}
}

func TestAFailedWriteLeavesWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report")
	put(t, path, 0o600)
	broken := errors.New("broken")
	err := files.Write(path, func(w io.Writer) error { return errors.Join(text("half")(w), broken) })
	if !errors.Is(err, broken) || content(t, path) != "old" {
		t.Errorf("%v, %q", err, content(t, path))
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// What is no regular file stays what it is: as root, a rename would have put a
// regular file in the place of a device.
func TestDevicesAndPipesAreWrittenToAndStayWhatTheyAre(t *testing.T) {
	dir := t.TempDir()
	// Root tries a device of its own: the machine's would be lost if this failed.
	device, link := os.DevNull, filepath.Join(dir, "link")
	if os.Getuid() == 0 {
		device = filepath.Join(dir, "null")
		if err := exec.CommandContext(t.Context(), "mknod", device, "c", "1", "3").Run(); err != nil {
			t.Skipf("no device of its own: %v", err)
		}
	}
	if err := os.Symlink(device, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{device, link} {
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		err = files.Write(path, text("report"))
		after, lerr := os.Lstat(path)
		if err != nil || lerr != nil || !os.SameFile(before, after) {
			t.Errorf("%s: %v, %v", path, err, lerr)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		b, err := os.ReadFile(pipe)
		read <- string(b) + strings.Repeat("!", len(errText(err)))
	}()
	if err := files.Write(pipe, text("report")); err != nil {
		t.Error(err)
	}
	if got := <-read; got != "report" || mode(t, pipe)&os.ModeNamedPipe == 0 {
		t.Errorf("read %q from what is now %v", got, mode(t, pipe))
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestLinksAndFoldersAreRefused(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	put(t, secret, 0o600)
	for name, make := range map[string]func(path string) error{
		"link":     func(path string) error { return os.Symlink(secret, path) },
		"dangling": func(path string) error { return os.Symlink(filepath.Join(dir, "nothing"), path) },
		"folder":   func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path := filepath.Join(dir, name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		before := mode(t, path)
		if err := files.Write(path, text("report")); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if content(t, secret) != "old" || mode(t, path) != before {
			t.Errorf("%s: %q, %v", name, content(t, secret), mode(t, path))
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "nothing")); err == nil {
		t.Error("what a link names was made")
	}
}

func TestPrivateFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	put(t, path, 0o666)
	if _, err := files.ReadPrivate(path); err == nil {
		t.Error("a file that anybody may write is believed")
	}
	if err := files.WritePrivate(path, []byte("key")); err != nil {
		t.Fatal(err)
	}
	if got, err := files.ReadPrivate(path); err != nil || string(got) != "key" || mode(t, path) != 0o600 {
		t.Errorf("%q, %v, mode %v", got, err, mode(t, path))
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := files.ReadPrivate(link); err == nil {
		t.Error("a link is followed")
	}
	if err := files.WritePrivate(link, []byte("other")); err != nil || content(t, path) != "key" {
		t.Errorf("writing followed a link: %v, %q", err, content(t, path))
	}
}

func TestExposed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for perm, want := range map[os.FileMode]string{0o600: "", 0o640: "group", 0o604: "everybody", 0o644: "everybody"} {
		put(t, path, perm)
		if got := files.Exposed(path); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%v: %q", perm, got)
		}
	}
}
