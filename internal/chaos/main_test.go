//go:build chaos || powercut || scale || soak

package chaos

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "seed of the faults; 0 takes one from the clock")
	seedsFlag     = flag.Int("seeds", 1, "runs of TestKills, each with a seed of its own")
	killsFlag     = flag.Int("kills", 12, "processes killed in one run of TestKills")
	instancesFlag = flag.Int("instances", 20_000, "size of the fleet of TestKills")
	cutsFlag      = flag.Int("cuts", 5, "power cuts of the broker; the store has five times as many")
)

// The binaries under test, built once.
var bins struct{ dir, shenscan, nats string }

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "shenscan-chaos-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bins.dir, bins.shenscan, bins.nats = dir, filepath.Join(dir, "shenscan"), filepath.Join(dir, "nats-server")
		for bin, pkg := range map[string]string{bins.shenscan: "../../cmd/shenscan", bins.nats: "github.com/nats-io/nats-server/v2"} {
			if err := build(bin, pkg); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		return m.Run()
	}())
}

func build(bin, pkg string, args ...string) error {
	out, err := exec.Command("go", append(append([]string{"build", "-o", bin}, args...), pkg)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// seed is the seed of this run; it is printed, and -seed repeats it.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := *seedFlag
	if s == 0 {
		s = uint64(time.Now().UnixNano()) & 0xffffffff
	}
	t.Logf("seed %d (repeat with -seed %d)", s, s)
	return s
}
