// Package rig is what the benchmarks share: a simulator, and a shenscan that
// serves its fleet, each a process of its own; and how times and machines are
// told. It measures nothing itself.
package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// Simulate starts the simulator as a process whose priority is lower by niceness,
// and returns its URL.
func Simulate(ctx context.Context, niceness, shenscan string, args ...string) (url string, stop func(), err error) {
	sim := exec.CommandContext(ctx, "nice", append([]string{"-n", niceness, shenscan, "simulate", "--listen", "127.0.0.1:0"}, args...)...)
	pipe, err := sim.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := sim.Start(); err != nil {
		return "", nil, fmt.Errorf("start the simulator: %w", err)
	}
	stop = sync.OnceFunc(func() {
		_ = sim.Process.Kill() // nice became the simulator
		_ = sim.Wait()
	})
	lines := bufio.NewReader(pipe)
	line, err := lines.ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the simulator said nothing: %w", err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // ends with the simulator
	return strings.TrimSpace(line), stop, nil
}

// Command is a command that has the keys of the simulated account.
func Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "ALIBABA_CLOUD_ACCESS_KEY_ID="+ecssim.DemoAccessKeyID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET="+ecssim.DemoAccessKeySecret)
	return cmd
}

// Served is a running shenscan with all roles.
type Served struct {
	Dir  string // of its store
	PID  int
	Stop func() error

	shenscan, base string
}

// Serve runs shenscan on a store and a simulated fleet.
func Serve(ctx context.Context, shenscan, dir, endpoint string) (*Served, error) {
	cmd := Command(ctx, shenscan, "serve", "--endpoint", endpoint, "--store", dir, "--listen", "127.0.0.1:0", "--start-rate", "100000", "--log-format", "json", "--log-level", "info")
	logs, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start shenscan: %w", err)
	}
	lines := bufio.NewScanner(logs)
	lines.Buffer(nil, 1<<20)
	s := &Served{Dir: dir, PID: cmd.Process.Pid, shenscan: shenscan}
	var last []string
	for s.base == "" && lines.Scan() {
		last = append(last, lines.Text())
		if _, rest, ok := strings.Cut(lines.Text(), `"http://127.0.0.1:`); ok {
			port, _, _ := strings.Cut(rest, `"`)
			s.base = "http://127.0.0.1:" + strings.TrimRight(port, "/")
		}
	}
	s.Stop = sync.OnceValue(func() error {
		return errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
	})
	if s.base == "" {
		return nil, errors.Join(fmt.Errorf("shenscan serve named no address: %s", strings.Join(last, "\n")), s.Stop())
	}
	go func() { // what it logs meanwhile must not stand in its way
		for lines.Scan() {
			if line := lines.Text(); !strings.HasPrefix(line, "{") || strings.Contains(line, `"level":"ERROR"`) {
				fmt.Fprintln(os.Stderr, line)
			}
		}
	}()
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) { // it names its address before it takes requests to scan
		if _, err = s.Get(ctx, "/readyz", io.Discard); err == nil {
			return s, nil
		}
		if ctx.Err() != nil || time.Since(begin) > 30*time.Second {
			return nil, errors.Join(fmt.Errorf("shenscan serve did not become ready: %w", err), s.Stop())
		}
	}
}

// Get writes the whole answer of a path.
func (s *Served) Get(ctx context.Context, path string, into io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		return 0, fmt.Errorf("GET %s: %s: %s", path, resp.Status, said)
	}
	return io.Copy(into, resp.Body)
}

// Rescan scans the whole fleet, runs beside meanwhile and stops it at the end.
func (s *Served) Rescan(ctx context.Context, beside func(context.Context) error) (took time.Duration, err error) {
	scan := Command(ctx, s.shenscan, "rescan", "--all", "--wait", "1h", "--store", s.Dir)
	var said strings.Builder
	scan.Stdout, scan.Stderr = &said, &said
	began := time.Now()
	if err := scan.Start(); err != nil {
		return 0, err
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- beside(inner) }()
	err = scan.Wait()
	took = time.Since(began)
	stop()
	if other := <-failed; !errors.Is(other, context.Canceled) {
		err = errors.Join(err, other)
	}
	if err != nil {
		return took, fmt.Errorf("scan: %w: %s", err, said.String())
	}
	return took, nil
}

// Milliseconds is what a part of all times took at most, in milliseconds.
func Milliseconds(times []time.Duration, part float64) float64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return float64(sorted[min(len(sorted)-1, int(part*float64(len(sorted))))].Microseconds()) / 1e3
}

// Memory is what /proc says of a process's memory under a name such as RssAnon, in
// KiB; 0 where it says nothing.
func Memory(pid int, name string) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // none of a process that has ended
	_, after, _ := strings.Cut(string(text), name+":")
	kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(strings.SplitN(after, "\n", 2)[0]), " kB"), 10, 64)
	return kib
}

// Heading says when and on what a benchmark ran.
func Heading() string {
	return fmt.Sprintf("### %s, %s/%s, %d CPUs, %s\n\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}
