//go:build powercut

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/store"
)

// writerEnv names what a copy of the test binary writes until it is killed:
// "store", "always" or "interval".
const writerEnv = "SHENSCAN_POWERCUT_WRITER"

// TestWriter is not a test by itself: the power-cut tests run it as a process
// of its own. It stores and notes what was acknowledged, outside of the disk
// that loses its power.
func TestWriter(t *testing.T) {
	kind, dir, acks := os.Getenv(writerEnv), os.Getenv("WRITER_DIR"), os.Getenv("WRITER_ACKS")
	if kind == "" {
		return
	}
	ack, err := os.OpenFile(acks, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	note := func(n uint64) {
		if _, err := fmt.Fprintf(ack, "%d\n", n); err != nil {
			t.Fatal(err)
		}
	}
	if kind == "store" {
		writeStore(t, dir, note)
	}
	writeBroker(t, dir, bus.Sync(kind), note)
}

func writeStore(t *testing.T, dir string, note func(uint64)) {
	db := openStore(t, dir)
	for {
		at := db.Position()
		at.Stream, at.Seq = 1, at.Seq+1
		if _, err := db.Apply(t.Context(), []event.Received{{Position: at, Stored: int64(at.Seq), Msg: page(at.Seq)}}); err != nil {
			t.Fatal(err)
		}
		note(at.Seq)
	}
}

// page holds ten instances that only this page has.
func page(seq uint64) *event.InstancesClassified {
	f := rules.Facts{OSName: "CentOS  7.9 64 bit", OSType: "linux", InstanceType: "ecs.g6.large"}
	m := &event.InstancesClassified{
		Walk: event.Walk{ScanID: "s", Kind: event.KindScan, Scope: ecs.Scope{Account: "1", Region: "cn-x"}, Lane: "1.0", Walk: "1.0"},
		Page: int(seq), Order: int64(seq), Software: []*rules.Facts{f.Software()}, Hardware: []rules.Hardware{f.Hardware()},
		Profiles: []event.Profile{{}},
	}
	rows := make([]event.Row, 10)
	for i := range rows {
		rows[i] = event.Row{ID: fmt.Sprintf("i-%08d%02d", seq, i), Name: "host", Zone: "cn-x-a", Status: "Running"}
	}
	m.Rows = event.RowsOf(rows)
	return m
}

func openStore(t *testing.T, dir string) *store.DB {
	t.Helper()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "store.db"), Classifier: rs.NewClassifier(rules.DefaultTargets())})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func broker(dir string, sync bus.Sync) (*bus.Bus, error) {
	o := bus.DefaultOptions()
	o.Dir, o.Sync = dir, sync
	o.Limits.MaxStore = 16 << 30 // a promise only; the disk is smaller
	return bus.Open(context.Background(), o)
}

func writeBroker(t *testing.T, dir string, sync bus.Sync, note func(uint64)) {
	b, err := broker(dir, sync)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); ; n++ {
		m := page(n)
		m.ScanID = strconv.FormatInt(time.Now().UnixNano(), 36)
		if err := b.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		st := n
		note(st)
	}
}

// cutter is a disk whose power can be cut.
type cutter struct {
	t   *testing.T
	rig string
}

func newCutter(t *testing.T) *cutter {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("power cuts need root, loop devices and xfsprogs")
	}
	c := &cutter{t, t.TempDir()}
	t.Cleanup(func() { c.do("down") })
	c.do("up")
	return c
}

func (c *cutter) do(what string) {
	c.t.Helper()
	if out, err := exec.Command("./powercut.sh", what, c.rig).CombinedOutput(); err != nil {
		c.t.Fatalf("powercut.sh %s: %v\n%s", what, err, out)
	}
}

// cut lets a writer write for a moment and cuts the power. It returns what was
// acknowledged before, and look sees the disk afterwards.
func (c *cutter) cut(kind, dir string, wait time.Duration, look func(after string, acked uint64)) {
	c.t.Helper()
	acks := filepath.Join(c.rig, "acks")
	_ = os.Remove(acks)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestWriter$", "-test.timeout", "5m")
	cmd.Env = append(os.Environ(), writerEnv+"="+kind, "WRITER_DIR="+filepath.Join(c.rig, "disk", dir), "WRITER_ACKS="+acks)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	if !happens(90*time.Second, func() bool { return last(acks) > 0 }) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		c.t.Fatalf("the writer acknowledged nothing within 90 s:\n%.4000s", out.String())
	}
	time.Sleep(wait)
	acked := last(acks) // before the cut
	c.do("cut")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	look(filepath.Join(c.rig, "after", dir), acked)
	c.do("mend")
}

func last(path string) uint64 {
	body, _ := os.ReadFile(path)
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	if len(body) == 0 || body[len(body)-1] != '\n' && len(lines) < 2 {
		return 0
	}
	if body[len(body)-1] != '\n' {
		lines = lines[:len(lines)-1]
	}
	n, _ := strconv.ParseUint(string(lines[len(lines)-1]), 10, 64)
	return n
}

func TestPowerCutOfTheStore(t *testing.T) {
	s := seed(t)
	rng := rand.New(rand.NewPCG(s, 3))
	c := newCutter(t)
	total := uint64(0)
	for n := range 5 * *cutsFlag {
		c.cut("store", fmt.Sprint("s", n/10), time.Duration(rng.Int64N(int64(time.Second))), func(after string, acked uint64) {
			db := openStore(t, after)
			defer db.Close()
			if err := db.Check(t.Context()); err != nil {
				t.Errorf("cut %d: %v", n, err)
			}
			at := db.Position().Seq
			if at < acked {
				t.Errorf("cut %d: %d was acknowledged, the store ends at %d", n, acked, at)
			}
			if got := db.Summary().Instances; got != int(at)*10 {
				t.Errorf("cut %d: %d instances at position %d, want %d", n, got, at, at*10)
			}
			total = max(total, acked)
		})
	}
	t.Logf("%d cuts, up to %d commits in one store", 5**cutsFlag, total)
}

func TestPowerCutOfTheBroker(t *testing.T) {
	s := seed(t)
	rng := rand.New(rand.NewPCG(s, 4))
	c := newCutter(t)
	for _, sync := range []bus.Sync{bus.SyncAlways, bus.SyncInterval} {
		lost, acked, missing := uint64(0), uint64(0), 0
		for n := range *cutsFlag {
			c.cut(string(sync), fmt.Sprint("b", sync, n), time.Second+time.Duration(rng.Int64N(int64(time.Second))), func(after string, had uint64) {
				acked += had
				found, err := stored(after)
				if err != nil {
					missing++
					t.Logf("%s, cut %d: %v", sync, n, err)
				}
				lost += had - min(had, found)
			})
		}
		t.Logf("sync %s: %d cuts, %d acknowledged, %d lost", sync, *cutsFlag, acked, lost)
		switch {
		case sync == bus.SyncAlways && (lost > 0 || missing > 0 || acked == 0):
			t.Error("what was acknowledged was lost")
		case sync == bus.SyncInterval && lost == 0:
			t.Error("the control without sync lost nothing: the rig proves nothing")
		}
	}
}

// stored counts the results that a broker finds in its folder.
func stored(dir string) (uint64, error) {
	if _, err := os.Stat(dir); err != nil {
		return 0, errors.New("the folder is gone")
	}
	b, err := broker(dir, bus.SyncAlways)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	st, err := b.State(context.Background(), bus.StreamResults)
	return st.Messages, err
}

// TestPowerCutControl is the control of the store's test: the same commits
// written without sync must not survive.
func TestPowerCutControl(t *testing.T) {
	c := newCutter(t)
	bad := 0
	for n := range *cutsFlag {
		c.cut("store", fmt.Sprint("c", n), 300*time.Millisecond, func(after string, acked uint64) {
			// A copy that nobody synced stands for a store without sync.
			disk := filepath.Join(c.rig, "disk", fmt.Sprint("c", n), "store.db")
			body, err := os.ReadFile(disk)
			if err != nil {
				t.Fatal(err)
			}
			unsynced := filepath.Join(c.rig, "disk", fmt.Sprint("u", n))
			if err := os.Mkdir(unsynced, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(unsynced, "store.db"), body, 0o600); err != nil {
				t.Fatal(err)
			}
			c.do("mend")
			c.do("cut")
			got, err := os.ReadFile(filepath.Join(c.rig, "after", fmt.Sprint("u", n), "store.db"))
			if err != nil || !bytes.Equal(got, body) {
				bad++
			}
		})
	}
	t.Logf("%d of %d stores that were not synced were lost", bad, *cutsFlag)
	if bad*2 < *cutsFlag {
		t.Error("unsynced writes survive on this disk: the rig proves nothing")
	}
}
