package app

import (
	"io/fs"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tc := range []struct {
		name                       string
		base, ceiling, live, other int64
		want                       int64
	}{
		{"little is live", 288 * mib, 0, 60 * mib, 20 * mib, 288 * mib},
		{"more is live than the limit has room for", 288 * mib, 0, 300 * mib, 20 * mib, 420 * mib},
		{"the container is smaller", 288 * mib, 200 * mib, 60 * mib, 20 * mib, 200 * mib},
		{"the container ends what may be live", 288 * mib, 400 * mib, 600 * mib, 20 * mib, 400 * mib},
	} {
		if got := memoryLimit(tc.base, tc.ceiling, tc.live, tc.other); got != tc.want {
			t.Errorf("%s: %d MiB, want %d", tc.name, got/mib, tc.want/mib)
		}
	}
	live, other := memoryUsage()()
	if live < 0 || other < 0 {
		t.Errorf("live %d, other %d", live, other)
	}
}

func TestASmallHeapIsNotCollected(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tc := range []struct {
		name       string
		idle, live int64
		want       int
	}{
		{"at the start, where the runtime scales its least heap of 4 MiB", 72 * mib, 0, 1800},
		{"to 72 MiB", 72 * mib, 12 * mib, 500},
		{"as the runtime would", 72 * mib, 36 * mib, 100},
		{"not more often than it would", 72 * mib, 300 * mib, 100},
		{"a tiny limit", 2 * mib, 0, 100},
	} {
		if got := gcPercent(tc.idle, tc.live); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestContainerMemory(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no container", nil, 0},
		{"version 2", map[string]string{"/sys/fs/cgroup/memory.max": "536870912\n"}, 512 << 20},
		{"version 2 without a limit", map[string]string{"/sys/fs/cgroup/memory.max": "max\n"}, 0},
		{"version 1", map[string]string{"/sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"}, 256 << 20},
		{"version 1 without a limit", map[string]string{"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
	} {
		got := containerMemory(func(path string) ([]byte, error) {
			if text, ok := tc.files[path]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		})
		if got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}
